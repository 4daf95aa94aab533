"""Makes docs/figures/video.jpg: four frames of an annotated clip, in which a shaky camera
moves over the portrait.

    benches/video/strip.py --dldl target/release/dldl"""

import argparse
import math
import pathlib
import subprocess
import tempfile

from PIL import Image, ImageEnhance, ImageFilter

import clips

PORTRAIT = pathlib.Path(__file__).parents[2] / "assets/astronaut.jpg"
TIMES = [0.1, 1.0, 2.0, 2.9]
SIZE = (480, 360)
# The middle of the face in the portrait.
FACE = (224, 117)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dldl", default="target/release/dldl")
    arguments.add_argument("--out", type=pathlib.Path, default="docs/figures/video.jpg")
    arguments = arguments.parse_args()
    portrait = Image.open(PORTRAIT).convert("RGB")

    def draw(canvas, t, share):
        width, height = canvas.size
        zoom = 0.62 + 0.16 * math.sin(2.1 * t)
        angle = 0.12 * math.sin(3.1 * t + 1)
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        x = FACE[0] + 45 * math.cos(1.7 * t) - cos * width / 2 + sin * height / 2
        y = FACE[1] + 22 + 8 * math.sin(2.3 * t) - sin * width / 2 - cos * height / 2
        frame = portrait.transform(SIZE, Image.AFFINE, (cos, -sin, x, sin, cos, y), Image.BICUBIC)
        frame = frame.filter(ImageFilter.GaussianBlur(max(0.0, 1.6 * math.sin(4 * t))))
        canvas.paste(ImageEnhance.Brightness(frame).enhance(1 + 0.15 * math.sin(7 * t)))

    with tempfile.TemporaryDirectory() as folder:
        clip, copy = (pathlib.Path(folder) / name for name in ("clip.mp4", "copy.mp4"))
        clips.write(clip, 3, draw, SIZE)
        subprocess.run([arguments.dldl, "video", clip, "--annotate", copy], check=True)
        strip = Image.new("RGB", (4 * SIZE[0] + 24, SIZE[1]), "white")
        for i, time in enumerate(TIMES):
            frame = pathlib.Path(folder) / f"{i}.png"
            command = ["ffmpeg", "-v", "error", "-ss", str(time), "-i", copy, "-frames:v", "1", frame]
            subprocess.run(command, check=True)
            strip.paste(Image.open(frame), (i * (SIZE[0] + 8), 0))
        strip.save(arguments.out, quality=86)


if __name__ == "__main__":
    main()
