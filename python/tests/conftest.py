"""Pictures for the tests: the portrait, and broken and empty ones."""

import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

import dldl

REPOSITORY = Path(__file__).parents[2]
PORTRAIT = REPOSITORY / "assets" / "astronaut.jpg"


@pytest.fixture(scope="session")
def portrait() -> Path:
    """A picture with one face."""
    return PORTRAIT


@pytest.fixture(scope="session")
def estimator() -> dldl.Estimator:
    """The built-in model."""
    return dldl.Estimator()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with portrait.jpg, broken.jpg and landscape.png, which has no face."""
    folder = tmp_path_factory.mktemp("pictures")
    shutil.copy(PORTRAIT, folder / "portrait.jpg")
    (folder / "broken.jpg").write_bytes(PORTRAIT.read_bytes()[:9000])
    (folder / "landscape.png").write_bytes(png(96, 64))
    return folder


@pytest.fixture(autouse=True)
def in_folder(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the README begin in the folder of pictures. (In that of the sources,
    processes would not import the installed package.)"""
    monkeypatch.chdir(pictures)


def png(width: int, height: int) -> bytes:
    """A picture whose colors change from left to right."""
    row = b"\0" + b"".join(bytes((x, 90, 160)) for x in range(width))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * height)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def pixels(path: Path) -> Any:
    """A picture as an array of NumPy."""
    numpy = pytest.importorskip("numpy")
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as picture:
        return numpy.asarray(picture.convert("RGB"))
