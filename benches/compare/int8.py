"""TinyAgeNet and ThinAgeNet in 8-bit integers, and in OpenVINO's bf16: one crop of 224x224 pixels on one thread, in CPU
time. The other runtimes run a QDQ model that onnxruntime's `quantize_static` makes
from the ONNX file of `dldl export`: unsigned activations and signed weights with a
scale per channel, the fastest kind in these runtimes. The values of the scales do
not affect the time."""

import tempfile
from pathlib import Path

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from common import (alternate, bench, dldl, median_ms, noise, onnxruntime_run, openvino_run,
                    setting, table)


class Noise(CalibrationDataReader):
    def __init__(self):
        self.crops = iter([{"crops": noise(seed=seed)} for seed in range(8)])

    def get_next(self):
        return next(self.crops, None)


def quantized(plain: Path) -> Path:
    sound, int8 = plain.with_suffix(".sound"), plain.with_suffix(".int8")
    quant_pre_process(plain, sound, skip_symbolic_shape=True)
    quantize_static(
        sound, int8, Noise(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Relu", "MaxPool"],
    )
    return int8


def compare(name: str, net: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        dldl("export", "--model", net, "--out", plain)
        int8, crops = quantized(plain), noise()
        others = {
            "onnxruntime int8": onnxruntime_run(int8, crops),
            "onnxruntime f32": onnxruntime_run(plain, crops),
            "OpenVINO int8": openvino_run(int8, crops),
            "OpenVINO bf16": openvino_run(plain, crops, INFERENCE_PRECISION_HINT="bf16"),
        }
    for call in others.values():
        call()
    measures = {label: lambda call=call: median_ms(call) for label, call in others.items()}
    for model, kind in ((f"{net}-int8", "int8"), (net, "f32")):
        for level in ("", "avx512", "avx2"):
            try:
                isa = bench(model, level)["isa"]
            except Exception:  # the processor does not support this level
                continue
            measures.setdefault(
                f"**dldl {kind}, {isa}**",
                lambda model=model, level=level: bench(model, level)["cpu_ms"]["median"],
            )
    return table(f"{name}, one crop", alternate(measures), "onnxruntime int8")


def main() -> None:
    for name, net in (("TinyAgeNet", "random-tiny"), ("ThinAgeNet", "random-thin")):
        print(compare(name, net))
        print()
    print(setting("onnxruntime", "openvino"))


main()
