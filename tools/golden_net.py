"""Write expected outputs of the networks, computed by PyTorch.

Builds the networks of specification 2.1 from torch modules, in the layout of
training (convolution, batch norm with statistics far from 0 and 1, ReLU, pooling),
and fills them by a formula that crates/dldl-net/tests/golden.rs repeats, so only
the outputs are stored.

    python tools/golden_net.py

The file is crates/dldl-net/tests/data/golden.json. Needs numpy 2 and torch 2.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

OUT = Path(__file__).resolve().parent.parent / "crates/dldl-net/tests/data/golden.json"


def uniform(stream, count):
    """`count` numbers in [0, 1) of 24 bits each: splitmix64 of a counter."""
    with np.errstate(over="ignore"):
        z = np.uint64(stream) << np.uint64(32)
        z = (z + np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**24


def fill(name, tensor, stream):
    u = uniform(stream, tensor.numel())
    if tensor.dim() > 1:  # zero mean, variance 2 / fan-in
        values = (2 * u - 1) * np.sqrt(6.0 / (tensor.numel() // tensor.shape[0]))
    elif name.endswith("running_var") or (name.startswith("bn") and name.endswith(".weight")):
        values = 0.5 + u
    else:
        values = u - 0.5
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(values.astype(np.float32)).reshape(tensor.shape))


class Net(nn.Module):
    def __init__(self, stages, hybrid, outputs):
        super().__init__()
        body, inputs = [], 3
        for s, stage in enumerate(stages):
            for width in stage:
                conv = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
                body += [conv, nn.BatchNorm2d(width), nn.ReLU()]
                inputs = width
            if s + 1 < len(stages) or hybrid:
                body.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*body)
        self.fc = nn.Linear(inputs, outputs)

    def named(self):
        """Names in a weights file and tensors, in order."""
        layers = zip(
            [m for m in self.body if isinstance(m, nn.Conv2d)],
            [m for m in self.body if isinstance(m, nn.BatchNorm2d)],
        )
        for i, (conv, bn) in enumerate(layers):
            yield f"conv{i}.weight", conv.weight
            for part in ["weight", "bias", "running_mean", "running_var"]:
                yield f"bn{i}.{part}", getattr(bn, part)
        yield "fc.weight", self.fc.weight
        yield "fc.bias", self.fc.bias

    def forward(self, x):
        return self.fc(self.body(x).mean(dim=(2, 3)))


def vgg(divisor):
    return [[w // divisor for w in s] for s in [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3]]


MEAN = torch.tensor([0.5958, 0.4637, 0.4065], dtype=torch.float64).reshape(1, 3, 1, 1)
STD = torch.tensor([0.2693, 0.2409, 0.2352], dtype=torch.float64).reshape(1, 3, 1, 1)
CASES = [
    ("tiny-age", vgg(4), True, 64, 1),
    ("tiny-age", vgg(4), True, 224, 2),
    ("tiny-age", vgg(4), False, 96, 3),
    ("thin-age", vgg(2), True, 64, 4),
]


def main():
    torch.set_num_threads(1)
    cases = []
    for name, stages, hybrid, size, seed in CASES:
        net = Net(stages, hybrid, 101).double().eval()
        for i, (tensor_name, tensor) in enumerate(net.named()):
            fill(tensor_name, tensor, seed * 1000 + i + 1)
        pixels = np.floor(uniform(seed * 1000, 3 * size * size) * 256).reshape(size, size, 3)
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255.0
        x = (x - MEAN) / STD
        with torch.no_grad():
            logits, mirrored = net(x)[0], net(x.flip(3))[0]
        p = (torch.softmax(logits, 0) + torch.softmax(mirrored, 0)) / 2
        cases.append({
            "net": name,
            "pooling": "hybrid" if hybrid else "average",
            "size": size,
            "seed": seed,
            "logits": [round(v, 7) for v in logits.tolist()],
            "fused_expectation": round(float((p * torch.arange(101)).sum()), 9),
        })
    OUT.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
