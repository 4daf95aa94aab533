"""Prepares or evaluates a labeled dataset on a cluster of Ray, in parts that are joined at the
end: the cache, or the figures, are those of a single machine, to the last byte.

    python ray_parts.py prepare --dataset utkface --root /shared/utkface --out cache/utkface
    python ray_parts.py eval --dataset utkface --root /shared/utkface --out utkface.json

The folders have to be shared by all machines. A part whose worker is killed is done again; a
prepared part continues where it was.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ray

import dldl


@ray.remote(max_retries=-1)
def prepare(dataset: str, root: str, options: dict[str, Any], part: str, out: str) -> str:
    """Prepares one part."""
    size = options.pop("size")
    loaded = dldl.load_dataset(dataset, root, **options)
    loaded.prepare(out, size=size, part=part, threads=1)
    return out


@ray.remote(max_retries=-1)
def evaluate(dataset: str, root: str, options: dict[str, Any], part: str, out: str) -> str:
    """Evaluates one part."""
    evaluation = dldl.evaluate(dataset, root, part=part, threads=1, **options)
    Path(out).write_text(evaluation.to_json())
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["prepare", "eval"])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--parts", type=int, help="default: four per processor")
    parser.add_argument("--options", type=json.loads, default={}, help="of dldl, as JSON")
    args = parser.parse_args()
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    count = args.parts or 4 * int(ray.cluster_resources()["CPU"])
    work = prepare if args.what == "prepare" else evaluate
    options = {"size": 224} | args.options if args.what == "prepare" else args.options
    root, out = str(Path(args.root).resolve()), str(Path(args.out).resolve())
    parts = [
        work.remote(args.dataset, root, options, f"{number}/{count}", f"{out}.part-{number}")
        for number in range(1, count + 1)
    ]
    merge = [sys.executable, "-m", "dldl", "merge", *ray.get(parts), "--out", out]
    return subprocess.run(merge).returncode


if __name__ == "__main__":
    sys.exit(main())
