#!/usr/bin/env python3
"""Convert the MTCNN weights of facenet-pytorch 2.6.0 (MIT) to two safetensors files: the O-Net,
and the two networks of the search.

    pip install facenet-pytorch==2.6.0 safetensors
    python tools/convert_mtcnn.py crates/dldl-face/weights

Tensors keep their PyTorch names, prefixed with that of the network
("pnet.conv1.weight"), with two changes that make the files simpler to use:

* The heads of a network are stacked into one layer "head" (P: 2 + 4 outputs as a
  1x1 convolution; R: 2 + 4; O: 2 + 4 + 10): scores, then the box, then the
  landmarks.
* facenet-pytorch flattens its feature maps as (x, y, channel), inherited from the
  Caffe-Matlab original. The columns of the first dense layer are reordered to the
  usual (channel, y, x), so no transposition is needed.

Weights are stored in half precision, which halves the files to 1.0 MB; biases and
slopes in single precision. Compared with single precision, landmarks of some faces
move by up to 2 % of the inter-ocular distance, since MTCNN chooses between windows
with nearly equal scores; errors of ages are the same.
"""

import sys

import facenet_pytorch
import torch
from safetensors.torch import save_file


def main(out: str) -> None:
    mtcnn = facenet_pytorch.MTCNN()
    heads = {
        "pnet": ["conv4_1", "conv4_2"],
        "rnet": ["dense5_1", "dense5_2"],
        "onet": ["dense6_1", "dense6_2", "dense6_3"],
    }
    # Name of the first dense layer and its input as (channels, height, width).
    flatten = {"rnet": ("dense4", (64, 3, 3)), "onet": ("dense5", (128, 3, 3))}
    tensors = {}
    for net, names in heads.items():
        state = getattr(mtcnn, net).state_dict()
        for part in ["weight", "bias"]:
            stacked = torch.cat([state.pop(f"{n}.{part}") for n in names])
            tensors[f"{net}.head.{part}"] = stacked.reshape(stacked.shape[0], -1) \
                if part == "weight" else stacked
        if net in flatten:
            dense, (c, h, w) = flatten[net]
            weight = state[f"{dense}.weight"]
            state[f"{dense}.weight"] = (
                weight.reshape(-1, w, h, c).permute(0, 3, 2, 1).reshape(weight.shape)
            )
        for name, tensor in state.items():
            tensors[f"{net}.{name}"] = tensor
    tensors = {k: (v.half() if v.dim() > 1 else v.float()).contiguous()
               for k, v in ((k, v.detach()) for k, v in tensors.items())}
    # A single entry: the order of several is undefined, so the files would differ
    # from run to run.
    metadata = {
        "origin": "facenet-pytorch 2.6.0 (MIT, Copyright (c) 2019 Timothy Esler), "
                  "converted by tools/convert_mtcnn.py",
    }
    for file, nets in [("onet", ["onet"]), ("mtcnn-search", ["pnet", "rnet"])]:
        part = {k: v for k, v in tensors.items() if k.split(".")[0] in nets}
        save_file(part, f"{out}/{file}.safetensors", metadata=metadata)
    for name, tensor in sorted(tensors.items()):
        print(name, list(tensor.shape))


if __name__ == "__main__":
    main(sys.argv[1])
