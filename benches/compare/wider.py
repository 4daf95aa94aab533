"""How many faces of WIDER FACE's validation part are found, by size, how many detections are no
faces, and what it costs: dldl, OpenCV's YuNet and facenet-pytorch's MTCNN on the same pictures
at full size, on one thread, in CPU time with the decoding. They alternate, some pictures at a
time. Needs the pictures and a table of their faces with the columns file,x,y,width,height
(`--wider FOLDER` with images/ and boxes.csv) and YuNet's ONNX file from
https://github.com/ShiqiYu/libfacedetection.train (`--yunet FILE`).

A face is found if a detection overlaps it by an IoU of at least 0.5, each detection for one face; a
detection that overlaps no face by 0.3 is none."""

import collections
import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from common import QUICK, RELEASE, setting

BANDS = [(20, 32), (32, 64), (64, 128), (128, 100_000)]
GROUP = 100
# One picture of so many: facenet-pytorch takes a third of a second for each.
EVERY = 4


def option(name: str) -> Path:
    if name not in sys.argv:
        raise SystemExit(f"{name} is missing: see the first lines of {__file__}")
    return Path(sys.argv[sys.argv.index(name) + 1])


def opencv(paths: list[str]):
    import cv2

    cv2.setNumThreads(1)
    # The score from which dldl accepts faces too.
    detector = cv2.FaceDetectorYN.create(str(option("--yunet")), "", (320, 320), 0.6, 0.45)
    for path in paths:
        picture = cv2.imread(path)
        detector.setInputSize((picture.shape[1], picture.shape[0]))
        _, faces = detector.detect(picture)
        yield path, [] if faces is None else [face[:4].tolist() for face in faces]


def facenet(paths: list[str]):
    import torch
    from facenet_pytorch import MTCNN
    from PIL import Image

    torch.set_num_threads(1)
    detector = MTCNN(keep_all=True, device="cpu")
    for path in paths:
        corners, _ = detector.detect(Image.open(path).convert("RGB"))
        boxes = [] if corners is None else corners.tolist()
        yield path, [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in boxes]


DETECTORS = {
    "facenet-pytorch's MTCNN": facenet,
    "OpenCV's YuNet": opencv,
    "dldl, `--detector mtcnn`": ["--ndjson"],
    "**dldl**": ["--yunet", "--ndjson"],
}


def run(name: str, paths: list[str]) -> tuple[dict[str, list], float]:
    """The boxes by picture, and the CPU time in seconds without the start of Python."""
    def cpu() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    how = DETECTORS[name]
    if isinstance(how, list):
        command = [RELEASE / "examples" / "detect", *how, *paths]
    else:
        command = [sys.executable, *sys.argv, "--one", name, *paths]
    before = cpu()
    environment = os.environ | {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    lines = subprocess.check_output(command, text=True, env=environment).splitlines()
    seconds = cpu() - before
    records = [json.loads(line) for line in lines]
    if not isinstance(how, list):
        seconds = records.pop()["seconds"]
    return {r["image"]: [face["box"] for face in r["faces"]] for r in records}, seconds


def one(name: str, paths: list[str]) -> None:
    """Prints what one of the Python detectors finds. Its start is not counted."""
    import time

    detect = DETECTORS[name]
    next(detect(paths[:1]))
    begin = time.process_time()
    for path, boxes in detect(paths):
        print(json.dumps({"image": path, "faces": [{"box": box} for box in boxes]}))
    print(json.dumps({"seconds": time.process_time() - begin}))


def iou(a: list[float], b: list[float]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def row(name: str, truth: dict[str, list], found: dict[str, list], seconds: float) -> str:
    there, hits = collections.Counter(), collections.Counter()
    detections = wrong = 0
    for image, faces in found.items():
        boxes, used = truth[Path(image).name], set()
        detections += len(faces)
        for box in boxes:
            band = next((b for b in BANDS if b[0] <= min(box[2:]) < b[1]), None)
            there[band] += 1
            free = [(iou(box, face), i) for i, face in enumerate(faces) if i not in used]
            best, i = max(free, default=(0.0, -1))
            if best >= 0.5:
                used.add(i)
                hits[band] += 1
        for i, face in enumerate(faces):
            wrong += i not in used and all(iou(box, face) < 0.3 for box in boxes)
    shares = " | ".join(f"{100 * hits[band] / there[band]:.1f} %" for band in BANDS)
    return (f"| {name} | {shares} | {100 * wrong / detections:.1f} % of {detections:,} "
            f"| {1e3 * seconds / len(found):.1f} |")


def main() -> None:
    folder = option("--wider")
    truth = collections.defaultdict(list)
    for line in csv.DictReader(open(folder / "boxes.csv")):
        truth[Path(line["file"]).name].append([float(line[k]) for k in ("x", "y", "width", "height")])
    paths = sorted(str(path) for path in (folder / "images").rglob("*.jpg"))
    paths = paths[:: 100 if QUICK else EVERY]
    found = {name: {} for name in DETECTORS}
    seconds = collections.Counter()
    for first in range(0, len(paths), GROUP):
        for name in DETECTORS:
            boxes, spent = run(name, paths[first : first + GROUP])
            found[name] |= boxes
            seconds[name] += spent
        print(f"\r{first + GROUP} of {len(paths)} pictures ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"| {len(paths):,} pictures | 20-32 px | 32-64 | 64-128 | 128 and more "
          "| detections without a face | CPU ms a picture |")
    print("|---|---|---|---|---|---|---|")
    for name in DETECTORS:
        print(row(name, truth, found[name], seconds[name]))
    print()
    print(setting("facenet-pytorch", "torch", "opencv-python-headless").split(" Medians")[0])


if __name__ == "__main__":
    if "--one" in sys.argv:
        at = sys.argv.index("--one")
        one(sys.argv[at + 1], sys.argv[at + 2 :])
    else:
        main()
