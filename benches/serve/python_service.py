"""The service that one would write in Python, for comparison: FastAPI, facenet-pytorch's MTCNN,
and onnxruntime with the same network on each aligned face and its mirror image. A process for
each processor, each with one thread.

    python3 benches/serve/python_service.py --model tiny.onnx --port 8000

Needs fastapi, uvicorn, facenet-pytorch, onnxruntime, opencv-python-headless and pillow."""

import argparse
import io
import os

import cv2
import numpy
import onnxruntime
import torch
import uvicorn
from facenet_pytorch import MTCNN
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image

# Eyes, nose and corners of the mouth in the crop of 96 pixels (`dldl info --format json`).
TEMPLATE = numpy.array([[27.43, 20.23], [68.57, 20.23], [48.0, 45.6], [30.17, 64.46], [65.83, 64.46]])


def make():
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
    detector = MTCNN(keep_all=True, device="cpu")
    app = FastAPI()

    def ages(body):
        try:
            picture = numpy.array(Image.open(io.BytesIO(body)).convert("RGB"))
        except OSError as error:
            raise HTTPException(422, str(error)) from error
        boxes, scores, points = detector.detect(picture, landmarks=True)
        faces = []
        for box, score, landmarks in zip(boxes, scores, points) if boxes is not None else []:
            matrix, _ = cv2.estimateAffinePartial2D(numpy.float32(landmarks), TEMPLATE)
            crop = cv2.warpAffine(picture, matrix, (96, 96))
            views = numpy.float32([crop, crop[:, ::-1]]).transpose(0, 3, 1, 2)
            age = session.run(["expectation"], {"crops": views})[0].mean()
            faces.append({"box": box.tolist(), "score": float(score), "age": float(age)})
        return {"faces": faces}

    @app.post("/v1/estimate")
    async def estimate(request: Request):
        return await run_in_threadpool(ages, await request.body())

    @app.get("/readyz")
    async def ready():
        return "ok"

    return app


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", required=True, help="written by `dldl export`")
    arguments.add_argument("--port", type=int, required=True)
    arguments = arguments.parse_args()
    os.environ["MODEL"] = arguments.model
    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    uvicorn.run("python_service:make", factory=True, port=arguments.port, workers=os.cpu_count(),
                log_level="warning")


if __name__ == "__main__":
    main()
