#!/usr/bin/env python3
"""dldl beside onnxruntime, OpenVINO, PyTorch and facenet-pytorch: installs them
into a virtual environment, builds dldl, runs the comparisons, and writes their
tables into docs/performance.md.

    python3 benches/compare/compare.py                        # all of them
    python3 benches/compare/compare.py engines --quick        # one, roughly, printed only

This file needs nothing but Python and cargo. What is measured, and how, is in
the file of each comparison.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = ROOT / "docs" / "performance.md"
COMPARISONS = ["engines", "int8", "detector", "training"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("comparisons", nargs="*", metavar="NAME", help=f"of {COMPARISONS}")
    parser.add_argument("--venv", type=Path, default=ROOT / "target" / "compare-venv",
                        help="the virtual environment, made where it is missing")
    parser.add_argument("--target", type=Path, default=ROOT / "target", help="cargo's target folder")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data",
                        help="where the folders london/ and utkface/ are, for the detector")
    parser.add_argument("--quick", action="store_true", help="few rounds; print, do not write")
    parsed = parser.parse_args()
    unknown = [name for name in parsed.comparisons if name not in COMPARISONS]
    if unknown:
        parser.error(f"no comparison {unknown[0]!r}, but {', '.join(COMPARISONS)}")
    parsed.comparisons = parsed.comparisons or COMPARISONS
    return parsed


def python_of(folder: Path) -> Path:
    """The environment's interpreter; the environment is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet"]
        subprocess.check_call([*pip, "-r", HERE / "requirements.txt"])
        # Its own requirements ask for a PyTorch of 2024; it runs with today's.
        subprocess.check_call([*pip, "--no-deps", "facenet-pytorch==2.6.0"])
    return python


def build(target: Path) -> None:
    cargo = ["cargo", "build", "--release", "--quiet", "--target-dir", target]
    subprocess.check_call(cargo, cwd=ROOT)
    subprocess.check_call([*cargo, "-p", "dldl", "--example", "stages"], cwd=ROOT)


def put(name: str, text: str) -> None:
    """Replaces what stands between the page's markers of that name."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        sys.exit(f"{PAGE}: no markers {begin.strip()} and {end}")
    before, rest = page.split(begin, 1)
    PAGE.write_text(before + begin + "\n" + text.strip() + "\n\n" + end + rest.split(end, 1)[1])


def main() -> None:
    asked = arguments()
    python = python_of(asked.venv)
    build(asked.target)
    for name in asked.comparisons:
        command = [python, HERE / f"{name}.py", asked.target / "release", asked.data]
        command += ["--quick"] if asked.quick else []
        table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(table)
        if not asked.quick:
            put(name, table)


main()
