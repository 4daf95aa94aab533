"""Compare exported models in onnxruntime with this project's engine.

    pip install numpy onnx onnxruntime pillow safetensors
    python tools/check_onnx.py --crops DIR [--count 100] [MODEL.safetensors ...]

Needs cargo. DIR holds pictures of aligned faces; each is brought to the size in
question once, and both sides get the same pixels. (Decoders of JPEG differ a
little from each other.) Without --crops, the pictures are random. Checked are the
models named, or else the one in models/, and always networks with random weights
from the whole family: both poolings, odd widths, other labels, a calibration,
all kinds of methods, fixed and free sizes. Exit code 1 if an age differs by more
than 0.001 years.
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
}


def pictures(folder, count):
    """The pictures, as Pillow's."""
    if folder is None:
        rng = np.random.default_rng(0)
        return [
            Image.fromarray(rng.integers(0, 256, (14, 14, 3), np.uint8)).resize((224, 224), Image.BICUBIC)
            for _ in range(count)
        ]
    kinds = {".jpg", ".jpeg", ".png"}
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in kinds)[:count]
    if not files:
        sys.exit(f"{folder}: no pictures")
    return [Image.open(file).convert("RGB") for file in files]


def cargo(package, *arguments, pixels=None):
    command = ["cargo", "run", "--release", "--quiet", "-p", package, *arguments]
    return subprocess.run(command, cwd=ROOT, input=pixels, stdout=subprocess.PIPE, check=True).stdout


def difference(model, crops, fixed):
    """The largest difference in age, and the ages' range."""
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
    theirs = []
    # A batch of one, and then all sizes of batches up to 16.
    start, batch = 0, 1
    while start < len(crops):
        x = crops[start : start + batch].transpose(0, 3, 1, 2).astype(np.float32)
        logits, probabilities, expectation = session.run(
            ["logits", "probabilities", "expectation"], {"crops": x}
        )
        n, labels = len(x), info["labels"]
        count = round((labels["max"] - labels["min"]) / labels["step"]) + 1
        assert logits.shape == (n, info["net"]["outputs"])
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
    parser.add_argument("--crops", type=Path, help="folder with pictures of aligned faces")
    parser.add_argument("--count", type=int, default=100, help="pictures at most [100]")
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
