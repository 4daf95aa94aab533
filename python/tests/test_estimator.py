"""Pictures in, faces out: the same as the command line, from all kinds of objects."""

import json
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, pixels, png

import dldl


def command(*args: object) -> str:
    """What the command `dldl` prints."""
    run = [sys.executable, "-m", "dldl", *map(str, args)]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout


def test_records_are_those_of_the_command(estimator: dldl.Estimator, portrait: Path) -> None:
    printed = json.loads(command("estimate", "--format", "ndjson", "--threshold", 18, portrait))
    faces = estimator.estimate(portrait)
    assert faces.to_dict(thresholds=[18]) == printed
    face = faces[0]
    assert face.to_dict(thresholds=[18]) == printed["faces"][0]
    assert face.age is not None
    assert round(face.age.value, 2) == printed["faces"][0]["age"]["value"]
    printed = json.loads(
        command("estimate", "--format=ndjson", "--distribution", "--interval=0.5", portrait)
    )
    assert faces.to_dict(level=0.5, distribution=True) == printed
    assert json.loads(faces.to_json(level=0.5, distribution=True)) == printed


def test_attributes(estimator: dldl.Estimator, portrait: Path) -> None:
    faces = estimator.estimate(str(portrait), level=0.8)
    assert (len(faces), faces.width, faces.height) == (1, 512, 512)
    assert (faces.image, faces.model, faces.frame) == (str(portrait), "tiny", None)
    (face,) = faces
    assert faces[0] is face is faces[-1]
    with pytest.raises(IndexError):
        faces[1]
    age, score = face.age, face.score
    assert age is not None and score is not None and score > 0.9
    assert face.landmarks is not None and len(face.landmarks) == 5
    assert (face.rotation, face.track, face.not_assessed, face.real_age) == (0, None, None, None)
    assert face.attractiveness is not None and 1 < float(face.attractiveness) < 5
    assert age.labels == list(range(101)) and abs(sum(age.probabilities) - 1) < 1e-9
    low, high = age.interval()
    assert age.interval().level == 0.8 and age.value in age.interval() and low < high
    assert age.interval(0.5).high < high and age.is_calibrated
    adult = sum(age.probabilities[18:])
    assert age.at_least(18) == pytest.approx(adult, abs=1e-9)
    assert "Face(bbox=(" in repr(faces) and "Estimate(" in repr(age)
    assert estimator.model["input_size"] == 96 and "tiny" in dldl.model_names()


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "pillow", "array", "bgr", "slice"])
def test_kinds_of_pictures(estimator: dldl.Estimator, portrait: Path, kind: str) -> None:
    expected = estimator.estimate(portrait)[0].age
    encoded = kind in ("bytes", "bytearray")
    image: Any = portrait.read_bytes() if encoded else pixels(portrait)
    if kind == "bytearray":
        image = bytearray(image)
    if kind == "pillow":
        image = pytest.importorskip("PIL.Image").open(portrait)
    if kind == "bgr":
        image = image[:, :, ::-1]
    if kind == "slice":
        wide = pytest.importorskip("numpy").repeat(image, 2, axis=1)
        image = wide[:, ::2]
        image.flags.writeable = False
        assert not image.flags.c_contiguous
    age = estimator.estimate(image, bgr=kind == "bgr")[0].age
    assert age is not None and expected is not None
    # Pillow decodes JPEG a little differently.
    assert age.value == expected.value if encoded else abs(age.value - expected.value) < 1.5


def test_gray_and_transparent_pictures(estimator: dldl.Estimator, portrait: Path) -> None:
    numpy = pytest.importorskip("numpy")
    rgb = pixels(portrait)
    opaque = numpy.dstack([rgb, numpy.full(rgb.shape[:2], 255, numpy.uint8)])
    assert estimator.estimate(opaque).to_dict() == estimator.estimate(rgb).to_dict()
    assert len(estimator.estimate(numpy.zeros_like(opaque))) == 0
    assert len(estimator.estimate(rgb.mean(2).astype(numpy.uint8))) == 1


def test_pillow_pictures_are_turned_upright(
    estimator: dldl.Estimator, portrait: Path, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    turned = tmp_path / "turned.png"
    with image.open(portrait) as picture:
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.transpose(image.Transpose.ROTATE_90).save(turned, exif=exif)
    with image.open(turned) as picture:
        from_pillow = estimator.estimate(picture)
    assert from_pillow[0].rotation == 0
    assert from_pillow[0].to_dict() == estimator.estimate(turned)[0].to_dict()


def test_wrong_objects_are_named(estimator: dldl.Estimator, portrait: Path) -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match=r"ndarray of float32.*array of uint8"):
        estimator.estimate(pixels(portrait).astype(numpy.float32))
    with pytest.raises(ValueError, match=r"shape \[3, 512, 512\].*\[height, width, 3\]"):
        estimator.estimate(numpy.ascontiguousarray(pixels(portrait).transpose(2, 0, 1)))
    with pytest.raises(TypeError, match="picture: cannot use list"):
        estimator.estimate([1, 2, 3])
    with pytest.raises(dldl.PictureError, match="at least one pixel"):
        estimator.estimate(numpy.zeros((0, 4, 3), numpy.uint8))
    with pytest.raises(ValueError, match="invalid level 90"):
        estimator.estimate(portrait, level=90)
    with pytest.raises(ValueError, match="threshold NaN"):
        estimator.estimate(portrait).to_dict(thresholds=[float("nan")])
    with pytest.raises(dldl.PictureError, match=r"missing\.jpg: .*No such file"):
        estimator.estimate("missing.jpg")
    with pytest.raises(dldl.Error, match="unknown model `tinny`"):
        dldl.Estimator("tinny")
    with pytest.raises(ValueError, match="yunet or mtcnn"):
        dldl.Estimator(detector="haar")
    with pytest.raises(ValueError, match="threads 0"):
        dldl.Estimator(threads=0)


def test_a_batch_is_in_order_and_keeps_going(
    estimator: dldl.Estimator, pictures: Path
) -> None:
    broken, portrait = pictures / "broken.jpg", pictures / "portrait.jpg"
    images = [portrait, broken, 7, pictures / "landscape.png", portrait.read_bytes()]
    results = estimator.estimate_batch(iter(images), level=0.5)
    faces, error, wrong, empty, again = results
    assert isinstance(faces, dldl.Faces) and isinstance(again, dldl.Faces)
    assert again.image == "images[4]" and again[0].to_dict() == faces[0].to_dict()
    assert faces.to_dict() == estimator.estimate(portrait, level=0.5).to_dict()
    assert isinstance(error, dldl.PictureError) and error.image == str(broken)
    assert str(error) == f"{broken}: {error.reason}"
    assert isinstance(wrong, TypeError) and "images[2]" in str(wrong)
    assert isinstance(empty, dldl.Faces) and list(empty) == []
    assert estimator.estimate_batch([]) == []
    many = estimator.estimate_batch([png(8, 8)] * 600)
    assert len(many) == 600 and all(isinstance(m, dldl.Faces) and not m for m in many)


def test_a_batch_ends_at_ctrl_c(portrait: Path) -> None:
    code = (
        "import dldl, sys, threading, _thread, time\n"
        "estimator = dldl.Estimator()\n"
        "threading.Timer(0.5, _thread.interrupt_main).start()\n"
        "begun = time.monotonic()\n"
        "try:\n"
        "    estimator.estimate_batch([sys.argv[1]] * 100_000)\n"
        "except KeyboardInterrupt:\n"
        "    print(time.monotonic() - begun < 20)\n"
    )
    run = [sys.executable, "-c", code, str(portrait)]
    assert subprocess.run(run, capture_output=True, text=True, timeout=60).stdout == "True\n"


def test_crops(estimator: dldl.Estimator, portrait: Path) -> None:
    numpy = pytest.importorskip("numpy")
    crops = numpy.stack([pixels(portrait)[60:156, 176:272]] * 3)
    faces = estimator.estimate_crops(crops)
    assert len(faces) == 3 and faces[0].score is None
    swapped = estimator.estimate_crops(crops[..., ::-1], bgr=True)
    assert [f.to_dict() for f in swapped] == [f.to_dict() for f in faces]
    whole = dldl.Estimator(detect=False).estimate(crops[0])
    assert whole[0].to_dict() == faces[0].to_dict()
    assert estimator.estimate_crops(crops[:0]) == []
    with pytest.raises(ValueError, match=r"\[N, 96, 96, 3\]"):
        estimator.estimate_crops(crops[0])
    with pytest.raises(TypeError, match="crops: "):
        estimator.estimate_crops(crops.astype(numpy.float64))


def test_options_of_the_estimator(portrait: Path) -> None:
    refused = dldl.Estimator(min_quality=0.99).estimate(portrait)[0]
    assert refused.age is None and "below 0.99" in str(refused.not_assessed)
    assert "not_assessed" in refused.to_dict()
    plain, fused = (dldl.Estimator(flip=flip).estimate(portrait)[0].age for flip in (False, True))
    assert plain is not None and fused is not None and plain.value != fused.value
    quantized = dldl.Estimator(precision="int8")
    assert quantized.model["name"] == "tiny-int8"
    assert len(dldl.Estimator(detector="mtcnn", threads=1).estimate(portrait)) == 1


def test_threads_share_an_estimator(estimator: dldl.Estimator, portrait: Path) -> None:
    expected = estimator.estimate(portrait).to_dict()
    found: list[bool] = []
    work = lambda: found.extend(
        estimator.estimate(portrait).to_dict() == expected for _ in range(5)
    )
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20


def in_child(estimator: dldl.Estimator, portrait: Path, results: Any) -> None:
    batch = estimator.estimate_batch([portrait, portrait])
    whole = [result for result in batch if isinstance(result, dldl.Faces)]
    results.put([estimator.estimate(portrait).to_dict(), *(b.to_dict() for b in whole)])


def test_an_estimator_survives_fork(estimator: dldl.Estimator, portrait: Path) -> None:
    expected = estimator.estimate(portrait).to_dict()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [
        context.Process(target=in_child, args=(estimator, portrait, results)) for _ in range(2)
    ]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [[expected] * 3] * 2
    for child in children:
        child.join(timeout=60)
        assert child.exitcode == 0


def test_nothing_else_is_imported() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['numpy', 'PIL', 'pandas']))\n"
        f"import dldl; print(len(dldl.Estimator().estimate({str(REPOSITORY)!r} "
        "+ '/assets/astronaut.jpg')))"
    )
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout == "1\n"


def test_memory_does_not_grow(portrait: Path, tmp_path: Path) -> None:
    """10,000 calls of each kind, errors included."""
    code = (
        "import dldl, resource, sys\n"
        "estimator = dldl.Estimator(threads=1)\n"
        "small = open(sys.argv[1], 'rb').read()\n"
        "def calls(count):\n"
        "    for i in range(count):\n"
        "        faces = estimator.estimate(small)\n"
        "        faces.to_dict(distribution=True)\n"
        "        [face.age.probabilities for face in faces]\n"
        "        try: estimator.estimate(small[:100])\n"
        "        except dldl.PictureError: pass\n"
        "        try: estimator.estimate(3)\n"
        "        except TypeError: pass\n"
        "    estimator.estimate_batch([small, small[:50], 3] * (count // 3))\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "calls(500); before = peak(); calls(10_000); print(peak() - before)\n"
    )
    small = tmp_path / "small.jpg"
    with pytest.importorskip("PIL.Image").open(portrait) as picture:
        picture.crop((160, 50, 290, 220)).resize((65, 85)).save(small)
    run = [sys.executable, "-c", code, str(small)]
    grown = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 8_000, f"{grown} kB"
