"""Label distributions, and the targets and losses of the methods that learn them, for those
who train elsewhere. NumPy is needed here.

``labels`` are ``(min, max, step)``; the default is that of ages, 0 to 100 by 1 (K = 101).
``method`` is one of :data:`METHODS`, or a dictionary with its parameters:
``{"name": "dldl-v2", "lambda": 1.0}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _dldl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = [
    "AGES",
    "METHODS",
    "Targets",
    "decode",
    "head_size",
    "label_distribution",
    "loss",
    "targets",
]

AGES = (0.0, 100.0, 1.0)
"""The labels of ages."""

METHODS: tuple[str, ...] = tuple(_dldl.method_names())
"""The methods: metric regression, DEX, Ranking, DLDL-v2 and so on (docs/methods.md)."""

Method = str | Mapping[str, Any]
Labels = tuple[float, float, float]


class Targets(NamedTuple):
    """What a loss compares a network's outputs with; a method needs some of it."""

    distribution: Array | None
    """One probability per label, [N, K]."""
    expectation: Array | None
    """The labels' means, [N]."""
    ranks: Array | None
    """For every label but the last, the probability of a value above it, [N, K - 1]."""


def label_distribution(
    mean: npt.ArrayLike, sigma: npt.ArrayLike = 2.0, labels: Labels = AGES
) -> Array:
    """Gaussian label distributions: [K] for a number, [N, K] for N means. ``sigma`` is the
    standard deviation in units of the label, one number or N. Each row sums to 1, and its
    expectation is ``mean``, as far as the ends of the labels permit.

    >>> distribution = label_distribution(31.4, 2.0)
    >>> distribution.shape, round(float(distribution @ range(101)), 6)
    ((101,), 31.4)

    Raises :class:`ValueError` for a mean that is not finite, a negative sigma or invalid labels.
    """
    means, sigmas = _both(mean, sigma)
    rows = _rows(_dldl.label_distribution(means, sigmas, labels), len(means))
    return rows if _is_list(mean) else rows[0]


def targets(
    method: Method,
    mean: npt.ArrayLike,
    sigma: npt.ArrayLike = 2.0,
    labels: Labels = AGES,
) -> Targets:
    """The method's targets for N labels.

    Raises :class:`ValueError` as :func:`label_distribution`, and for an unknown method.
    """
    means, sigmas = _both(mean, sigma)
    parts = _dldl.targets(_spec(method), means, sigmas, labels)
    rows = {name: _rows(part, len(means)) for name, part in parts.items()}
    expectation = rows.get("expectation")
    return Targets(
        rows.get("distribution"),
        None if expectation is None else expectation[:, 0],
        rows.get("ranks"),
    )


def loss(
    method: Method,
    logits: npt.ArrayLike,
    mean: npt.ArrayLike,
    sigma: npt.ArrayLike = 2.0,
    labels: Labels = AGES,
) -> tuple[Array, Array]:
    """The losses [N] of a network's outputs [N, H] for N labels, and their gradients by the
    outputs [N, H], in double precision. H is :func:`head_size`.

    >>> import numpy as np
    >>> values, gradients = loss("dldl", np.zeros((2, 101)), [20, 30])
    >>> values.shape, gradients.shape, bool(abs(gradients.sum()) < 1e-12)
    ((2,), (2, 101), True)

    Raises :class:`ValueError` as :func:`targets`, and for outputs of another shape.
    """
    import numpy as np

    means, sigmas = _both(mean, sigma)
    outputs = _outputs(method, logits, labels)
    if len(outputs) != len(means):
        raise ValueError(f"{len(outputs)} rows of logits for {len(means)} labels")
    losses, gradients = _dldl.loss(_spec(method), outputs, means, sigmas, labels)
    return np.frombuffer(losses), np.frombuffer(gradients).reshape(outputs.shape)


def decode(
    method: Method, logits: npt.ArrayLike, labels: Labels = AGES
) -> tuple[Array, Array]:
    """The distributions [N, K] that a network's outputs [N, H] mean, and the estimates [N] that
    the method reads from them.

    Raises :class:`ValueError` for an unknown method, and for outputs of another shape.
    """
    import numpy as np

    outputs = _outputs(method, logits, labels)
    distributions, estimates = _dldl.decode(_spec(method), outputs, labels)
    return _rows(distributions, len(outputs)), np.frombuffer(estimates)


def head_size(method: Method, labels: Labels = AGES) -> int:
    """The number of outputs that a network needs.

    >>> head_size("dldl-v2"), head_size("ranking-bce"), head_size("mr-l1")
    (101, 100, 1)

    Raises :class:`ValueError` for an unknown method or invalid labels.
    """
    return _dldl.head_size(_spec(method), labels)


def _spec(method: Method) -> str:
    return json.dumps({"name": method} if isinstance(method, str) else dict(method))


def _is_list(values: npt.ArrayLike) -> bool:
    import numpy as np

    return np.ndim(values) > 0


def _both(mean: npt.ArrayLike, sigma: npt.ArrayLike) -> tuple[Array, Array]:
    import numpy as np

    means = np.atleast_1d(np.asarray(mean, np.float64))
    if means.ndim != 1:
        raise ValueError(f"means of shape {means.shape}: expected a number, or [N]")
    try:
        sigmas = np.broadcast_to(np.asarray(sigma, np.float64), means.shape)
    except ValueError:
        raise ValueError(
            f"sigma of shape {np.shape(sigma)} for {len(means)} labels"
        ) from None
    return means, sigmas


def _outputs(method: Method, logits: npt.ArrayLike, labels: Labels) -> Array:
    import numpy as np

    outputs = np.asarray(logits, np.float64)
    size = head_size(method, labels)
    if outputs.ndim != 2 or outputs.shape[1] != size:
        raise ValueError(f"logits of shape {outputs.shape}: expected [N, {size}]")
    return outputs


def _rows(values: bytearray, count: int) -> Array:
    import numpy as np

    return np.frombuffer(values).reshape(count, -1) if count else np.empty((0, 0))
