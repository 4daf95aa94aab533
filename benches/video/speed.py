"""Frames per second of `dldl video`, decoding included, by resolution and number of faces,
beside the usual Python stack on the same clips in the same run: OpenCV decodes,
facenet-pytorch's MTCNN finds the faces in every frame, onnxruntime runs the same network on
each aligned face (one pass, where dldl also runs its mirror image).

    benches/video/speed.py --dldl target/release/dldl --london ../shared/data/london

Needs pillow, numpy, opencv-python-headless, torch, facenet-pytorch, onnxruntime and the
program ffmpeg. Prints a table: wall time with all processors, and CPU time per frame."""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

import cv2
import numpy
import onnxruntime
import torch
from facenet_pytorch import MTCNN

import clips

SIZES = [(640, 360), (1280, 720), (1920, 1080)]
FACES = [1, 4]
FPS = 30
# Eyes, nose and corners of the mouth in the crop of 96 pixels (`dldl info --format json`).
TEMPLATE = numpy.array([[27.43, 20.23], [68.57, 20.23], [48.0, 45.6], [30.17, 64.46], [65.83, 64.46]])


def measured(work):
    """Seconds of wall time and of CPU time, this process and its children."""
    def cpu():
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    begin, used = time.perf_counter(), cpu()
    frames = work()
    return (time.perf_counter() - begin) / frames, (cpu() - used) / frames


def ours(dldl, clip):
    def work():
        lines = subprocess.check_output([dldl, "video", clip, "--format", "ndjson"])
        return lines.count(b"\n")

    return measured(work)


class Stack:
    def __init__(self, model):
        self.detector = MTCNN(keep_all=True, device="cpu")
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def run(self, clip, frames):
        def work():
            video, done = cv2.VideoCapture(str(clip)), 0
            while done < frames:
                there, frame = video.read()
                if not there:
                    break
                frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                _, _, points = self.detector.detect(frame, landmarks=True)
                crops = []
                for landmarks in points if points is not None else []:
                    matrix, _ = cv2.estimateAffinePartial2D(numpy.float32(landmarks), TEMPLATE)
                    crop = cv2.warpAffine(frame, matrix, (96, 96))
                    crops.append(crop.transpose(2, 0, 1))
                if crops:
                    self.session.run(["expectation"], {"crops": numpy.float32(crops)})
                done += 1
            return done

        return measured(work)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dldl", default="target/release/dldl")
    arguments.add_argument("--london", type=pathlib.Path, required=True)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--keep", type=pathlib.Path, help="folder for the clips")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "tiny.onnx"
        export = [arguments.dldl, "export", "--model", "tiny", "--out", model]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        stack = Stack(model)
        folder = arguments.keep or pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        print("| frame | faces | dldl, frames/s | Python stack, frames/s | ratio "
              "| dldl, CPU ms per frame | Python stack |")
        print("|---|---|---|---|---|---|---|")
        for size in SIZES:
            for faces in FACES:
                clip = folder / f"{size[1]}-{faces}.mp4"
                if not clip.exists():
                    people = clips.people(arguments.london, faces)
                    clips.group_clip(clip, people, arguments.seconds, size, FPS)
                mine, theirs = [], []
                # The two alternate; the stack on the first second is slow enough to measure.
                for _ in range(arguments.rounds):
                    mine.append(ours(arguments.dldl, clip))
                    theirs.append(stack.run(clip, FPS))
                (wall, cpu), (other, other_cpu) = (
                    [statistics.median(column) for column in zip(*rows)] for rows in (mine, theirs)
                )
                print(f"| {size[0]} x {size[1]} | {faces} | {1 / wall:.0f} | {1 / other:.1f} "
                      f"| {other / wall:.1f} | {1e3 * cpu:.1f} | {1e3 * other_cpu:.1f} |", flush=True)
    versions = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, OpenCV {cv2.__version__}"
    print(f"\n{os.cpu_count()} processors; {versions}; medians of {arguments.rounds} rounds.")


if __name__ == "__main__":
    main()
