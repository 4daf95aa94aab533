"""Results as tables: one row for each face, and one for each picture without a face. The
columns are those of ``dldl estimate --format csv`` and ``error``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ._dldl import Faces

if TYPE_CHECKING:
    import pandas
    import pyarrow  # type: ignore[import-untyped, unused-ignore]

Result = Faces | BaseException

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
TASKS = ("age", "attractiveness", "real_age")
FIXED = [
    *("image", "width", "height", "face", "box_x", "box_y", "box_w", "box_h"),
    *("score", "rotation", "track", "quality", "not_assessed"),
    *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"),
]
LAST = ["model", "error"]


def to_rows(
    results: Result | Iterable[Result],
    *,
    images: Sequence[str] | None = None,
    level: float | None = None,
    thresholds: Sequence[float] = (),
) -> list[dict[str, Any]]:
    """The rows of results as dictionaries, without the values that there are not.

    ``results`` are those of one picture or of ``estimate_batch``. ``images`` names them, one
    for each; by default they have the names that the results know: paths, or ``images[3]``.
    """
    if isinstance(results, (Faces, BaseException)):
        results = [results]
    rows: list[dict[str, Any]] = []
    for position, result in enumerate(results):
        name = None if images is None else str(images[position])
        if isinstance(result, Faces):
            picture = result.to_dict(level=level, thresholds=thresholds)
            faces = picture["faces"] or [None]
            shared = {key: picture[key] for key in ("image", "width", "height")}
            rows += [
                {**shared, **_face(number, face), "model": picture["model"]}
                for number, face in enumerate(faces)
            ]
        else:
            own = f"images[{position}]"
            reason = getattr(result, "reason", str(result).removeprefix(f"{own}: "))
            rows.append({"image": getattr(result, "image", own), "error": reason})
        if name is not None:
            for row in rows[len(rows) - max(1, _count(result)) :]:
                row["image"] = name
    return rows


def to_pandas(
    results: Result | Iterable[Result],
    *,
    images: Sequence[str] | None = None,
    level: float | None = None,
    thresholds: Sequence[float] = (),
) -> pandas.DataFrame:
    """The rows (:func:`to_rows`) as a data frame of pandas."""
    import pandas

    rows = to_rows(results, images=images, level=level, thresholds=thresholds)
    return pandas.DataFrame(rows, columns=_columns(rows))


def to_arrow(
    results: Result | Iterable[Result],
    *,
    images: Sequence[str] | None = None,
    level: float | None = None,
    thresholds: Sequence[float] = (),
    tasks: Sequence[str] = ("age", "attractiveness"),
) -> pyarrow.Table:
    """The rows (:func:`to_rows`) as a table of Arrow. Its columns depend on ``thresholds`` and
    ``tasks`` alone, not on the results, so that the parts of a larger table fit together; what is
    missing is null."""
    import pyarrow

    rows = to_rows(results, images=images, level=level, thresholds=thresholds)
    kinds = {
        "image": pyarrow.string(),
        "model": pyarrow.string(),
        "error": pyarrow.string(),
        "not_assessed": pyarrow.string(),
    }
    kinds |= {name: pyarrow.int64() for name in ("width", "height", "face", "rotation", "track")}
    columns = [*FIXED, *(name for task in tasks for name in _names(task, thresholds)), *LAST]
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in columns])
    return pyarrow.Table.from_pylist(rows, schema=schema)


def _count(result: Result) -> int:
    return len(result) if isinstance(result, Faces) else 1


def _face(number: int, face: dict[str, Any] | None) -> dict[str, Any]:
    if face is None:
        return {}
    row: dict[str, Any] = {"face": number}
    row |= zip(("box_x", "box_y", "box_w", "box_h"), face["box"], strict=True)
    for key in ("score", "rotation", "track", "quality", "not_assessed"):
        if key in face:
            row[key] = face[key]
    for name, (x, y) in zip(LANDMARKS, face.get("landmarks", ()), strict=False):
        row |= {f"{name}_x": x, f"{name}_y": y}
    for task in TASKS:
        if task in face:
            row |= _estimate(task, face[task])
    return row


def _estimate(task: str, estimate: dict[str, Any]) -> dict[str, Any]:
    row = {task: estimate["value"], f"{task}_std": estimate["std"]}
    row |= {f"{task}_interval_{key}": value for key, value in estimate["interval"].items()}
    for entry in estimate.get("at_least", ()):
        row[f"{task}_at_least_{entry['threshold']:g}"] = entry["probability"]
    return row


def _names(task: str, thresholds: Sequence[float]) -> list[str]:
    """The columns of a task."""
    names = [task, f"{task}_std", *(f"{task}_interval_{key}" for key in ("level", "low", "high"))]
    ages = thresholds if task != "attractiveness" else ()
    return names + [f"{task}_at_least_{threshold:g}" for threshold in ages]


def _columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The columns that have values, and those that every table has, in their order."""
    seen = dict.fromkeys(key for row in rows for key in row)
    estimates = [key for key in seen if key not in FIXED and key not in LAST]
    kept = [key for key in FIXED if key in seen or key not in ("track", "not_assessed")]
    return kept + (estimates or [*_names("age", ())]) + LAST
