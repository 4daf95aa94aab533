#!/usr/bin/env python3
"""Convert the weights of YuNet (yunet_n of libfacedetection.train, Apache-2.0) to safetensors.

    git clone https://github.com/ShiqiYu/libfacedetection.train
    pip install onnx onnxruntime pillow safetensors
    python tools/convert_yunet.py libfacedetection.train/onnx/yunet_n_640_640.onnx \\
        crates/dldl-face/weights/yunet.safetensors

The batch norms are folded into the depthwise convolutions already. A unit is a 1x1 convolution
("point") and a depthwise 3x3 convolution ("depth"). The units of the four outputs of a level are
stacked into one, "head": face, object, box (4), landmarks (10). Stored as float32, 0.3 MB.

With --golden PICTURE, prints what onnxruntime finds in a picture whose sides are multiples of 32,
for the tests in `crates/dldl-face/src/yunet`."""

import argparse

import numpy
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

OUTPUTS = ["cls", "obj", "bbox", "kps"]


def converted(path):
    graph = onnx.load(path).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    tensors = {}

    def put(name, node):
        for part, value in zip(("weight", "bias"), node.input[1:]):
            tensors[f"{name}.{part}"] = values[value]

    put("stem", convolutions[0])
    heads = {}
    for point, depth in zip(convolutions[1::2], convolutions[2::2]):
        parts = point.input[1].split(".")
        kind = parts[1].removeprefix("multi_level_")
        if kind in OUTPUTS:
            heads[kind, parts[2]] = (point, depth)
            continue
        names = {"lateral_convs": "lateral", "share_convs": "shared"}
        name = f"{names.get(kind, kind)}.{parts[2]}"
        put(f"{name}.point", point)
        put(f"{name}.depth", depth)
    for level in "012":
        for part, which in (("point", 0), ("depth", 1)):
            for kind, at in (("weight", 1), ("bias", 2)):
                stacked = [values[heads[out, level][which].input[at]] for out in OUTPUTS]
                tensors[f"head.{level}.{part}.{kind}"] = numpy.concatenate(stacked)
    return {name: numpy.ascontiguousarray(value, numpy.float32) for name, value in tensors.items()}


def golden(path, picture):
    """The best face: score, box and landmarks."""
    import onnxruntime
    from PIL import Image

    pixels = numpy.asarray(Image.open(picture).convert("RGB"), numpy.float32)
    height, width, _ = pixels.shape
    model = onnx.load(path)
    for dim, side in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (height, width)):
        dim.dim_value = side
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    blob = pixels[None, :, :, ::-1].transpose(0, 3, 1, 2)
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {"input": numpy.ascontiguousarray(blob)})))
    found = []
    for stride in (8, 16, 32):
        cls, obj, box, points = (outputs[f"{out}_{stride}"][0] for out in OUTPUTS)
        scores = numpy.sqrt(cls[:, 0] * obj[:, 0])
        for i in numpy.flatnonzero(scores > 0.6):
            center = numpy.array([i % (width // stride), i // (width // stride)])
            middle, size = (box[i, :2] + center) * stride, numpy.exp(box[i, 2:]) * stride
            corner = middle - size / 2
            landmarks = (points[i].reshape(5, 2) + center) * stride
            found.append((scores[i], [*corner, *size], landmarks.ravel()))
    for score, box, landmarks in sorted(found, key=lambda face: -face[0])[:1]:
        print(f"score {score:.4f}", *(f"{v:.2f}" for v in [*box, *landmarks]))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("onnx")
    arguments.add_argument("out", nargs="?")
    arguments.add_argument("--golden")
    arguments = arguments.parse_args()
    if arguments.out:
        tensors = converted(arguments.onnx)
        save_file(tensors, arguments.out)
        print(f"{len(tensors)} tensors, {sum(t.size for t in tensors.values())} numbers")
    if arguments.golden:
        golden(arguments.onnx, arguments.golden)


if __name__ == "__main__":
    main()
