"""Tables, pictures of results, video, and the types of a user's file."""

import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

import dldl

FFMPEG = os.environ.get("DLDL_FFMPEG") or shutil.which("ffmpeg")


def test_rows_are_those_of_the_command(estimator: dldl.Estimator) -> None:
    names = ["portrait.jpg", "landscape.png"]
    run = [sys.executable, "-m", "dldl", "estimate", "--format=csv", "--threshold=18", *names]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    expected = list(csv.DictReader(io.StringIO(printed)))
    rows = dldl.to_rows(estimator.estimate_batch(names), thresholds=[18])
    for row, line in zip(rows, expected, strict=True):
        filled = {name: value for name, value in line.items() if value}
        text = {name: v if isinstance(v, str) else f"{v:.10g}" for name, v in row.items()}
        assert text == filled


def test_tables(estimator: dldl.Estimator, pictures: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    images = [pictures / name for name in ("portrait.jpg", "broken.jpg", "landscape.png")]
    results = estimator.estimate_batch(images)
    frame = dldl.to_pandas(results)
    assert list(frame["image"]) == [str(image) for image in images]
    assert frame["age"].notna().tolist() == [True, False, False]
    assert frame["error"].notna().tolist() == [False, True, False]
    assert frame["error"][1].startswith("truncated JPEG")
    renamed = dldl.to_pandas(results, images=["a", "b", "c"], level=0.5)
    assert list(renamed["image"]) == ["a", "b", "c"]
    assert renamed["age_interval_level"][0] == 0.5
    table = dldl.to_arrow(results)
    assert table.schema.field("age").type == pyarrow.float64()
    assert table.schema.field("face").type == pyarrow.int64()
    assert table.to_pylist()[1]["error"] == frame["error"][1]
    one = dldl.to_pandas(estimator.estimate(images[0]))
    assert isinstance(one, pandas.DataFrame) and len(one) == 1
    assert len(dldl.to_rows([])) == 0


def test_notebooks_show_distributions(estimator: dldl.Estimator, portrait: Path) -> None:
    faces = estimator.estimate(portrait)
    html = faces[0]._repr_html_()
    assert html.startswith("<svg") and "<polyline" in html and "age 27.9" in html
    assert faces._repr_html_() == html
    refused = dldl.Estimator(min_quality=0.99).estimate(portrait)
    assert "below 0.99" in refused[0]._repr_html_()


def test_plot(estimator: dldl.Estimator, portrait: Path, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = dldl.plot(portrait, estimator.estimate(portrait))
    assert len(axes.patches) == 1 and axes.texts[0].get_text().startswith("28 (")
    matplotlib.pyplot.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


@pytest.mark.skipif(not FFMPEG, reason="no ffmpeg")
def test_video(estimator: dldl.Estimator, portrait: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    make = [str(FFMPEG), "-v", "error", "-loop", "1", "-i", str(portrait), "-t", "1"]
    subprocess.run([*make, "-r", "8", "-c:v", "ffv1", str(clip)], check=True)
    video = dldl.video(clip, estimator=estimator, ffmpeg=FFMPEG)
    frames = list(video)
    assert [frame.frame for frame in frames] == list(range(8))
    assert [frame.time for frame in frames][:3] == [0.0, 0.125, 0.25]
    assert [frame[0].track for frame in frames] == [None, None] + [1] * 6
    assert frames[0].rgb is not None and len(frames[0].rgb) == 3 * 512 * 512
    record = frames[5].to_dict()
    assert record["frame"] == 5 and record["faces"][0]["track"] == 1
    assert record["faces"][0]["single"]["age"] > 0
    (person,) = video.people()
    assert (person.track, person.frames) == (1, 8) and person.age is not None
    assert person.to_dict()["age"]["value"] == round(person.age.value, 2)
    few = dldl.video(clip, estimator=estimator, fps=2, start=0.2, duration=0.5, ffmpeg=FFMPEG)
    next(few)
    few.close()
    assert list(few) == []
    with pytest.raises(ValueError, match="invalid fps 0"):
        dldl.video(clip, estimator=estimator, fps=0)
    with pytest.raises(dldl.Error, match=r"missing\.mp4"):
        dldl.video(tmp_path / "missing.mp4", estimator=estimator, ffmpeg=FFMPEG)


def test_the_command_comes_with_the_package() -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(args, capture_output=True, text=True)

    version = run(sys.executable, "-m", "dldl", "--version")
    assert version.stdout == f"dldl {dldl.__version__}\n"
    script = Path(sys.executable).parent / "dldl"
    assert run(str(script), "--version").stdout == version.stdout
    wrong = run(sys.executable, "-m", "dldl", "estimate")
    assert wrong.returncode == 2 and "Usage: dldl estimate" in wrong.stderr


def test_the_types_of_a_users_file() -> None:
    pytest.importorskip("mypy")
    file = REPOSITORY / "python" / "tests" / "user.py"
    run = [sys.executable, "-m", "mypy", "--strict", str(file)]
    checked = subprocess.run(run, capture_output=True, text=True, cwd=file.parent)
    assert checked.returncode == 0, checked.stdout
