"""Every stage from the file to the age, and facenet-pytorch's MTCNN: the same
pictures, one thread, CPU time, medians over the pictures. Both look for faces of at least
20 pixels."""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from facenet_pytorch import MTCNN
from PIL import Image

from common import DATA, QUICK, RELEASE, bench, setting

COUNT = 6 if QUICK else 60
RUNS = 2 if QUICK else 5
SIDE = 640


def portraits(folder: Path) -> list[Path]:
    """London portraits, resized to SIDE pixels on the longer side."""
    found = sorted((DATA / "london" / "images").rglob("*.jpg"))
    made = []
    for path in found[:: max(1, len(found) // COUNT)][:COUNT]:
        picture = Image.open(path).convert("RGB")
        scale = SIDE / max(picture.size)
        size = [round(side * scale) for side in picture.size]
        made.append(folder / f"{len(made):03}.jpg")
        picture.resize(size, Image.Resampling.LANCZOS).save(made[-1], quality=92)
    return made


def chips() -> list[Path]:
    found = sorted((DATA / "utkface" / "images").glob("*.jpg"))
    return found[:: max(1, len(found) // COUNT)][:COUNT]


def facenet(detector: MTCNN, path: Path) -> dict[str, float]:
    """CPU milliseconds of each stage in its fastest run."""
    best: dict[str, float] = {}
    for _ in range(RUNS):
        begin = time.process_time()
        picture = Image.open(path).convert("RGB")
        middle = time.process_time()
        detector.detect(picture, landmarks=True)
        times = {"decode": middle - begin, "detect": time.process_time() - middle}
        for stage, seconds in times.items():
            best[stage] = min(best.get(stage, 1e9), 1e3 * seconds)
    return best


def ours(paths: list[Path]) -> dict[str, float]:
    command = [RELEASE / "examples" / "stages", "--json", "--runs", str(RUNS), *paths]
    return json.loads(subprocess.check_output(command))["median_cpu_ms"]


def compare(title: str, paths: list[Path]) -> str:
    detector = MTCNN(keep_all=True, device="cpu")
    facenet(detector, paths[0])
    theirs: dict[str, list[float]] = {}
    # The two alternate, a few pictures at a time.
    mine: dict[str, list[float]] = {}
    for first in range(0, len(paths), 6):
        some = paths[first : first + 6]
        for path in some:
            for stage, ms in facenet(detector, path).items():
                theirs.setdefault(stage, []).append(ms)
        for stage, ms in ours(some).items():
            mine.setdefault(stage, []).append(ms)
    rows = [f"| {title} | dldl, CPU ms | facenet-pytorch, CPU ms | ratio |", "|---|---|---|---|"]
    parts = ["YuNet", "windows", "O-Net"]
    order = ["decode", "detect", *parts, "align", "network", "network, flipped too"]
    for stage in order:
        ms = statistics.median(mine[stage])
        other = statistics.median(theirs[stage]) if stage in theirs else None
        name = f"- {stage}" if stage in parts else stage
        there = f"{other:.2f} | {ms / other:.2f}" if other else " | "
        rows.append(f"| {name} | {ms:.2f} | {there} |")
    return "\n".join(rows)


def main() -> None:
    if not (DATA / "london").exists():
        raise SystemExit(f"{DATA} has no folder london: give the folder of the datasets with --data")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        pictures = portraits(Path(folder))
        print(compare(f"{len(pictures)} London portraits, {SIDE} pixels high", pictures))
    print()
    print(compare(f"{COUNT} chips of UTKFace, 200x200", chips()))
    networks = {name: bench(f"random-{name}")["cpu_ms"]["median"] for name in ("tiny", "thin")}
    print()
    print("`network` is TinyAgeNet at the shipped model's 96x96 pixels. At 224x224 one crop takes "
          f"{networks['tiny']:.1f} ms with TinyAgeNet and {networks['thin']:.1f} ms with "
          "ThinAgeNet, the paper's setting.")
    print()
    print(setting("facenet-pytorch", "torch", "pillow").split(" Medians")[0]
          + f" Medians over the pictures of the fastest of {RUNS} runs.")


main()
