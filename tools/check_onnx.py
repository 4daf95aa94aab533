"""Compare exported models in onnxruntime with the engine of this project.

    pip install numpy onnx onnxruntime pillow safetensors
    python tools/check_onnx.py --crops DIR [--count 100] [MODEL.safetensors ...]

Needs cargo. DIR contains pictures of aligned faces. Each is decoded and resized
once, so that both sides get the same pixels (JPEG decoders differ slightly).
Without --crops, the pictures are random. Checks the given models (default: those
in models/) and networks with random weights that cover the whole family: both
poolings, odd widths, other labels, a calibration, a recalibration, all kinds of methods, fixed and
free sizes. Exits with 1 if an age differs by more than 0.001 years.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import random_model
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1e-3

BENT = [[0, 0], [30, 22], [50.5, 55], [75, 71.25], [100, 100]]
FAMILY = {
    "random ThinAgeNet": dict(net="thin-age"),
    "random TinyAgeNet, average pooling": dict(net="tiny-age", pooling="average"),
    "random, odd widths, calibrated": dict(net="9 17, 33, 20 40", temperature=1.3),
    "random, other labels, average pooling": dict(
        net="8 8, 16", pooling="average", labels=(1.0, 5.0, 0.1), temperature=0.7
    ),
    "random, a value": dict(net="8 8, 16", method="mr-l1"),
    "random, ranks": dict(net="8 8, 16", method="ranking-bce"),
    "random, soft ranks": dict(net="8 8, 16", method="soft-ranking"),
    "random, pairs of ranks": dict(net="8 8, 16", method="or-cnn"),
    "random, recalibrated": dict(net="8 8, 16", temperature=0.7, recalibration=BENT),
    "random, ranks, recalibrated": dict(net="8 8, 16", method="ranking-bce", recalibration=BENT),
    "random, a median, recalibrated": dict(net="8 8, 16", method="crps", recalibration=BENT),
}


def pictures(folder, count):
    """At most `count` pictures of the folder, or random ones, as Pillow images."""
    if folder is None:
        rng = np.random.default_rng(0)
        return [
            Image.fromarray(rng.integers(0, 256, (14, 14, 3), np.uint8)).resize((224, 224), Image.BICUBIC)
            for _ in range(count)
        ]
    kinds = {".jpg", ".jpeg", ".png"}
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in kinds)[:count]
    if not files:
        sys.exit(f"no pictures in {folder}: expected .jpg, .jpeg or .png files")
    return [Image.open(file).convert("RGB") for file in files]


def cargo(package, *arguments, pixels=None):
    command = ["cargo", "run", "--release", "--quiet", "-p", package, *arguments]
    return subprocess.run(command, cwd=ROOT, input=pixels, stdout=subprocess.PIPE, check=True).stdout


def difference(model, crops, fixed):
    """The largest difference between two ages, the lowest and the highest age."""
    size = crops.shape[1]
    lines = cargo(
        "dldl-net", "--example", "crop_ages", "--", str(model), str(size), pixels=crops.tobytes()
    )
    ours = np.array([float(line) for line in lines.split()])
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        sizes = ["--size", str(size)] if fixed else []
        cargo("dldl-cli", "--", "export", "--model", str(model), "--out", path, *sizes)
        onnx.checker.check_model(path, full_check=True)
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    info = json.loads(session.get_modelmeta().custom_metadata_map["dldl"])
    outputs = sum(o.shape[1] for o in session.get_outputs() if o.name.endswith("logits"))
    theirs = []
    # Batches of 1, 2, ..., 16 crops, then again from 1.
    start, batch = 0, 1
    while start < len(crops):
        x = crops[start : start + batch].transpose(0, 3, 1, 2).astype(np.float32)
        logits, probabilities, expectation = session.run(
            ["logits", "probabilities", "expectation"], {"crops": x}
        )
        n, labels = len(x), info["heads"][0]["labels"]
        count = round((labels["max"] - labels["min"]) / labels["step"]) + 1
        assert logits.shape[0] == n and outputs == info["net"]["outputs"]
        assert probabilities.shape == (n, count) and expectation.shape == (n,)
        assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
        theirs.append(expectation.astype(float))
        start, batch = start + batch, batch % 16 + 1
    theirs = np.concatenate(theirs)
    assert len(theirs) == len(ours) == len(crops)
    return np.abs(theirs - ours).max(), ours.min(), ours.max()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, default=sorted(ROOT.glob("models/*.safetensors")))
    parser.add_argument("--crops", type=Path, help="folder of pictures of aligned faces")
    parser.add_argument("--count", type=int, default=100, help="maximum number of pictures [100]")
    args = parser.parse_args()
    seen = pictures(args.crops, args.count)
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        checked = [(model.stem, model.resolve()) for model in args.models]
        for i, (name, family) in enumerate(FAMILY.items()):
            checked.append((name, Path(folder) / f"{i}.safetensors"))
            random_model.write(checked[-1][1], **family)
        for name, model in checked:
            for size, fixed in [(224, True), (96, False)]:
                crops = np.stack([np.asarray(p.resize((size, size), Image.BICUBIC)) for p in seen])
                most, low, high = difference(model, crops, fixed)
                worst = max(worst, most)
                print(f"{name}, {len(crops)} crops of {size}: {low:.2f} to {high:.2f}, off by {most:.1e} at most")
    print(f"worst: {worst:.1e}, allowed: {LIMIT:.0e}; onnxruntime {ort.__version__}")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
