"""Pictures of results: in notebooks as SVG, and with matplotlib."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._dldl import Estimate, Face, Faces

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 320, 90


def face_html(face: Face) -> str:
    """A face's ages as a curve, with the estimate and its interval."""
    age = face.age or face.real_age or face.attractiveness
    if age is None:
        return f"<div>no estimate: {face.not_assessed or 'the model has none'}</div>"
    labels, probabilities = age.labels, age.probabilities
    low, high = age.interval()

    def at(label: float) -> float:
        return WIDTH * (label - labels[0]) / (labels[-1] - labels[0])

    top = max(probabilities)
    points = " ".join(
        f"{at(label):.1f},{HEIGHT - 18 - (HEIGHT - 24) * p / top:.1f}"
        for label, p in zip(labels, probabilities, strict=True)
    )
    floor = HEIGHT - 18
    ticks = "".join(
        f'<text x="{at(label):.0f}" y="{HEIGHT - 4}" text-anchor="middle">{label:g}</text>'
        for label in labels[:: max(1, (len(labels) - 1) // 5)][1:-1]
    )
    text = f"{age.task} {age.value:.1f}, {100 * age.interval().level:g} % from {low:.1f} to {high:.1f}"
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11" '
        f'fill="currentColor" role="img" aria-label="{text}">'
        f'<rect x="{at(low):.1f}" y="0" width="{at(high) - at(low):.1f}" height="{floor}" '
        f'fill="#4a90d9" opacity="0.2"/>'
        f'<polyline points="{points}" fill="none" stroke="#2a6fb0" stroke-width="1.5"/>'
        f'<line x1="{at(age.value):.1f}" x2="{at(age.value):.1f}" y1="0" y2="{floor}" '
        f'stroke="#d9534f"/>'
        f'<line x1="0" x2="{WIDTH}" y1="{floor}" y2="{floor}" stroke="currentColor"/>'
        f"{ticks}</svg><div>{text}</div>"
    )


def faces_html(faces: Faces) -> str:
    """All faces of a picture."""
    if not len(faces):
        return "<div>no face</div>"
    return "".join(face_html(face) for face in faces)


def plot(image: Any, faces: Faces | Iterable[Face], *, ax: Axes | None = None) -> Axes:
    """Draws a picture with its faces' boxes and ages. ``image`` is what matplotlib's ``imshow``
    takes, or a path. matplotlib is needed, and Pillow for formats other than PNG."""
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    if isinstance(image, str) or hasattr(image, "__fspath__"):
        image = pyplot.imread(image)
    ax = ax or pyplot.gca()
    ax.imshow(image)
    ax.set_axis_off()
    for face in faces:
        x, y, width, height = face.bbox
        ax.add_patch(Rectangle((x, y), width, height, fill=False, color="#ffd400"))
        age = face.age or face.real_age
        if age is not None:
            ax.text(x, y, _label(age), color="black", va="bottom", backgroundcolor="#ffd400")
    return ax


def _label(age: Estimate) -> str:
    low, high = age.interval()
    return f"{age.value:.0f} ({low:.0f}-{high:.0f})"
