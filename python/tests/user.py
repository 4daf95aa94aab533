"""What users write, checked by mypy; not run."""

from pathlib import Path

import dldl
from dldl import losses

estimator = dldl.Estimator("tiny", threads=2)
for face in estimator.estimate(Path("portrait.jpg"), level=0.8):
    if face.age is not None:
        low, high = face.age.interval(0.9)
        years: float = face.age.value
        print(years, low, high, face.bbox[0], face.age.probabilities[18])

for result in estimator.estimate_batch(["a.jpg", b"...", Path("c.jpg")]):
    if isinstance(result, Exception):
        print(result)
    else:
        print([face.quality for face in result], result.to_dict()["image"])

clip = dldl.video("clip.mp4", estimator=estimator)
for frame in clip:
    print(frame.time, [face.track for face in frame])
people: list[dldl.Person] = clip.people()

weights = dldl.train({"cache": "cache", "run": "run"}, progress=print)["weights"]
print(dldl.evaluate("cache", "cache", model=weights or "tiny"))
values, gradients = losses.loss("dldl-v2", [[0.0] * 101], 30.5)
print(values.mean(), gradients.shape, dldl.to_rows(estimator.estimate(b"")))
