"""Write expected values for the tests of crates/dldl-label on probabilistic metrics
and intervals, computed independently of it: densities with scipy's rv_histogram,
the CRPS by its energy form, conformal levels as order statistics with numpy, the
bootstrap with scipy, all in double precision.

    python tools/golden_probabilistic.py

The file is crates/dldl-label/tests/data/probabilistic.json. Needs numpy 2 and
scipy 1.
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

OUT = Path(__file__).resolve().parent.parent / "crates/dldl-label/tests/data/probabilistic.json"
SETS = [(0.0, 100.0, 1.0, 101), (1.0, 5.0, 0.1, 41), (0.0, 100.0, 5.0, 21)]


def scores(values, step, p, y):
    """NLL and CRPS for a true value inside the range."""
    edges = np.concatenate([values - step / 2, values[-1:] + step / 2])
    density = stats.rv_histogram((p, edges), density=False)
    apart = np.abs(values[:, None] - values[None, :])
    return {
        "y": float(y),
        "nll": float(-density.logpdf(y)),
        "crps": float(p @ np.abs(values - y) - 0.5 * p @ apart @ p),
    }


def distributions(rng):
    cases = []
    for low, high, step, count in SETS:
        values = np.linspace(low, high, count)
        for spread in [0.5, 4.0]:
            logits = rng.normal(0, spread, count)
            p = np.exp(logits - logits.max())
            p /= p.sum()
            # Not halfway between two labels, where the nearest one is ambiguous.
            truths = values[[0, count // 3, count - 1]].tolist()
            truths += (values[:-1] + step * rng.uniform(0.05, 0.45, count - 1))[::7].tolist()
            middle = np.cumsum(p) - p / 2
            cases.append(
                {
                    "min": low,
                    "max": high,
                    "step": step,
                    "probabilities": p.tolist(),
                    "middles": middle.tolist(),
                    "scores": [scores(values, step, p, y) for y in truths],
                }
            )
    return cases


def conformal(rng):
    cases = []
    for n in [7, 100, 999]:
        drawn = rng.uniform(0, 1, n)
        levels = []
        for percent in [1, 10, 50, 80, 90, 95, 99]:
            # The rank of the quantile with finite-sample correction; beyond the
            # last score, the level is 1.
            rank = int(np.ceil((n + 1) * percent / 100 - 1e-9))
            level = 1.0 if rank > n else np.partition(drawn, rank - 1)[rank - 1]
            levels.append([percent / 100, float(level)])
        cases.append({"scores": drawn.tolist(), "levels": levels})
    return cases


def samples(rng):
    truths = rng.uniform(0, 100, 301)
    predictions = 0.8 * truths + 5 + rng.normal(0, 6, 301)
    error = np.abs(predictions - truths)
    slope, offset = np.polyfit(predictions, truths, 1)
    drawn = stats.bootstrap(
        (error,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(5)
    )
    return {
        "predictions": predictions.tolist(),
        "truths": truths.tolist(),
        "bias": float(np.mean(predictions - truths)),
        "median_error": float(np.median(error)),
        "mae_rescaled": float(np.abs(slope * predictions + offset - truths).mean()),
        "mae_interval": [float(v) for v in drawn.confidence_interval],
    }


def main():
    rng = np.random.default_rng(20260726)
    golden = {
        "distributions": distributions(rng),
        "conformal": conformal(rng),
        "samples": samples(rng),
    }
    OUT.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
