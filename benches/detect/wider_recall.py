"""How many faces of WIDER FACE are found, by size, and how many detections are no faces.

    cargo run --release -p dldl-face --example detect -- --yunet --ndjson WIDER/images > yunet.ndjson
    python3 benches/detect/wider_recall.py WIDER/boxes.csv yunet.ndjson [EVERY]

boxes.csv has the columns file,x,y,width,height. A face is found if a detection overlaps it by an IoU
of at least 0.5; a detection that overlaps no face by 0.3 is none. With EVERY, only every so many
pictures that were looked at count."""

import collections
import csv
import json
import os
import sys

BANDS = [(0, 20), (20, 32), (32, 64), (64, 128), (128, 100_000)]


def iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def main():
    boxes = collections.defaultdict(list)
    for row in csv.DictReader(open(sys.argv[1])):
        box = [float(row[side]) for side in ("x", "y", "width", "height")]
        boxes[os.path.basename(row["file"])].append(box)
    every = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    there, found, detections, wrong = collections.Counter(), collections.Counter(), 0, 0
    for line in list(open(sys.argv[2]))[every - 1 :: every]:
        record = json.loads(line)
        faces = [face["box"] for face in record["faces"]]
        truth = boxes[os.path.basename(record["image"])]
        detections += len(faces)
        used = set()
        for box in truth:
            side = min(box[2:])
            band = next(band for band in BANDS if band[0] <= side < band[1])
            there[band] += 1
            free = [(iou(box, face), i) for i, face in enumerate(faces) if i not in used]
            best, i = max(free, default=(0.0, -1))
            if best >= 0.5:
                used.add(i)
                found[band] += 1
        for i, face in enumerate(faces):
            wrong += i not in used and all(iou(box, face) < 0.3 for box in truth)
    for band in BANDS:
        if there[band]:
            share = 100 * found[band] / there[band]
            print(f"{band[0]:>4} px and more: {share:5.1f} % of {there[band]} faces")
    print(f"{detections} detections, {wrong} without a face ({100 * wrong / max(1, detections):.1f} %)")


if __name__ == "__main__":
    main()
