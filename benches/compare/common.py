"""Shared by the comparisons: clocks, rounds, and running a model on one thread in
each runtime."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

RELEASE = Path(sys.argv[1]).resolve()
DATA = Path(sys.argv[2])
QUICK = "--quick" in sys.argv
ROUNDS, RUNS = (2, 3) if QUICK else (11, 10)

Measure = Callable[[], float]


def median_ms(call: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Median time of RUNS calls, by default in CPU time of this process."""
    times = []
    for _ in range(RUNS):
        start = clock()
        call()
        times.append(1e3 * (clock() - start))
    return statistics.median(times)


def alternate(measures: dict[str, Measure]) -> dict[str, float]:
    """Medians over rounds in which each is measured once, so that other load and
    changes of the clock rate affect all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in measures}
    for done in range(ROUNDS):
        for name, measure in measures.items():
            times[name].append(measure())
        print(f"\r{done + 1} of {ROUNDS} rounds ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {name: statistics.median(all_ms) for name, all_ms in times.items()}


def table(title: str, times: dict[str, float], base: str, unit: str = "CPU ms") -> str:
    """A Markdown table of milliseconds and their ratios to those of `base`."""
    rows = [f"| {title} | {unit} | ratio to {base} |", "|---|---|---|"]
    rows += [f"| {name} | {ms:.2f} | {ms / times[base]:.2f} |" for name, ms in times.items()]
    return "\n".join(rows)


def dldl(*arguments: object) -> str:
    return subprocess.check_output([RELEASE / "dldl", *map(str, arguments)], text=True)


def bench(model: str, level: str = "", size: int = 224, **options: int) -> dict:
    """The JSON of `dldl bench`; `level` forces an instruction set."""
    command = [RELEASE / "dldl", "bench", "--model", model, "--size", str(size)]
    command += ["--runs", str(RUNS), "--no-comparators", "--format", "json"]
    command += [f"--{name}={value}" for name, value in options.items()]
    return json.loads(subprocess.check_output(command, env=os.environ | {"DLDL_ISA": level}))


def onnxruntime_run(path: Path, crops, threads: int = 1) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["expectation"], {"crops": crops})


def openvino_run(path: Path, crops, **settings: str) -> Callable[[], object]:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(crops.shape))
    one_thread = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = core.compile_model(model, "CPU", one_thread | settings).create_infer_request()
    return lambda: request.infer({0: crops})


def noise(batch: int = 1, size: int = 224, seed: int = 0):
    import numpy

    shape = (batch, 3, size, size)
    return numpy.random.default_rng(seed).integers(0, 256, shape).astype(numpy.float32)


def setting(*packages: str) -> str:
    """The machine and the package versions, printed below a table."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    name = fields.get("model name", platform.processor())
    flags = fields.get("flags", "").split()
    has = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
           if flag in flags]
    used = ", ".join(f"{package} {version(package)}" for package in packages)
    return (f"{name} ({', '.join(has)}), {os.cpu_count()} processors; {used}. "
            f"Medians of {ROUNDS} alternating rounds of {RUNS} runs.")
