"""Training: forward, loss, backward and Adam of TinyAgeNet on one thread in CPU
time, compared with PyTorch's layers in its faster layout (channels last), in single
precision and with bf16 autocast; two threads in wall-clock time. Each measurement
is a separate process, whose peak memory is compared as well."""

import json
import os
import resource
import subprocess
import sys
import time

import common
from common import QUICK, RELEASE, alternate, setting

common.ROUNDS, common.RUNS = (2, 2) if QUICK else (5, 3)
SETTINGS = [(112, 32), (224, 16)]
WIDTHS = [[16] * 2, [32] * 2, [64] * 3, [128] * 3, [128] * 3]
WARM_UP = 2


def pytorch(kind: str, size: int, batch: int) -> None:
    """Measures PyTorch once; prints JSON with the keys of `dldl bench`."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(1)
    layers, inputs = [], 3
    for stage in WIDTHS:
        for outputs in stage:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                       nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        if stage is not WIDTHS[-1]:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 101)]
    net = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7)
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(101.0)
    means = 10.0 + (torch.arange(batch) * 13 % 71)
    target = torch.softmax(-((labels - means[:, None]) ** 2) / 8.0, 1)
    times = []
    for _ in range(WARM_UP + common.RUNS):
        start = time.process_time()
        adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bf16"):
            logits = net(x).float()
        logs = torch.log_softmax(logits, 1)
        error = (logs.exp() @ labels - means).abs()
        loss = (-(target * logs).sum(1) + error).mean()
        loss.backward()
        adam.step()
        times.append(1e3 * (time.process_time() - start))
    times = sorted(times[WARM_UP:])
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"cpu_ms": {"median": times[len(times) // 2]}, "peak_bytes": peak}))


def dldl(size: int, batch: int, threads: int = 1, level: str = "") -> dict:
    command = [RELEASE / "dldl", "bench", "--train", "--model", "tiny", "--format", "json"]
    command += [f"--size={size}", f"--batch={batch}", f"--threads={threads}"]
    command.append(f"--runs={common.RUNS}")
    return json.loads(subprocess.check_output(command, env=os.environ | {"DLDL_ISA": level}))


def torch_process(kind: str, size: int, batch: int) -> dict:
    command = [sys.executable, __file__, *sys.argv[1:], "--torch", kind, str(size), str(batch)]
    return json.loads(subprocess.check_output(command))


def compare(size: int, batch: int) -> str:
    peaks: dict[str, int] = {}

    def measured(label: str, call, key: str = "cpu_ms"):
        def once() -> float:
            result = call()
            peaks[label] = max(peaks.get(label, 0), result["peak_bytes"])
            return result[key]["median"]
        return once

    base = "PyTorch f32, channels last"
    one, two = "**dldl, one thread**", "dldl, two threads"
    calls = {
        base: measured(base, lambda: torch_process("f32", size, batch)),
        "PyTorch bf16, channels last": measured(
            "PyTorch bf16, channels last", lambda: torch_process("bf16", size, batch)),
        one: measured(one, lambda: dldl(size, batch)),
        "dldl, AVX2": measured("dldl, AVX2", lambda: dldl(size, batch, level="avx2")),
        "dldl, one thread, wall": measured("dldl, one thread, wall", lambda: dldl(size, batch), "wall_ms"),
        two: measured(two, lambda: dldl(size, batch, 2), "wall_ms"),
    }
    times = alternate(calls)
    factor = times.pop("dldl, one thread, wall") / times.pop(two)
    rows = [f"| TinyAgeNet, {size}x{size}, batch {batch} | images per second and core | "
            "speed relative to PyTorch f32 | peak MB |", "|---|---|---|---|"]
    rows += [f"| {name} | {1e3 * batch / ms:.1f} | {times[base] / ms:.2f} | "
             f"{peaks[name] / 1e6:.0f} |" for name, ms in times.items()]
    return "\n".join(rows) + f"\n\nTwo threads are {factor:.2f} times as fast as one."


def main() -> None:
    if "--torch" in sys.argv:
        kind, size, batch = sys.argv[-3:]
        return pytorch(kind, int(size), int(batch))
    parts = [compare(*of) for of in SETTINGS]
    print("\n\n".join([*parts, setting("torch")]))


main()
