"""The Python section of the project's README."""

import re
import runpy
from pathlib import Path

import pytest
from conftest import REPOSITORY


def test_the_example_of_the_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)
    assert len(blocks) == 1
    file = tmp_path / "example.py"
    file.write_text(blocks[0])
    runpy.run_path(str(file))
    assert re.fullmatch(r"\d\d years, 90 % from \d\d to \d\d\n", capsys.readouterr().out)
