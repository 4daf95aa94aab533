"""The Python section of the project's README, the package's README with its notes for those who
come from other packages, and the examples of `dldl.losses`."""

import doctest
import re
import runpy
import types
from pathlib import Path

import pytest
from conftest import REPOSITORY, pixels

import dldl


def test_the_example_of_the_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)
    assert len(blocks) == 1
    file = tmp_path / "example.py"
    file.write_text(blocks[0])
    runpy.run_path(str(file))
    assert re.fullmatch(r"\d\d years, 90 % from \d\d to \d\d\n", capsys.readouterr().out)


def test_the_packages_readme() -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("pandas")
    readme = REPOSITORY / "python" / "README.md"
    failed, tried = doctest.testfile(str(readme), module_relative=False)
    assert failed == 0 and tried >= 10


def test_the_migration_notes_run(estimator: dldl.Estimator, portrait: Path) -> None:
    text = (REPOSITORY / "python" / "README.md").read_text()
    table = text[text.index("| before | with dldl |") :].split("\n\n")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    assert len(rows) == 6
    image = pixels(portrait)
    # OpenCV's pictures are in the order blue, green, red.
    opencv = types.SimpleNamespace(imread=lambda path: pixels(path)[:, :, ::-1])
    names = {"estimator": estimator, "path": str(portrait), "image": image, "cv2": opencv}
    for _, ours in rows:
        for code in re.findall(r"`(.*?)`", ours):
            if code.startswith("."):
                code = "estimator.estimate(image)[0]" + code
            if code.startswith("estimator = "):
                exec(code, {"dldl": dldl})
            else:
                assert eval(code, dict(names))


def test_the_examples_of_the_losses() -> None:
    pytest.importorskip("numpy")
    from dldl import losses

    failed, tried = doctest.testmod(losses)
    assert failed == 0 and tried >= 5
