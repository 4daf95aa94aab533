"""The examples of distributed engines, run on a cluster of this machine: every picture has its
row, with the ages of the command line, also when a worker is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

EXAMPLES = REPOSITORY / "python" / "examples"
COUNT = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """Portraits, with a broken picture and one without a face among them."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(COUNT):
        name = "broken.jpg" if i == 7 else "landscape.png" if i == 9 else "portrait.jpg"
        shutil.copy(pictures / name, folder / f"{i:03}{Path(name).suffix}")
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    """What the command line says of each picture."""
    run = [sys.executable, "-m", "dldl", "estimate", "--format=ndjson", str(folder)]
    printed = subprocess.run(run, capture_output=True, text=True, cwd=folder)
    records = [json.loads(line) for line in printed.stdout.splitlines()]
    return {Path(record["image"]).name: record for record in records}


def example(name: str, *args: object) -> subprocess.Popen[str]:
    """Starts an example."""
    run = [sys.executable, str(EXAMPLES / name), *map(str, args)]
    environment = os.environ | {"DLDL_TEST_RUN": str(os.getpid())}
    pipe, same = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(run, text=True, env=environment, stdout=pipe, stderr=same)


def check_rows(out: Path, expected: dict[str, Any]) -> None:
    """Each picture has its row of the table in a folder of Parquet files."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = {Path(row["image"]).name: row for row in parquet.read_table(out).to_pylist()}
    assert rows.keys() == expected.keys() and len(rows) == COUNT
    for name, record in expected.items():
        row = rows[name]
        assert (row["error"] is None) == ("error" not in record), row["error"]
        if not record["faces"]:
            assert row["age"] is None and row["face"] is None
            continue
        age = record["faces"][0]["age"]
        assert row["age"] == age["value"]
        assert row["age_interval_low"] == age["interval"]["low"]
        assert row["age_interval_high"] == age["interval"]["high"]


def test_ray(folder: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    run = example("ray_pictures.py", folder, tmp_path / "out")
    printed, _ = run.communicate(timeout=240)
    assert run.returncode == 0, printed
    check_rows(tmp_path / "out", expected)


def test_ray_loses_nothing_when_a_worker_is_killed(
    folder: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    run = example("ray_pictures.py", folder, tmp_path / "out")
    killed: list[int] = []
    kill = threading.Thread(target=kill_a_worker, args=(run, killed))
    kill.start()
    printed, _ = run.communicate(timeout=300)
    kill.join()
    assert killed, "no worker was there to be killed"
    assert run.returncode == 0, printed
    check_rows(tmp_path / "out", expected)


def kill_a_worker(run: subprocess.Popen[str], killed: list[int]) -> None:
    """Kills the first worker of this run that is at work."""
    while run.poll() is None and not killed:
        time.sleep(0.2)
        for path in Path("/proc").glob("[0-9]*"):
            try:
                title = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if b"MapWorker" in title and b".submit" in title and of_this_test(path):
                os.kill(int(path.name), signal.SIGKILL)
                killed.append(int(path.name))
                return


def of_this_test(process: Path) -> bool:
    """Whether a process was started by these tests."""
    environment = (process / "environ").read_bytes()
    return f"DLDL_TEST_RUN={os.getpid()}".encode() in environment.split(b"\0")


def test_ray_prepares_and_evaluates_in_parts(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    root = tmp_path / "set"
    root.mkdir()
    rows = ["file,age,split"]
    for i in range(20):
        shutil.copy(pictures / "portrait.jpg", root / f"{i}.jpg")
        rows.append(f"{i}.jpg,{20 + i},{'train' if i < 10 else 'test'}")
    (root / "labels.csv").write_text("\n".join(rows))
    data = [f"--root={root}", "--dataset=csv"]
    for what, name, more in [("eval", "figures.json", []), ("prepare", "cache", ["--size=64"])]:
        alone = [sys.executable, "-m", "dldl", what, *data, *more, f"--out={tmp_path / name}"]
        printed = subprocess.run(alone, check=True, capture_output=True, text=True).stdout
        out = tmp_path / f"ray-{name}"
        options = '{"size": 64}' if what == "prepare" else "{}"
        run = example("ray_parts.py", what, *data, "--parts=3", "--out", out, "--options", options)
        merged, _ = run.communicate(timeout=240)
        assert run.returncode == 0, merged
        assert what == "prepare" or printed.strip() in merged
        files = ["."] if what == "eval" else ["cache.json", "train-00000.tar", "test-00000.tar"]
        for file in files:
            assert (out / file).read_bytes() == (tmp_path / name / file).read_bytes()


def test_daft(folder: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("daft")
    parquet = pytest.importorskip("pyarrow.parquet")
    run = example("daft_pictures.py", f"{folder}/*", tmp_path / "out")
    printed, _ = run.communicate(timeout=240)
    assert run.returncode == 0, printed
    rows = {Path(r["path"]).name: r for r in parquet.read_table(tmp_path / "out").to_pylist()}
    assert rows.keys() == expected.keys() and len(rows) == COUNT
    for name, record in expected.items():
        assert (rows[name]["error"] is None) == ("error" not in record)
        faces = [face["age"] for face in rows[name]["faces"]]
        ages = [face["age"] for face in record["faces"]]
        assert [face["value"] for face in faces] == [age["value"] for age in ages]
        assert [face["high"] for face in faces] == [age["interval"]["high"] for age in ages]
