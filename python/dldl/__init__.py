"""Ages of faces in pictures and video, as distributions with calibrated intervals.

    import dldl
    estimator = dldl.Estimator()
    for face in estimator.estimate("portrait.jpg"):
        print(face.age.value, face.age.interval(0.9))

The model is part of the package: nothing is downloaded, and no picture leaves the machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from typing import Any, TypedDict

from . import _dldl
from ._dldl import (
    DEFAULT_MODEL,
    Dataset,
    Estimate,
    Estimator,
    Evaluation,
    Face,
    Faces,
    Interval,
    Person,
    PictureError,
    Video,
    __version__,
    dataset_names,
    evaluate,
    load_dataset,
    model_names,
)
from ._dldl import DldlError as Error
from .losses import label_distribution
from .notebook import plot
from .tables import to_arrow, to_pandas, to_rows

__all__ = [
    "DEFAULT_MODEL",
    "Dataset",
    "Error",
    "Estimate",
    "Estimator",
    "Evaluation",
    "Face",
    "Faces",
    "Interval",
    "Person",
    "PictureError",
    "TrainResult",
    "Video",
    "__version__",
    "dataset_names",
    "evaluate",
    "label_distribution",
    "load_dataset",
    "model_names",
    "plot",
    "to_arrow",
    "to_pandas",
    "to_rows",
    "train",
    "video",
]

Sequence.register(Faces)


def video(
    source: str | PathLike[str],
    *,
    estimator: Estimator | None = None,
    level: float = 0.9,
    fps: float | None = None,
    start: float | None = None,
    duration: float | None = None,
    search_every: float = 0.3,
    min_frames: int = 3,
    max_gap: float = 1.0,
    ffmpeg: str | PathLike[str] | None = None,
) -> Video:
    """The frames of a video one after the other, each with its faces (:class:`Faces`, whose
    ``frame``, ``time`` in seconds and ``rgb`` are set). A face has the number of its person
    (``track``) from the third frame on, and its estimates are those of all frames of the
    person so far. ``people()`` of what is returned lists the people.

    ``source`` is a file or an address (``rtsp://``). The program ffmpeg has to be installed;
    ``ffmpeg`` is its path if it is not found. At most ``fps`` frames per second are looked at
    (default: all), ``duration`` seconds from ``start``. Whole frames are searched for faces
    every ``search_every`` seconds. A face seen in ``min_frames`` frames is a person, also
    after being out of sight for ``max_gap`` seconds.

    Raises :class:`Error` if there is no such file, or no ffmpeg.
    """
    return _dldl.video(
        source,
        estimator or Estimator(),
        level=level,
        fps=fps,
        start=start,
        duration=duration,
        search_every=search_every,
        min_frames=min_frames,
        max_gap=max_gap,
        ffmpeg=ffmpeg,
    )


class TrainResult(TypedDict):
    """The result of a training."""

    finished: bool
    """Whether it ran to its end."""
    steps: int
    seconds: float
    best_epoch: int | None
    errors: dict[str, float]
    """Errors of the best epoch on the validation split, by head: MAE in units of the label."""
    weights: str | None
    """The weights file, for ``Estimator(...)``; none before the end."""
    run: str
    """The folder with checkpoints, log and charts."""


def train(
    recipe: str | PathLike[str] | Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: Callable[[dict[str, Any]], object] | None = None,
) -> TrainResult:
    """Trains by a recipe, the path of a TOML file or its contents as a dictionary, as
    ``dldl train`` does. ``settings`` overrides values: ``{"phases.0.size": 96}``.

    ``progress`` is called with dictionaries whose ``"event"`` is ``"start"``, ``"step"``
    (``done``, ``loss``, ``images_per_second``), ``"epoch"`` (``val_mae`` and the other values
    of the log) or ``"note"``. Ctrl-C, or an exception raised by ``progress``, ends the training
    with a checkpoint; ``resume=True`` continues from it.

    Raises :class:`ValueError` for a wrong recipe, :class:`Error` if the training fails.
    """
    overrides = [(key, json.dumps(value)) for key, value in (settings or {}).items()]
    if isinstance(recipe, Mapping):
        text = json.dumps(recipe, default=fspath)
        result = _dldl.train(
            None, text, settings=overrides, resume=resume, progress=progress
        )
    else:
        result = _dldl.train(
            recipe, None, settings=overrides, resume=resume, progress=progress
        )
    loaded: TrainResult = json.loads(result)
    return loaded
