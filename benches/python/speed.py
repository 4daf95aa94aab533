"""Speed of the Python package, in one run: CPU time per picture of

- `dldl estimate`, the command;
- `Estimator.estimate_batch` on files and on arrays, and `estimate` one by one;
- facenet-pytorch's MTCNN and onnxruntime with the same network on each aligned face and its
  mirror image.

    pip install DLDL_WHEEL -r benches/compare/requirements.txt
    python benches/python/speed.py --dldl target/release/dldl assets/astronaut.jpg

All of them on one thread. Medians of rounds in turn, so that a busy machine slows all alike."""

import argparse
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import dldl

# Eyes, nose and corners of the mouth in the crop of 96 pixels (`dldl info --format json`).
TEMPLATE = [[27.43, 20.23], [68.57, 20.23], [48.0, 45.6], [30.17, 64.46], [65.83, 64.46]]


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def others(model):
    """What one would write without dldl: a function of a path."""
    import cv2
    import numpy
    import onnxruntime
    import torch
    from facenet_pytorch import MTCNN
    from PIL import Image

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    detector = MTCNN(keep_all=True, device="cpu")
    template = numpy.array(TEMPLATE)

    def ages(path):
        picture = numpy.array(Image.open(path).convert("RGB"))
        boxes, _, points = detector.detect(picture, landmarks=True)
        found = []
        for landmarks in points if boxes is not None else []:
            matrix, _ = cv2.estimateAffinePartial2D(numpy.float32(landmarks), template)
            crop = cv2.warpAffine(picture, matrix, (96, 96))
            views = numpy.float32([crop, crop[:, ::-1]]).transpose(0, 3, 1, 2)
            found.append(session.run(["expectation"], {"crops": views})[0].mean())
        return found

    return ages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dldl", default="dldl", help="the command")
    parser.add_argument("--count", type=int, default=100, help="copies of the picture")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--without-others", action="store_true")
    args = parser.parse_args()
    estimator = dldl.Estimator(threads=1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}{args.picture.suffix}" for i in range(args.count)]
        for file in files:
            file.write_bytes(args.picture.read_bytes())

        def command():
            run = [args.dldl, "estimate", "--threads=1", "--format=ndjson", folder]
            before = cpu_of_children()
            subprocess.run(run, check=True, capture_output=True)
            return cpu_of_children() - before

        def of(work):
            def measure():
                before = time.process_time()
                work()
                return time.process_time() - before

            return measure

        ways = {
            "dldl estimate": command,
            "estimate_batch, files": of(lambda: estimator.estimate_batch(files)),
            "estimate, one by one": of(lambda: [estimator.estimate(file) for file in files]),
        }
        if not args.without_others:
            ages = others(export(args.dldl, folder))
            some = files[: max(1, args.count // 5)]
            scale = len(files) / len(some)
            slow = of(lambda: [ages(file) for file in some])
            ways["facenet-pytorch + onnxruntime"] = lambda: scale * slow()
        times = {name: [] for name in ways}
        for round_ in range(args.rounds + 1):
            for name, measure in ways.items():
                seconds = measure()
                # The first round warms up.
                if round_:
                    times[name].append(1000 * seconds / len(files))
    base = statistics.median(times["dldl estimate"])
    print(f"{'':32}{'ms of CPU':>10}{'ratio':>8}")
    for name, all_ in times.items():
        median = statistics.median(all_)
        print(f"{name:32}{median:10.2f}{median / base:8.2f}")


def export(command, folder):
    """The built-in model as ONNX."""
    path = str(Path(folder).parent / "dldl-speed.onnx")
    subprocess.run([command, "export", "--out", path], check=True, capture_output=True)
    return path


if __name__ == "__main__":
    main()
