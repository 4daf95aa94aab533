"""Write a weights file with random weights, for any network of the family.

    pip install numpy safetensors
    python tools/random_model.py thin-age thin.safetensors
    python tools/random_model.py "8 8, 16 16, 24" small.safetensors --pooling average

For benchmarks of untrained networks and for checks over the whole family. The
weights preserve the magnitude of activations from layer to layer, and batch norm is
far from the identity. docs/formats.md describes the file; its description has the
form of version 1.
"""

import argparse
import json

import numpy as np
from safetensors.numpy import save_file

VGG16 = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]
NAMES = {"thin-age": 2, "tiny-age": 4, "vgg16": 1}


def stages(net):
    """Output channels of all convolutions by stage, of a named network or of widths
    like "8 8, 16": spaces between convolutions, commas between stages."""
    if net in NAMES:
        return [[width // NAMES[net] for width in stage] for stage in VGG16]
    return [[int(width) for width in stage.split()] for stage in net.split(",")]


def outputs_of(method, count):
    """Number of outputs of a head with `count` labels."""
    if method in ("mr-l1", "mr-l2"):
        return 1
    if method in ("ranking-bce", "ranking-l2", "soft-ranking", "coral"):
        return count - 1
    return 2 * (count - 1) if method == "or-cnn" else count


def write(
    path, net, pooling="hybrid", labels=(0.0, 100.0, 1.0), temperature=None, seed=1, method="dldl-v2",
    recalibration=None
):
    """Writes the file; `labels` are minimum, maximum and step, `recalibration` the nodes of
    a map of estimates."""
    rng = np.random.default_rng(seed)
    low, high, step = labels
    outputs = outputs_of(method, round((high - low) / step) + 1)
    tensors, inputs = {}, 3
    for i, width in enumerate(sum(stages(net), [])):
        bound = np.sqrt(6 / (9 * inputs))
        tensors[f"conv{i}.weight"] = rng.uniform(-bound, bound, (width, inputs, 3, 3))
        tensors[f"bn{i}.weight"] = rng.uniform(0.5, 1.5, width)
        tensors[f"bn{i}.bias"] = rng.uniform(-0.5, 0.5, width)
        tensors[f"bn{i}.running_mean"] = rng.uniform(-0.5, 0.5, width)
        tensors[f"bn{i}.running_var"] = rng.uniform(0.5, 1.5, width)
        inputs = width
    bound = np.sqrt(6 / inputs)
    tensors["fc.weight"] = rng.uniform(-bound, bound, (outputs, inputs))
    tensors["fc.bias"] = rng.uniform(-0.5, 0.5, outputs)
    info = {
        "name": "random",
        "task": "age",
        "net": {"stages": stages(net), "pooling": pooling, "outputs": outputs},
        "labels": {"min": low, "max": high, "step": step},
        "method": {"name": method},
        "template": {"name": "random", "points": [[0.3, 0.2], [0.7, 0.2], [0.5, 0.5], [0.3, 0.7], [0.7, 0.7]]},
        "input_size": 224,
        "normalization": {"mean": [0.5958, 0.4637, 0.4065], "std": [0.2693, 0.2409, 0.2352]},
    }
    if temperature is not None:
        info["calibration"] = {"temperature": temperature}
    if recalibration is not None:
        info.setdefault("calibration", {})["recalibration"] = recalibration
    tensors = {name: values.astype(np.float32) for name, values in tensors.items()}
    save_file(tensors, path, metadata={"dldl": json.dumps(info)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("net", help='thin-age, tiny-age, vgg16, or widths such as "8 8, 16 16"')
    parser.add_argument("out", help="output file")
    parser.add_argument("--pooling", choices=["hybrid", "average"], default="hybrid")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    write(args.out, args.net, pooling=args.pooling, seed=args.seed)


if __name__ == "__main__":
    main()
