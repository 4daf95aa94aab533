#!/usr/bin/env python3
"""Compare dldl with onnxruntime, OpenVINO, PyTorch and facenet-pytorch: install them
into a virtual environment, build dldl, run the comparisons, and write the tables
into docs/performance.md.

    python3 benches/compare/compare.py                        # all comparisons
    python3 benches/compare/compare.py engines --quick        # one, few rounds, printed only

Needs only Python and cargo. The file of each comparison describes what it measures
and how.
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
    parser.add_argument("comparisons", nargs="*", metavar="NAME", help=f"comparisons to run, of {', '.join(COMPARISONS)} [all]")
    parser.add_argument("--venv", type=Path, default=ROOT / "target" / "compare-venv",
                        help="the virtual environment, created if it does not exist")
    parser.add_argument("--target", type=Path, default=ROOT / "target", help="cargo's target folder")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data",
                        help="folder with london/ and utkface/, for the detector")
    parser.add_argument("--quick", action="store_true", help="few rounds; print the tables instead of writing them")
    parsed = parser.parse_args()
    unknown = [name for name in parsed.comparisons if name not in COMPARISONS]
    if unknown:
        parser.error(f"unknown comparison {unknown[0]!r}: expected {', '.join(COMPARISONS)}")
    parsed.comparisons = parsed.comparisons or COMPARISONS
    return parsed


def python_of(folder: Path) -> Path:
    """The environment's interpreter; creates the environment if it does not exist."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet"]
        subprocess.check_call([*pip, "-r", HERE / "requirements.txt"])
        # Its requirements pin a PyTorch of 2024, but it runs with current versions.
        subprocess.check_call([*pip, "--no-deps", "facenet-pytorch==2.6.0"])
    return python


def build(target: Path) -> None:
    cargo = ["cargo", "build", "--release", "--quiet", "--target-dir", target]
    subprocess.check_call(cargo, cwd=ROOT)
    subprocess.check_call([*cargo, "-p", "dldl", "--example", "stages"], cwd=ROOT)


def put(name: str, text: str) -> None:
    """Replaces the text between the page's markers of that name."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        sys.exit(f"{PAGE}: markers {begin.strip()} and {end} not found")
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
