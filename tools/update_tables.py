"""Runs the commands that stand in Markdown files and replaces the output below them.

    python3 tools/update_tables.py --dldl target/release/dldl --data FOLDER models/tiny.md ...

A block that is kept up to date has its command in a comment above the fence:

    <!-- output of: dldl eval --dataset utkface --root UTKFACE --split test; paragraphs 1-4 -->
    ```text
    ...
    ```

The names UTKFACE, ALL_AGE_FACES and so on stand for the folders `utkface`, `all-age-faces` and so on
of --data. Of the output, the named paragraphs are kept (counted from 1; default: all). Each command
runs once, however many blocks it fills. --check changes nothing and fails if a block differs;
--only TEXT runs the commands that contain the text."""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys

BLOCK = re.compile(
    r"(<!-- output of: (?P<command>[^;]*?)(?:; paragraphs (?P<paragraphs>[\d,-]+))? -->\n```text\n)"
    r"(?P<text>.*?)(?=\n```\n)",
    re.S,
)
ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--dldl", default=ROOT / "target/release/dldl", type=pathlib.Path)
    arguments.add_argument("--data", required=True, type=pathlib.Path)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--only", default="")
    arguments.add_argument("files", nargs="+", type=pathlib.Path)
    arguments = arguments.parse_args()
    outputs, differing = {}, 0

    def output_of(command):
        if command not in outputs:
            print(command, file=sys.stderr, flush=True)
            outputs[command] = run(command, arguments.dldl.resolve(), arguments.data.resolve())
        return outputs[command]

    for file in arguments.files:
        def replaced(block):
            if arguments.only not in block["command"]:
                return block[0]
            paragraphs = output_of(block["command"]).rstrip("\n").split("\n\n")
            kept = chosen(block["paragraphs"], len(paragraphs))
            return block[1] + "\n\n".join(paragraphs[i] for i in kept)

        before = file.read_text()
        after = BLOCK.sub(replaced, before)
        if after != before:
            differing += 1
            print(f"{file}: {'differs' if arguments.check else 'updated'}")
            if not arguments.check:
                file.write_text(after)
    if arguments.check and differing:
        raise SystemExit(1)


def chosen(text, count):
    """The paragraphs of `1-3,6`, from 0."""
    if not text:
        return range(count)
    ranges = [part.split("-") for part in text.split(",")]
    return [i - 1 for ends in ranges for i in range(int(ends[0]), int(ends[-1]) + 1)]


def run(command, dldl, data):
    words = shlex.split(command)
    if words[0] != "dldl":
        raise SystemExit(f"not a command of dldl: {command}")
    words = [folder(word, data) for word in words[1:]]
    return subprocess.run([dldl, *words], check=True, cwd=ROOT, capture_output=True, text=True).stdout


def folder(word, data):
    """The folder of a dataset for its name in capitals; everything else as it is."""
    name, slash, rest = word.partition("/")
    if re.fullmatch(r"[A-Z][A-Z0-9_]+", name):
        return str(data / name.lower().replace("_", "-")) + slash + rest
    return word


if __name__ == "__main__":
    main()
