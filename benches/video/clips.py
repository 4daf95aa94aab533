"""Synthetic clips of real people: two photographs of each (neutral, then smiling), moved,
scaled, turned and blurred from frame to frame, so that the truth of every frame is known.
Needs pillow, numpy and the program ffmpeg."""

import csv
import math
import pathlib
import random
import subprocess

import numpy
from PIL import Image, ImageEnhance, ImageFilter

SIZE = (960, 540)
FPS = 25
BACKGROUND = (96, 104, 112)


def people(london, count):
    """(identity, age, neutral, smiling) of `count` people, spread over the set."""
    rows = {row["file"]: row for row in csv.DictReader(open(london / "labels.csv"))}
    pairs = []
    for file, row in rows.items():
        smiling = file.replace("neutral_front", "smiling_front").replace("_03", "_08")
        if file.startswith("neutral") and smiling in rows and row["age"]:
            images = [london / "images" / name for name in (file, smiling)]
            pairs.append((row["identity"], float(row["age"]), *images))
    return pairs[:: max(1, len(pairs) // count)][:count]


class Mover:
    """One photograph after the other on a smooth path, from a seed."""

    def __init__(self, pictures, size, seed):
        self.random = random.Random(seed)
        self.pictures = [Image.open(p).convert("RGB") for p in pictures]
        self.size = size
        self.phase = [self.random.uniform(0, 2 * math.pi) for _ in range(6)]

    def frame(self, canvas, t, share, center=None):
        """Pastes the person into `canvas` at time `t` in seconds; `share` of the clip has
        passed."""
        p = self.phase
        wave = lambda k, period: math.sin(2 * math.pi * t / period + p[k])
        width, height = canvas.size
        side = self.size * (1 + 0.3 * wave(0, 3.1))
        if center is None:
            center = (width * (0.5 + 0.22 * wave(1, 4.3)), height * (0.5 + 0.12 * wave(2, 2.7)))
        picture = self.pictures[min(int(share * len(self.pictures)), len(self.pictures) - 1)]
        picture = picture.resize((round(side),) * 2, Image.BICUBIC)
        picture = picture.rotate(14 * wave(3, 3.7), Image.BICUBIC, fillcolor=BACKGROUND)
        # Out of focus and moving, now and then; light that flickers.
        blur = max(0.0, 2.2 * wave(4, 1.9)) + self.random.uniform(0, 0.6)
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
        light = 1 + 0.15 * wave(5, 0.8) + self.random.uniform(-0.05, 0.05)
        picture = ImageEnhance.Brightness(picture).enhance(light)
        corner = (round(center[0] - side / 2), round(center[1] - side / 2))
        canvas.paste(picture, corner)


def write(path, seconds, draw, size=SIZE, fps=FPS, seed=0):
    """Writes a clip whose frames are drawn by `draw(canvas, t, share)`, with sensor noise."""
    noise = numpy.random.default_rng(seed)
    command = ["ffmpeg", "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", str(fps), "-i", "-"]
    command += ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "26", str(path)]
    ffmpeg = subprocess.Popen(command, stdin=subprocess.PIPE)
    frames = round(seconds * fps)
    for i in range(frames):
        canvas = Image.new("RGB", size, BACKGROUND)
        draw(canvas, i / fps, i / frames)
        pixels = numpy.asarray(canvas, numpy.float32)
        pixels = pixels + noise.normal(0, 5, pixels.shape).astype(numpy.float32)
        ffmpeg.stdin.write(pixels.clip(0, 255).astype(numpy.uint8).tobytes())
    ffmpeg.stdin.close()
    if ffmpeg.wait() != 0:
        raise SystemExit(f"{path}: ffmpeg failed")


def person_clip(path, pictures, seconds, seed):
    mover = Mover(pictures, 0.62 * SIZE[1], seed)
    write(path, seconds, mover.frame, seed=seed)


def group_clip(path, people, seconds, size, fps=FPS):
    """Several people side by side, each moving in place."""
    width, height = size
    movers = [Mover(p[2:], 0.55 * min(height, width / len(people)), i) for i, p in enumerate(people)]

    def draw(canvas, t, share):
        for i, mover in enumerate(movers):
            x = width * (i + 0.5) / len(movers) + 0.05 * width / len(movers) * math.sin(t + i)
            mover.frame(canvas, t, share, (x, height / 2 + 0.1 * height * math.sin(1.3 * t + i)))

    write(path, seconds, draw, size, fps)


def main():
    """A clip to try: clips.py LONDON_FOLDER OUT.mp4 [PEOPLE]"""
    import sys

    found = people(pathlib.Path(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    if len(found) == 1:
        person_clip(sys.argv[2], found[0][2:], 4, 1)
    else:
        group_clip(sys.argv[2], found, 4, (1280, 720))


if __name__ == "__main__":
    main()
