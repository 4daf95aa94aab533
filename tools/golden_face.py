#!/usr/bin/env python3
"""Write expected values for the tests of `dldl-face`, computed by other libraries.

    pip install facenet-pytorch==2.6.0 requests pillow scikit-image
    python tools/golden_face.py DATA

DATA is the folder of the datasets (with `london/images`, `utkface/images`,
`fairface`). The files in crates/dldl-face/tests/data:

* mtcnn_golden.json: boxes, scores and landmarks that facenet-pytorch detects, with
  the paper's parameters, in a few photographs. Paths are relative to DATA, or to
  the repository for assets/. facenet-pytorch gets the pixels that dldl-face decodes
  (written by the example `detect`): MTCNN picks the best of several windows whose
  scores differ in the seventh digit, so a tiny difference between two JPEG decoders
  can move a landmark by a few percent.
* align_golden.json: similarity transforms that scikit-image estimates from a few
  sets of landmarks.
* align_crop.png, align_crop_small.png: assets/astronaut.jpg warped by scikit-image
  at about the resolution of the picture, and at a quarter of it (the mean of a warp
  at 8 x 8 points per pixel).
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image
from skimage.transform import SimilarityTransform, warp

REPO = Path(__file__).resolve().parent.parent
OUT = REPO / "crates/dldl-face/tests/data"
ASTRONAUT = REPO / "assets/astronaut.jpg"

# The five landmarks in units of the crop's side, for these tests only.
TEMPLATE = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.35, 0.7], [0.65, 0.7]])


def decoded(paths):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cargo", "run", "-q", "-p", "dldl-face", "--example", "detect", "--",
                        "--ppm", folder, *map(str, paths)],
                       cwd=REPO, check=True, stdout=subprocess.DEVNULL)
        return [Image.open(f"{folder}/{i}.ppm").copy() for i in range(len(paths))]


def detect(mtcnn, image):
    boxes, scores, points = mtcnn.detect(image, landmarks=True)
    faces = []
    if boxes is not None:
        for (x1, y1, x2, y2), score, landmarks in zip(boxes, scores, points):
            faces.append({
                "bbox": [round(float(v), 3) for v in (x1, y1, x2 - x1, y2 - y1)],
                "score": round(float(score), 6),
                "landmarks": [[round(float(v), 3) for v in p] for p in landmarks],
            })
    return faces


def mtcnn_golden(data):
    random.seed(7)
    files = ["assets/astronaut.jpg"]
    for folder, count in [("london/images/neutral_front", 6), ("london/images/smiling_front", 6),
                          ("utkface/images", 14), ("fairface/images", 10)]:
        found = sorted(p for p in (data / folder).rglob("*") if p.suffix in {".jpg", ".webp"})
        files += [str(p.relative_to(data)) for p in random.sample(found, count)]
    mtcnn = MTCNN(keep_all=True, min_face_size=20, thresholds=[0.6, 0.7, 0.7], factor=0.709)
    # As tools/convert_mtcnn.py stores them.
    with torch.no_grad():
        for parameter in mtcnn.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.half().float())
    pictures = []
    paths = [(REPO if name.startswith("assets/") else data.resolve()) / name for name in files]
    for name, image in zip(files, decoded(paths)):
        pictures.append({"file": name, "width": image.width, "height": image.height,
                         "faces": detect(mtcnn, image)})
    (OUT / "mtcnn_golden.json").write_text(
        "{\"pictures\": [\n" + ",\n".join(json.dumps(p) for p in pictures) + "\n]}\n")


def similarity(src, dst):
    fit = SimilarityTransform.from_estimate(src, dst)
    m = fit.params
    return {"from": src.tolist(), "to": dst.tolist(),
            "a": m[0, 0], "b": m[1, 0], "tx": m[0, 2], "ty": m[1, 2]}


def align_golden():
    rng = np.random.default_rng(3)
    fits = []
    for size, scale, angle, noise in [(224, 0.4, 0.0, 1), (224, 3.0, 0.5, 20), (112, 1.0, -2.5, 10),
                                      (64, 8.0, 1.2, 60), (224, 0.1, 3.1, 0.5)]:
        src = TEMPLATE * size
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        dst = scale * src @ rotation.T + rng.uniform(0, 1000, 2) + rng.normal(0, noise, (5, 2))
        fits.append(similarity(src, dst))

    pixels = np.asarray(Image.open(ASTRONAUT)).astype(float)
    landmarks = np.array([[204.9, 101.4], [247.3, 103.8], [224.5, 129.3], [201.7, 139.7],
                          [245.0, 142.8]])

    def crop(size, samples):
        fit = SimilarityTransform.from_estimate(TEMPLATE * size, landmarks)
        grid = (np.arange(size * samples) + 0.5) / samples
        u, v = np.meshgrid(grid, grid)
        xy = fit(np.c_[u.ravel(), v.ravel()]) - 0.5
        coords = np.stack([xy[:, 1].reshape(u.shape), xy[:, 0].reshape(u.shape)])
        out = np.stack([warp(pixels[..., c], coords, order=1, mode="edge", preserve_range=True)
                        for c in range(3)], axis=-1)
        out = out.reshape(size, samples, size, samples, 3).mean(axis=(1, 3))
        return Image.fromarray(np.round(out).astype(np.uint8)), fit.scale

    for name, size, samples in [("align_crop.png", 112, 1), ("align_crop_small.png", 28, 8)]:
        image, scale = crop(size, samples)
        print(name, f"{scale:.3f} picture pixels per crop pixel")
        image.save(OUT / name, optimize=True)
    (OUT / "align_golden.json").write_text(json.dumps(
        {"template": TEMPLATE.tolist(), "landmarks": landmarks.tolist(), "fits": fits}, indent=1))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    align_golden()
    mtcnn_golden(Path(sys.argv[1]))
