"""CPU time of the networks in 8-bit integers: dldl beside onnxruntime and
OpenVINO, on one thread, alternating in one run.

    cargo build --release
    pip install numpy onnx onnxruntime openvino
    python benches/compare/int8.py target/release/dldl

The others run a QDQ model that onnxruntime's `quantize_static` makes of the
ONNX export of tiny-age: unsigned activations, signed weights with a scale per
channel, the fastest kind there. What the scales are does not change the time.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import openvino
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

SIZE, ROUNDS, RUNS = 224, 9, 10


class Noise(CalibrationDataReader):
    def __init__(self):
        shape = (1, 3, SIZE, SIZE)
        rng = np.random.default_rng(1)
        self.crops = iter([rng.integers(0, 256, shape).astype(np.float32) for _ in range(8)])

    def get_next(self):
        crop = next(self.crops, None)
        return None if crop is None else {"crops": crop}


def median_ms(call):
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - start))
    return statistics.median(times)


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    found = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda crop: found.run(["expectation"], {"crops": crop})


def request(path):
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([1, 3, SIZE, SIZE])
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    found = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda crop: found.infer({0: crop})


def ours(dldl, model, isa):
    command = [dldl, "bench", "--model", model, "--size", str(SIZE), "--runs", str(RUNS)]
    command += ["--no-comparators", "--format", "json"]
    speed = json.loads(subprocess.check_output(command, env=os.environ | {"DLDL_ISA": isa}))
    return speed["isa"], speed["cpu_ms"]["median"]


def main():
    dldl = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        plain, sound, int8 = (f"{folder}/{name}.onnx" for name in ("plain", "sound", "int8"))
        subprocess.check_call([dldl, "export", "--out", plain], stdout=subprocess.DEVNULL)
        quant_pre_process(plain, sound, skip_symbolic_shape=True)
        quantize_static(
            sound, int8, Noise(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Relu", "MaxPool"],
        )
        others = {
            "onnxruntime int8": session(int8),
            "onnxruntime f32": session(plain),
            "OpenVINO int8": request(int8),
        }
        crop = np.random.default_rng(0).integers(0, 256, (1, 3, SIZE, SIZE)).astype(np.float32)
        for call in others.values():
            call(crop)
        times = {}
        for _ in range(ROUNDS):
            for name, call in others.items():
                times.setdefault(name, []).append(median_ms(lambda: call(crop)))
            for model in ("random-tiny-int8", "random-tiny"):
                for forced in ("", "avx512", "avx2"):
                    isa, ms = ours(dldl, model, forced)
                    name = f"dldl {'int8' if model.endswith('int8') else 'f32'} {isa}"
                    times.setdefault(name, []).append(ms)
    base = statistics.median(times["onnxruntime int8"])
    print(f"{'TinyAgeNet, one crop':24} CPU ms   by onnxruntime int8")
    for name, all_ms in times.items():
        ms = statistics.median(all_ms)
        print(f"{name:24} {ms:6.2f}   {ms / base:.2f}")


main()
