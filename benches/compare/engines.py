"""The networks in floating point: one crop of 224x224 pixels on one thread in CPU
time, and batches on one and two threads in wall-clock time. The other runtimes run
the ONNX file of `dldl export`, from pixel values to the expectation; PyTorch runs
the same layers."""

import tempfile
import time
from pathlib import Path

from common import (alternate, bench, dldl, median_ms, noise, onnxruntime_run, openvino_run,
                    setting, table)

WIDTHS = {
    "thin": [[32] * 2, [64] * 2, [128] * 3, [256] * 3, [256] * 3],
    "tiny": [[16] * 2, [32] * 2, [64] * 3, [128] * 3, [128] * 3],
}
NAMES = {"thin": "ThinAgeNet", "tiny": "TinyAgeNet"}
BATCH = 16


def pytorch_run(widths: list[list[int]], crops):
    """Batch norm is folded, as in the other runtimes; channels last is faster."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    layers, inputs = [], 3
    for stage in widths:
        for outputs in stage:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 101), nn.Softmax(1)]
    net = nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run():
        x = (torch.from_numpy(crops) - 120.0) / 60.0
        return net(x.contiguous(memory_format=torch.channels_last))

    return run


def one_crop(name: str, onnx: Path) -> str:
    crops = noise()
    others = {
        "onnxruntime f32": onnxruntime_run(onnx, crops),
        "OpenVINO f32": openvino_run(onnx, crops, INFERENCE_PRECISION_HINT="f32"),
        "OpenVINO bf16 (less exact)": openvino_run(onnx, crops, INFERENCE_PRECISION_HINT="bf16"),
        "PyTorch f32": pytorch_run(WIDTHS[name], crops),
    }
    for call in others.values():
        call()
    measures = {label: lambda call=call: median_ms(call) for label, call in others.items()}
    model = f"random-{name}"
    measures |= {
        f"**dldl f32, {bench(model, level)['isa']}**": lambda level=level: (
            bench(model, level)["cpu_ms"]["median"]
        )
        for level in ("", "avx2")
    }
    return table(f"{NAMES[name]}, one crop", alternate(measures), "onnxruntime f32")


def batches(name: str, onnx: Path) -> str:
    crops = noise(BATCH)
    measures = {}
    for threads in (1, 2):
        call = onnxruntime_run(onnx, crops, threads)
        call()
        measures[f"onnxruntime f32, {threads} threads"] = lambda call=call: median_ms(
            call, time.perf_counter
        )
        measures[f"dldl f32, {threads} threads"] = lambda threads=threads: bench(
            f"random-{name}", batch=BATCH, threads=threads
        )["wall_ms"]["median"]
    times = alternate(measures)
    rows = [f"| {NAMES[name]}, {BATCH} crops | one thread, ms | two threads, ms | factor |",
            "|---|---|---|---|"]
    for runtime in ("onnxruntime f32", "dldl f32"):
        one, two = (times[f"{runtime}, {threads} threads"] for threads in (1, 2))
        rows.append(f"| {runtime} | {one:.1f} | {two:.1f} | {one / two:.2f} |")
    return "\n".join(rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        onnx = {name: Path(folder) / f"{name}.onnx" for name in NAMES}
        for name, path in onnx.items():
            dldl("export", "--model", f"random-{name}", "--out", path)
        parts = [one_crop(name, path) for name, path in onnx.items()]
        parts += [batches(name, path) for name, path in onnx.items()]
    parts.append(setting("onnxruntime", "openvino", "torch"))
    print("\n\n".join(parts))


main()
