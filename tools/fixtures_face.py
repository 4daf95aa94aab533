#!/usr/bin/env python3
"""Write small picture files in all formats for the tests of `dldl-face`.

    pip install pillow opencv-python-headless
    python tools/fixtures_face.py

All show the same picture of 48 x 32 pixels, six squares of 16 x 16:

    red   green  blue
    white yellow black

In files with transparency, the middle column is half transparent (alpha 128) and
the right one fully. Files are checked by reading them back with Pillow.
"""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

OUT = Path(__file__).resolve().parent.parent / "crates/dldl-face/tests/data/pictures"
COLORS = np.array([[(250, 10, 20), (20, 200, 30), (10, 30, 220)],
                    [(255, 255, 255), (240, 220, 10), (0, 0, 0)]], np.uint8)
PIXELS = COLORS.repeat(16, axis=0).repeat(16, axis=1)
BASE = Image.fromarray(PIXELS)
ALPHA = np.array([255, 128, 0], np.uint8).repeat(16)[None].repeat(32, axis=0)
RGBA = Image.fromarray(np.dstack([PIXELS, ALPHA]))

# The transformation of the upright picture that a file with this EXIF orientation
# stores.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def stored(orientation):
    turn = STORED[orientation]
    return BASE if turn is None else BASE.transpose(turn)


def check(name, tolerance):
    """Checks that Pillow reads the base picture from the file."""
    image = ImageOps.exif_transpose(Image.open(OUT / name)).convert("RGB")
    difference = np.abs(np.asarray(image).astype(int) - PIXELS)
    assert image.size == (48, 32) and difference.max() <= tolerance, (name, difference.max())


def save(image, name, tolerance=0, **options):
    image.save(OUT / name, **options)
    if tolerance is not None:
        check(name, tolerance)


def ycck():
    """Writes a YCCK file. Pillow writes only CMYK, so it gets luma and chroma of the
    inverted colors as channels; then the Adobe marker is patched to YCCK."""
    inverted = Image.fromarray(255 - PIXELS).convert("YCbCr")
    planes = [Image.fromarray(255 - np.asarray(p)) for p in inverted.split()]
    black = Image.new("L", BASE.size, 0)
    file = io.BytesIO()
    Image.merge("CMYK", [*planes, black]).save(file, "JPEG", quality=95)
    data = bytearray(file.getvalue())
    at = data.index(b"Adobe")
    assert data[at + 11] == 0
    data[at + 11] = 2
    (OUT / "ycck.jpg").write_bytes(data)
    check("ycck.jpg", 8)


def png_header(name, width, height):
    """Writes a PNG whose header declares other dimensions than its few bytes hold."""
    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    (OUT / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                             + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    jpeg = {"quality": 95, "subsampling": 0}
    for orientation in STORED:
        save(stored(orientation), f"exif_{orientation}.jpg", 8, exif=exif(orientation), **jpeg)
    save(stored(6), "exif_6.png", exif=exif(6))
    save(stored(6), "exif_6.webp", lossless=True, exif=exif(6))
    save(stored(8), "orientation_8.tiff", tiffinfo={0x0112: 8})

    save(BASE, "progressive.jpg", 8, progressive=True, **jpeg)
    save(BASE, "subsampled.jpg", None, quality=90, subsampling=2)
    save(BASE.convert("L"), "gray.jpg", None, quality=95)
    save(BASE.convert("CMYK"), "cmyk.jpg", 8, quality=95)
    ycck()

    save(BASE, "rgb.png")
    save(BASE.convert("L"), "gray.png", None)
    save(BASE.convert("P", palette=Image.Palette.ADAPTIVE), "palette.png")
    save(RGBA, "rgba.png", None)
    save(RGBA.convert("LA"), "gray_alpha.png", None)
    # 8-bit values times 257 are the same values in 16 bits.
    wide = PIXELS.astype(np.uint16) * 257
    cv2.imwrite(str(OUT / "rgb16.png"), wide[..., ::-1])
    cv2.imwrite(str(OUT / "gray16.png"), np.asarray(BASE.convert("L")).astype(np.uint16) * 257)
    rgba16 = np.dstack([wide[..., ::-1], ALPHA.astype(np.uint16) * 257])
    cv2.imwrite(str(OUT / "rgba16.png"), rgba16)

    second = Image.new("RGB", BASE.size, (90, 90, 90))
    save(BASE.convert("P", palette=Image.Palette.ADAPTIVE), "animated.gif",
         save_all=True, append_images=[second], duration=100)
    save(BASE, "lossless.webp", lossless=True)
    save(BASE, "lossy.webp", None, quality=95)
    save(RGBA, "rgba.webp", None, lossless=True, exact=True)
    save(BASE, "animated.webp", save_all=True, append_images=[second], lossless=True)
    save(BASE, "rgb.bmp")
    save(BASE, "rgb.tiff")
    save(BASE, "lzw.tiff", compression="tiff_lzw")
    save(BASE.convert("CMYK"), "cmyk.tiff")
    cv2.imwrite(str(OUT / "rgb16.tiff"), wide[..., ::-1])

    png_header("bomb.png", 60_000, 60_000)
    png_header("no_width.png", 0, 32)


if __name__ == "__main__":
    main()
