"""Arrange portraits as a group picture, to try `dldl estimate` on many faces at once.

    pip install pillow==13.0.0
    python tools/group_picture.py --london LONDON --out group.jpg
    dldl estimate group.jpg --annotate annotated/

LONDON is the folder of the Face Research Lab London Set (DeBruine and Jones 2017, CC BY
4.0): labels.csv of file,identity,age,... next to images/. The neutral portraits are placed
in rows, those behind a little smaller and half hidden, as people stand in a group picture.
GROUP.csv beside the picture has the face of each place: file, age, and the middle of the
face in pixels. The result shows people: check the terms before it is published."""

import argparse
import csv
import random
from pathlib import Path

from PIL import Image

ROWS, COLUMNS = 5, 10
# Width of a portrait in the last and in the first row, in pixels.
WIDTHS = (150, 210)
BACKGROUND = (205, 208, 212)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--london", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jpg")
    args = parser.parse_args()
    with open(args.london / "labels.csv", newline="") as file:
        people = {}
        for row in csv.DictReader(file):
            if row["age"] and row["identity"]:
                people.setdefault(row["identity"], row)
    people = list(people.values())
    if len(people) < ROWS * COLUMNS:
        raise SystemExit(f"{args.london}: {len(people)} people with an age, expected {ROWS * COLUMNS}")
    random.Random(1).shuffle(people)
    width, step = 2100, 175
    picture = Image.new("RGB", (width, 20 + (ROWS - 1) * step + WIDTHS[1]), BACKGROUND)
    places = []
    for i, person in enumerate(people[: ROWS * COLUMNS]):
        row, column = divmod(i, COLUMNS)
        portrait = Image.open(args.london / "images" / person["file"]).convert("RGB")
        side = round(WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * row / (ROWS - 1))
        portrait = portrait.resize((side, round(side * portrait.height / portrait.width)), Image.LANCZOS)
        x = round((column + 0.5 + (0.25 if row % 2 else -0.05)) * width / (COLUMNS + 0.4)) - side // 2
        y = 10 + row * step
        picture.paste(portrait, (x, y))
        places.append((person["file"], person["age"], x + side // 2, y + portrait.height // 2))
    picture.save(args.out, quality=92)
    with open(args.out.with_suffix(".csv"), "w", newline="") as file:
        csv.writer(file).writerows([("file", "age", "x", "y"), *places])
    print(f"{args.out}: {len(places)} faces, {picture.width}x{picture.height}")


if __name__ == "__main__":
    main()
