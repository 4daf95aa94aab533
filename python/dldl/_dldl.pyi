"""The compiled part of the package."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, final

_Path = str | PathLike[str]
_Labels = tuple[float, float, float]

__version__: str
DEFAULT_MODEL: str

class DldlError(Exception):
    """A failure that is not a wrong argument: a model that cannot be loaded, a dataset that
    cannot be read, a training that fails."""

class PictureError(DldlError):
    """A picture that cannot be used. The message is ``image: reason``."""

    image: str
    """The path, or ``images[3]`` for the fourth of a batch."""
    reason: str
    """What is wrong with it."""

@final
class Interval:
    """A range that holds the true value with a probability of ``level``; unpacks as
    ``low, high``."""

    @property
    def low(self) -> float:
        """The lower end, in units of the estimate."""
    @property
    def high(self) -> float:
        """The upper end."""
    @property
    def level(self) -> float:
        """The probability, between 0 and 1."""
    def __iter__(self) -> Iterator[float]: ...
    def __contains__(self, value: float) -> bool: ...

@final
class Estimate:
    """The estimate of one task: years for ages, points for attractiveness."""

    @property
    def task(self) -> str:
        """``age``, ``attractiveness`` or ``real_age``."""
    @property
    def value(self) -> float:
        """The estimate."""
    @property
    def std(self) -> float:
        """Standard deviation of the distribution."""
    @property
    def labels(self) -> list[float]:
        """The K labels: the ages 0 to 100, or points."""
    @property
    def probabilities(self) -> list[float]:
        """The probability of each label, [K]; sums to 1."""
    @property
    def is_calibrated(self) -> bool:
        """Whether the model's intervals were calibrated on pictures that it had not seen."""
    def interval(self, level: float | None = None) -> Interval:
        """The interval that holds the true value with a probability of ``level`` (default: the
        level that was asked for, 0.9). If the model is calibrated, that probability is true of
        pictures like those it was calibrated on.

        Raises :class:`ValueError` for a level that is not between 0 and 1."""
    def at_least(self, threshold: float) -> float:
        """The probability of being at least ``threshold``, 0 to 1."""
    def __float__(self) -> float: ...

@final
class Face:
    """A face and its estimates. Coordinates are pixels of the upright picture, x to the right,
    y down."""

    @property
    def bbox(self) -> list[float]:
        """Left, top, width, height; may reach beyond the picture."""
    @property
    def score(self) -> float | None:
        """The detector's confidence that this is a face, 0 to 1; none without detection."""
    @property
    def landmarks(self) -> list[tuple[float, float]] | None:
        """Left eye, right eye, nose, left and right corner of the mouth, as seen when the face
        is upright; none without detection."""
    @property
    def rotation(self) -> int | None:
        """By how many degrees the face is turned clockwise: 0, 90, 180 or 270."""
    @property
    def quality(self) -> float:
        """How well the picture suits an estimate, 0 to 1."""
    @property
    def not_assessed(self) -> str | None:
        """Why the face has no estimates (``min_quality``); none if it has."""
    @property
    def track(self) -> int | None:
        """In a video, the number of the person; none until seen in several frames."""
    @property
    def age(self) -> Estimate | None:
        """Apparent age; none if the model does not estimate it, or the face is not assessed."""
    @property
    def attractiveness(self) -> Estimate | None:
        """Attractiveness on the scale of the model's raters."""
    @property
    def real_age(self) -> Estimate | None:
        """Chronological age, of models that have learned it."""
    def to_dict(
        self,
        *,
        level: float | None = None,
        distribution: bool = False,
        thresholds: Sequence[float] = (),
    ) -> dict[str, Any]:
        """The face as in the JSON of ``dldl estimate``, rounded as there; with the whole
        distribution, and the probabilities of being at least so old, if wanted.

        Raises :class:`ValueError` for a wrong level or threshold."""
    def to_json(
        self,
        *,
        level: float | None = None,
        distribution: bool = False,
        thresholds: Sequence[float] = (),
    ) -> str:
        """The JSON of :meth:`to_dict`."""
    def _repr_html_(self) -> str: ...

@final
class Faces(Sequence[Face]):
    """The faces of a picture, largest first; empty if there is none. Of a frame of a video,
    ``frame``, ``time`` and ``rgb`` are set."""

    @property
    def image(self) -> str:
        """The picture's path, or what it was called: ``picture``, ``images[3]``."""
    @property
    def model(self) -> str:
        """Name of the model."""
    @property
    def width(self) -> int:
        """Width of the upright picture in pixels."""
    @property
    def height(self) -> int:
        """Height of the upright picture in pixels."""
    @property
    def frame(self) -> int | None:
        """The number of the frame among those looked at, from 0."""
    @property
    def time(self) -> float | None:
        """The time of the frame in seconds from the beginning of the video."""
    @property
    def rgb(self) -> bytes | None:
        """The pixels of the frame, height x width x 3, for ``numpy.frombuffer``."""
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Face: ...  # type: ignore[override]
    def __iter__(self) -> Iterator[Face]: ...
    def to_dict(
        self,
        *,
        level: float | None = None,
        distribution: bool = False,
        thresholds: Sequence[float] = (),
    ) -> dict[str, Any]:
        """The picture as in the JSON of ``dldl estimate``; see :meth:`Face.to_dict`."""
    def to_json(
        self,
        *,
        level: float | None = None,
        distribution: bool = False,
        thresholds: Sequence[float] = (),
    ) -> str:
        """The JSON of :meth:`to_dict`, the same as the command line prints."""
    def _repr_html_(self) -> str: ...

@final
class Estimator:
    """Detector, alignment and model in one. Can be used by several threads, and after a
    ``fork``."""

    def __new__(
        cls,
        model: _Path = "tiny",
        *,
        threads: int | None = None,
        detect: bool = True,
        flip: bool = True,
        detector: str = "yunet",
        precision: str | None = None,
        min_quality: float = 0.0,
    ) -> Estimator:
        """Loads a built-in model by its name (:func:`model_names`) or a weights file.

        ``threads``: at most so many, default one per processor. ``detect=False`` takes the
        central square of each picture for an aligned face. ``flip`` averages with the mirror
        image: more accurate, slower. ``detector``: ``yunet``, or ``mtcnn``, that of the paper. ``precision``: ``f32``, ``int8`` or ``auto``. Faces
        of a quality below ``min_quality``, 0 to 1, get no estimates.

        Raises :class:`DldlError` if there is no such model or it is damaged,
        :class:`ValueError` for other wrong arguments."""
    @property
    def model(self) -> dict[str, Any]:
        """The model's description: name, heads, calibration, data, licence."""
    def estimate(self, image: Any, *, level: float = 0.9, bgr: bool = False) -> Faces:
        """Finds the faces of a picture and estimates them.

        ``image`` is a path, the bytes of a picture file, a Pillow image (turned upright by its
        EXIF data, transparent pixels on white), or anything with the buffer protocol that has
        the shape [height, width, 3] of uint8 (gray: [height, width]; with transparency: 4
        channels), in the order red, green, blue, or with ``bgr`` that of OpenCV. ``level`` is
        that of the intervals.

        Raises :class:`PictureError` if it cannot be read as a picture, :class:`TypeError` or
        :class:`ValueError` for other objects, shapes and types of numbers."""
    def estimate_batch(
        self, images: Iterable[Any], *, level: float = 0.9, bgr: bool = False
    ) -> list[Faces | Exception]:
        """The same for many pictures, in parallel and in order. Where a picture cannot be used,
        its place has the exception. Ctrl-C ends it."""
    def estimate_crops(
        self, crops: Any, *, level: float = 0.9, bgr: bool = False
    ) -> list[Face]:
        """Estimates faces that are aligned already: an array [N, S, S, 3] of uint8, where S is
        ``model["input_size"]`` and the landmarks are where ``model["template"]`` has them.

        Raises :class:`TypeError` or :class:`ValueError` for another type or shape."""

def model_names() -> list[str]:
    """The names of the built-in models."""

@final
class Person:
    """A person in a video, from all frames together."""

    @property
    def track(self) -> int:
        """The number, from 1."""
    @property
    def first(self) -> float:
        """Time of the first frame in seconds."""
    @property
    def last(self) -> float:
        """Time of the last frame in seconds."""
    @property
    def frames(self) -> int:
        """In how many frames the face was found."""
    @property
    def age(self) -> Estimate | None:
        """Apparent age."""
    @property
    def attractiveness(self) -> Estimate | None:
        """Attractiveness on the scale of the model's raters."""
    @property
    def real_age(self) -> Estimate | None:
        """Chronological age, of models that have learned it."""
    def to_dict(
        self,
        *,
        level: float | None = None,
        distribution: bool = False,
        thresholds: Sequence[float] = (),
    ) -> dict[str, Any]:
        """The person as in the JSON of ``dldl video --tracks``."""
    def to_json(
        self,
        *,
        level: float | None = None,
        distribution: bool = False,
        thresholds: Sequence[float] = (),
    ) -> str:
        """The JSON of :meth:`to_dict`."""

@final
class Video:
    """The frames of a video one after the other; see :func:`dldl.video`."""

    @property
    def name(self) -> str:
        """The file or address."""
    @property
    def duration(self) -> float | None:
        """In seconds; none for streams, and after the last frame."""
    def __iter__(self) -> Video: ...
    def __next__(self) -> Faces: ...
    def people(self) -> list[Person]:
        """The people of the frames so far, by number."""
    def close(self) -> None:
        """Ends the program ffmpeg before the end of the video."""

def video(
    source: _Path,
    estimator: Estimator,
    *,
    level: float = 0.9,
    fps: float | None = None,
    start: float | None = None,
    duration: float | None = None,
    search_every: float = 0.3,
    min_frames: int = 3,
    max_gap: float = 1.0,
    ffmpeg: _Path | None = None,
) -> Video: ...
@final
class Dataset:
    """A labeled dataset on disk."""

    @property
    def name(self) -> str:
        """The format."""
    @property
    def root(self) -> PathLike[str]:
        """The folder that the samples' files are relative to."""
    @property
    def samples(self) -> list[dict[str, Any]]:
        """The pictures with their labels: ``file``, ``split``, ``label`` or ``labels``."""
    @property
    def problems(self) -> list[dict[str, Any]]:
        """Broken entries: ``file`` and ``reason``."""
    def __len__(self) -> int: ...
    def prepare(
        self,
        out: _Path,
        *,
        size: int = 224,
        detect: bool = True,
        part: str | None = None,
        threads: int = 0,
        progress: Callable[[int, int], object] | None = None,
    ) -> dict[str, Any]:
        """Packs aligned crops of ``size`` pixels into the folder ``out`` for training, as ``dldl
        prepare`` does, and returns its report. ``part="2/8"`` is the second of eight parts, for
        several machines; ``dldl merge`` joins them. The same call continues after an interruption.
        ``progress`` gets the pictures done, and of how many. Ctrl-C ends it.

        Raises :class:`DldlError` if the folder is another cache or cannot be written."""

def dataset_names() -> list[str]:
    """The formats of datasets, which ``dldl data list`` describes."""

def load_dataset(
    dataset: str,
    root: _Path,
    *,
    labels: _Path | None = None,
    protocol: str = "published",
) -> Dataset:
    """Reads a dataset: the name of its format (:func:`dataset_names`), its folder, its table
    of labels where that is not where the dataset has it, and how it is split.

    Raises :class:`DldlError` if it cannot be read, :class:`ValueError` for a wrong protocol."""

@final
class Evaluation:
    """A model's errors on a dataset; as a string the table of ``dldl eval``."""

    def to_dict(self) -> dict[str, Any]:
        """All figures, and the estimate of every picture."""
    def to_json(self) -> str:
        """The JSON of :meth:`to_dict`, as ``dldl eval --out`` writes it."""

def evaluate(
    dataset: str,
    root: _Path,
    *,
    model: _Path = "tiny",
    labels: _Path | None = None,
    protocol: str = "published",
    split: str = "test",
    task: str | None = None,
    rescale: tuple[float, float] | None = None,
    detect: bool = True,
    thresholds: Sequence[float] = (),
    part: str | None = None,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Measures a model's errors on a labeled dataset, as ``dldl eval`` does. ``dataset`` may be
    ``cache``, for a folder that :meth:`Dataset.prepare` made. ``split`` is ``train``, ``val``,
    ``test`` or ``all``. ``rescale`` is the range of the dataset's labels, where it differs from
    that of the model's. ``part="2/8"`` evaluates the second of eight parts, whose JSON ``dldl
    merge`` joins. ``progress`` gets the pictures done, and of how many. Ctrl-C ends it.

    Raises :class:`DldlError` if model or dataset cannot be read or do not fit together,
    :class:`ValueError` for other wrong arguments."""

def train(
    recipe: _Path | None,
    recipe_json: str | None,
    *,
    settings: Sequence[tuple[str, str]] = (),
    resume: bool = False,
    progress: Callable[[dict[str, Any]], object] | None = None,
) -> str: ...
def command(args: Sequence[str]) -> int: ...
def method_names() -> list[str]: ...
def head_size(method: str, labels: _Labels) -> int: ...
def label_distribution(means: Any, sigmas: Any, labels: _Labels) -> bytearray: ...
def targets(method: str, means: Any, sigmas: Any, labels: _Labels) -> dict[str, bytearray]: ...
def loss(
    method: str, logits: Any, means: Any, sigmas: Any, labels: _Labels
) -> tuple[bytearray, bytearray]: ...
def decode(method: str, logits: Any, labels: _Labels) -> tuple[bytearray, bytearray]: ...
