#!/usr/bin/env python3
"""Write small picture files as cameras, phones and programs make them, for the tests of
`dldl-face`.

    pip install pillow numpy
    # cjpeg of libjpeg-turbo, heif-enc of libheif, cjxl of libjxl
    apt-get install libjpeg-turbo-progs libheif-examples libjxl-tools
    python tools/fixtures_formats.py

All show the six squares of `fixtures_face.py`, 48 x 32 pixels.
"""

import io
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

OUT = Path(__file__).resolve().parent.parent / "crates/dldl-face/tests/data/pictures"
COLORS = np.array([[(250, 10, 20), (20, 200, 30), (10, 30, 220)],
                    [(255, 255, 255), (240, 220, 10), (0, 0, 0)]], np.uint8)
PIXELS = COLORS.repeat(16, axis=0).repeat(16, axis=1)
BASE = Image.fromarray(PIXELS)
LYING = BASE.transpose(Image.Transpose.ROTATE_90)  # upright by orientation 6
HEIGHT, WIDTH = PIXELS.shape[:2]


def write(name, data):
    (OUT / name).write_bytes(data)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def cjpeg(name, *options, scans=None):
    ppm = encoded(BASE, "ppm")
    if scans:
        Path("/tmp/scans.txt").write_text(scans)
        options = (*options, "-scans", "/tmp/scans.txt")
    write(name, subprocess.run(["cjpeg", "-quality", "95", *options], input=ppm,
                               capture_output=True, check=True).stdout)


def exif(kind, value, prefix=b"Exif\0\0", tag=0x112):
    entry = struct.pack("<HHI", tag, kind, 1)
    entry += struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value)
    return prefix + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def app1(payload):
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# JPEG: several scans, sampling factors, entropy coding.
each = "0;\n1;\n2;\n"
cjpeg("scans_420.jpg", "-sample", "2x2", scans=each)
cjpeg("scans_420_restart.jpg", "-sample", "2x2", "-restart", "1B", scans=each)
cjpeg("scans_422.jpg", "-sample", "2x1", scans=each)
cjpeg("scans_partly_interleaved.jpg", "-sample", "2x2", scans="0,1;\n2;\n")
cjpeg("sampling_all_2x1.jpg", "-sample", "2x1,2x1,2x1")
cjpeg("sampling_chroma_2x2.jpg", "-sample", "1x1,2x2,2x2")
cjpeg("sampling_3x1.jpg", "-sample", "3x1")
cjpeg("rgb_components.jpg", "-rgb")
cjpeg("arithmetic.jpg", "-arithmetic")

# Orientation in all its places.
jpeg = encoded(LYING, "jpeg", quality=97, subsampling=0)
start, rest = jpeg[:2], jpeg[2:]
xmp = (b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/">'
       b'<rdf:Description tiff:Orientation="6"/></x:xmpmeta>')
write("orientation_long.jpg", start + app1(exif(4, 6)) + rest)
write("orientation_byte.jpg", start + app1(exif(1, 6)) + rest)
write("orientation_xmp.jpg", start + app1(xmp) + rest)
write("orientation_second_exif.jpg",
      start + app1(exif(3, 1, tag=0x10F)) + app1(exif(3, 6)) + rest)
png = encoded(LYING, "png")
bare = exif(3, 6, prefix=b"")
write("orientation_late.png", png[:-12] + chunk(b"eXIf", bare) + png[-12:])
write("orientation_prefix.png", png[:33] + chunk(b"eXIf", exif(3, 6)) + png[33:])
text = b"\nexif\n%8d\n" % (len(bare) + 6) + (b"Exif\0\0" + bare).hex().encode() + b"\n"
write("orientation_text.png", png[:33] + chunk(
    b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)) + png[33:])
webp = bytearray(encoded(LYING, "webp", lossless=True, exif=bare))
at = webp.index(b"EXIF")
block = exif(3, 6)
webp = webp[:at] + b"EXIF" + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
webp[4:8] = struct.pack("<I", len(webp) - 8)
write("orientation_prefix.webp", bytes(webp))


# Color profiles.
def profile(primaries, gamma, white=(0.3127, 0.3290)):
    """A matrix profile, its primaries adapted to D50 by Bradford's method."""
    def fixed(v):
        return struct.pack(">i", round(v * 65536))

    def xyz(x, y):
        return np.array([x / y, 1, (1 - x - y) / y])

    matrix = np.array([xyz(*p) for p in primaries]).T
    matrix = matrix * np.linalg.solve(matrix, xyz(*white))
    cone = np.array([[.8951, .2664, -.1614], [-.7502, 1.7135, .0367], [.0389, -.0685, 1.0296]])
    d50 = np.array([.9642, 1, .8249])
    gain = np.diag((cone @ d50) / (cone @ xyz(*white)))
    matrix = np.linalg.inv(cone) @ gain @ cone @ matrix

    def column(v):
        return b"XYZ \0\0\0\0" + b"".join(fixed(x) for x in v)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    name += bytes(-len(name) % 4)
    tags = [(b"desc", name), (b"cprt", b"text\0\0\0\0none\0\0\0\0"), (b"wtpt", column(d50)),
            (b"rXYZ", column(matrix[:, 0])), (b"gXYZ", column(matrix[:, 1])),
            (b"bXYZ", column(matrix[:, 2])),
            (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve)]
    offset = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags:
        table += tag + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(">I", 128 + len(table) + len(body)) + b"none" + struct.pack(">I", 0x2400000)
    head += b"mntrRGB XYZ " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += b"".join(fixed(v) for v in d50)
    return head.ljust(128, b"\0") + table + body


SRGB = [(.64, .33), (.30, .60), (.15, .06)]
P3 = profile([(.680, .320), (.265, .690), (.150, .060)], 2.2)
PROFILES = {
    "p3.png": P3,
    "p3.jpg": P3,
    "adobe_rgb.png": profile([(.64, .33), (.21, .71), (.15, .06)], 2.2),
    "prophoto.png": profile([(.7347, .2653), (.1596, .8404), (.0366, .0001)], 1.8, (.3457, .3585)),
    "linear.png": profile(SRGB, 1.0),
}
for name, icc in PROFILES.items():
    image = ImageCms.profileToProfile(
        BASE, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        renderingIntent=1, outputMode="RGB")
    options = {"quality": 97, "subsampling": 0} if name.endswith("jpg") else {}
    image.save(OUT / name, icc_profile=icc, **options)
linear = ((PIXELS / 255.0) ** 2.2 * 65535).round().astype(">u2")
rows = b"".join(b"\0" + row.tobytes() for row in linear)
write("gamma_chunk.png", b"\x89PNG\r\n\x1a\n" + chunk(
    b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)) + chunk(
    b"gAMA", struct.pack(">I", 100000)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# TIFF: a thumbnail first, as in camera files; palettes; YCbCr.
def thumbnail_first(in_chain):
    thumb, full = BASE.resize((12, 8)).tobytes(), BASE.tobytes()
    blob = struct.pack("<HHH", 8, 8, 8) + b"\0\0" + thumb + full

    def directory(width, height, offset, size, kind, sub=None, following=0):
        tags = [(254, 4, kind), (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1),
                (262, 3, 2), (273, 4, offset), (277, 3, 3), (278, 4, height), (279, 4, size)]
        tags += [(330, 4, sub)] if sub else []
        data = struct.pack("<H", len(tags))
        for tag, form, value in tags:
            count = 3 if tag == 258 else 1
            field = struct.pack("<I", value) if form == 4 or count == 3 else struct.pack(
                "<HH", value, 0)
            data += struct.pack("<HHI", tag, form, count) + field
        return data + struct.pack("<I", following)

    at = 8 + len(blob)
    inner = directory(WIDTH, HEIGHT, 16 + len(thumb), len(full), 0)
    links = {"following": at} if in_chain else {"sub": at}
    outer = directory(12, 8, 16, len(thumb), 1, **links)
    return b"II*\0" + struct.pack("<I", at + len(inner)) + blob + inner + outer


write("thumbnail_first.tiff", thumbnail_first(True))
write("sub_directory.tiff", thumbnail_first(False))
BASE.quantize(16).save(OUT / "palette.tiff")
BASE.convert("YCbCr").save(OUT / "ycbcr.tiff")
BASE.convert("L").convert("1").save(OUT / "fax.tiff", compression="group3")


# BMP: 16 bits, palettes, runs.
def bmp(name, bits, compression, data, masks=b"", colors=b""):
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, bits, compression, len(data), 0, 0,
                       len(colors) // 4, 0)
    start = 14 + len(head) + len(masks) + len(colors)
    write(name, b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + masks +
          colors + data)


wide = PIXELS.astype(np.uint16)
packed = (wide[..., 0] >> 3) << 11 | (wide[..., 1] >> 2) << 5 | wide[..., 2] >> 3
bmp("rgb565.bmp", 16, 3, packed[::-1].astype("<u2").tobytes(),
    masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
packed = (wide[..., 0] >> 3) << 10 | (wide[..., 1] >> 3) << 5 | wide[..., 2] >> 3
bmp("rgb555.bmp", 16, 0, packed[::-1].astype("<u2").tobytes())
unused = np.dstack([PIXELS[..., ::-1], np.zeros((HEIGHT, WIDTH), np.uint8)])
bmp("unused_byte.bmp", 32, 0, unused[::-1].tobytes())
palette = b"".join(bytes(c[::-1]) + b"\0" for c in COLORS.reshape(-1, 3))
row = [bytes([0x10, 0x10 * c + c]) for c in range(6)]
bmp("runs4.bmp", 4, 2, (b"".join(row[3:]) + b"\0\0") * 16 + (b"".join(row[:3]) + b"\0\0") * 16
    + b"\0\1", colors=palette)
row = [bytes([0x10, c]) for c in range(6)]
literal = b"\0\x10" + bytes([0] * 16)
bmp("runs8.bmp", 8, 1, (b"".join(row[3:]) + b"\0\0") * 16
    + (literal + b"".join(row[1:3]) + b"\0\0") * 16 + b"\0\1", colors=palette)

# Formats of phones and browsers. HEVC wants more than 16 pixels: four times the size.
LARGE = BASE.resize((4 * WIDTH, 4 * HEIGHT), Image.Resampling.NEAREST)
LARGE.save("/tmp/large.png")
subprocess.run(["heif-enc", "-q", "90", "/tmp/large.png", "-o", OUT / "photo.heic"], check=True)
subprocess.run(["heif-enc", "-A", "-q", "60", "/tmp/large.png", "-o", OUT / "photo.avif"],
               check=True)
BASE.save("/tmp/base.png")
for name, container in [("photo.jxl", "0"), ("container.jxl", "1")]:
    subprocess.run(["cjxl", "--quiet", "-d", "0", f"--container={container}", "/tmp/base.png",
                    OUT / name], check=True)
