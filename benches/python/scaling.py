"""Growth of a job on Ray with its pictures: seconds and the largest memory of a worker, for the
example `python/examples/ray_pictures.py`.

    pip install DLDL_WHEEL "ray[data]" pyarrow
    python benches/python/scaling.py --pictures FAIRFACE/train --counts 100 1000 5000 20000

The pictures are linked into a folder. Seconds are those of the whole job, the start of Ray
included."""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "python" / "examples" / "ray_pictures.py"


def peak_of_workers(stop, peaks):
    """Largest resident set of the processes that estimate, in MB."""
    while not stop.wait(0.2):
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if b"MapWorker" not in (path / "cmdline").read_bytes():
                    continue
                status = (path / "status").read_text()
            except OSError:
                continue
            for line in status.splitlines():
                if line.startswith("VmHWM"):
                    peaks.append(int(line.split()[1]) / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000, 5000, 20000])
    args = parser.parse_args()
    pictures = sorted(path for path in args.pictures.iterdir() if path.suffix in (".jpg", ".png", ".webp"))
    print(f"{'pictures':>10}{'seconds':>10}{'a second':>10}{'worker, MB':>12}{'rows':>8}")
    for count in args.counts:
        if count > len(pictures):
            raise SystemExit(f"{args.pictures} has {len(pictures)} pictures only")
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder) / "pictures", Path(folder) / "out"
            source.mkdir()
            for picture in pictures[:count]:
                os.symlink(picture.resolve(), source / picture.name)
            stop, peaks = threading.Event(), [0.0]
            watch = threading.Thread(target=peak_of_workers, args=(stop, peaks))
            watch.start()
            begun = time.monotonic()
            run = [sys.executable, str(EXAMPLE), str(source), str(out)]
            subprocess.run(run, check=True, capture_output=True)
            seconds = time.monotonic() - begun
            stop.set()
            watch.join()
            import pyarrow.parquet

            rows = pyarrow.parquet.read_table(out).num_rows
            print(f"{count:10}{seconds:10.1f}{count / seconds:10.1f}{max(peaks):12.0f}{rows:8}", flush=True)


if __name__ == "__main__":
    main()
