"""Write expected values for the tests of crates/dldl-label, computed independently
of it: distributions and metrics with numpy, losses and their gradients with the
functions and the automatic differentiation of PyTorch, all in double precision.

    python tools/golden_label.py

The file is crates/dldl-label/tests/data/golden.json. Needs numpy 2 and torch 2.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

OUT = Path(__file__).resolve().parent.parent / "crates/dldl-label/tests/data/golden.json"
QUANTILES = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]

SETS = {
    "age": (0.0, 100.0, 1.0, 101),
    "attractiveness_5": (1.0, 5.0, 0.1, 41),
    "attractiveness_7": (1.0, 7.0, 0.1, 61),
    "hot_or_not": (-3.6, 3.6, 0.1, 73),
    "bone_age": (1.0, 230.0, 1.0, 230),
}


def labels(name):
    low, high, _, count = SETS[name]
    return np.linspace(low, high, count)


def gaussian(name, mean, sigma):
    weights = np.exp(-0.5 * ((labels(name) - mean) / sigma) ** 2)
    return weights / weights.sum()


def summary(name, p):
    """Statistics of a distribution, computed by numpy."""
    values = labels(name)
    mean = np.average(values, weights=p)
    middles = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([values[:1], middles, values[-1:]])
    heights = np.concatenate([[0.0], np.cumsum(p)])
    positive = p[p > 0]
    return {
        "set": name,
        "probabilities": p.tolist(),
        "expectation": float(mean),
        "std": float(np.sqrt(np.average((values - mean) ** 2, weights=p))),
        "mode": float(values[np.argmax(p)]),
        "entropy": float(-np.sum(positive * np.log(positive))),
        "quantiles": [[q, float(np.interp(q, heights, edges))] for q in QUANTILES],
    }


def gaussians():
    cases = [
        ("age", 31.4, 2.0),
        ("age", 0.3, 5.0),
        ("age", 116.0, 9.5),
        ("attractiveness_5", 3.27, 0.61),
        ("attractiveness_7", 6.9, 0.4),
        ("hot_or_not", -1.234, 0.1),
        ("bone_age", 229.0, 12.0),
    ]
    return [
        {"mean": mean, "sigma": sigma} | summary(name, gaussian(name, mean, sigma))
        for name, mean, sigma in cases
    ]


def softmaxes(rng):
    cases = []
    for name, spread in [("age", 3.0), ("attractiveness_5", 1.0)]:
        logits = rng.normal(0, spread, SETS[name][3]).astype(np.float32)
        p = torch.softmax(torch.from_numpy(logits).double(), 0).numpy()
        cases.append({"logits": logits.tolist()} | summary(name, p))
    return cases


def losses(rng):
    """Batches of three samples: the loss of specification 1.5 in both scalings."""
    cases = []
    for name, means, sigmas in [
        ("age", [31.4, 2.0, 96.5], [2.0, 4.0, 6.0]),
        ("attractiveness_5", [3.27, 1.1, 4.95], [0.6, 0.3, 0.5]),
    ]:
        values = torch.from_numpy(labels(name))
        target = torch.from_numpy(np.stack([gaussian(name, m, s) for m, s in zip(means, sigmas)]))
        y = torch.tensor(means, dtype=torch.float64)
        start = rng.normal(0, 2.0, target.shape)
        methods = [("dldl", 0.0, "per-sample")] + [
            ("dldl-v2", weight, scaling)
            for weight in [0.1, 1.0, 10.0]
            for scaling in ["per-sample", "per-element"]
        ]
        results = []
        for method, weight, scaling in methods:
            logits = torch.tensor(start, requires_grad=True)
            parts = F.kl_div(F.log_softmax(logits, 1), target, reduction="none")
            loss = parts.sum(1).mean() if scaling == "per-sample" else parts.mean()
            if method == "dldl-v2":
                estimate = (F.softmax(logits, 1) * values).sum(1)
                loss = loss + weight * F.l1_loss(estimate, y)
            loss.backward()
            results.append(
                {
                    "method": method,
                    "lambda": weight,
                    "scaling": scaling,
                    "loss": loss.item(),
                    "gradient": logits.grad.tolist(),
                }
            )
        cases.append(
            {
                "set": name,
                "means": means,
                "sigmas": sigmas,
                "logits": start.tolist(),
                "results": results,
            }
        )
    return cases


def evaluated(rng, method, shape, loss_of):
    """A method's loss and gradient at random logits."""
    start = rng.normal(0, 2.0, shape)
    logits = torch.tensor(start, requires_grad=True)
    loss = loss_of(logits)
    loss.backward()
    return {
        "method": method,
        "logits": start.tolist(),
        "loss": loss.item(),
        "gradient": logits.grad.tolist(),
    }


def concentrated(x, y):
    """The concentrated loss of arXiv 2204.00309; `y` in steps from the first label."""
    p = F.softmax(x, 1)
    places = torch.arange(x.shape[1], dtype=torch.float64)
    mean = (p * places).sum(1)
    variance = (p * (places - mean[:, None]) ** 2).sum(1) + 1e-6
    return (0.5 * variance.log() + (mean - y) ** 2 / (2 * variance)).mean()


def unimodal(x, peak):
    """The unimodal loss of arXiv 2204.00309."""
    p = F.softmax(x, 1)
    places = torch.arange(x.shape[1] - 1)
    sign = torch.where(places < peak[:, None], -1.0, 1.0).double()
    return F.relu(sign * p.diff(dim=1)).sum(1).mean()


def ranges(rng):
    """Losses of samples of which a range is known."""
    cases = []
    for name, spans in [
        ("age", [[20.0, 29.0], [-np.inf, 2.0], [70.0, np.inf], [31.0, 31.0]]),
        ("attractiveness_5", [[1.25, 2.0], [3.0, 3.9]]),
    ]:
        values = torch.from_numpy(labels(name))
        low, high, step, count = SETS[name]
        for span in spans:
            a, b = span
            inside = (values >= a - 1e-9) & (values <= b + 1e-9)
            known_above, known_below = values[:-1] < a - 1e-9, values[:-1] >= b - 1e-9
            known = known_above | known_below

            def outside(value):
                return value - value.clamp(a, b)

            def estimate(x):
                return (F.softmax(x, 0) * values).sum()

            def censored(x):
                return torch.logsumexp(x, 0) - torch.logsumexp(x[inside], 0)

            def rank_cross_entropy(x):
                each = F.binary_cross_entropy_with_logits(x, known_above.double(), reduction="none")
                return (each * known).mean()

            def crps(x):
                above = 1 - F.softmax(x, 0).cumsum(0)[:-1]
                return step * ((above - known_above.double()) ** 2 * known).sum()

            def concentrated_range(x):
                p = F.softmax(x, 0)
                variance = (p * (values - estimate(x)) ** 2).sum() / step**2 + 1e-6
                return 0.5 * variance.log() + (outside(estimate(x)) / step) ** 2 / (2 * variance)

            def unimodal_range(x):
                p = F.softmax(x, 0)
                places = torch.arange(count - 1)
                first, last = inside.nonzero()[[0, -1], 0]
                sign = (places >= last).double() - (places < first).double()
                return F.relu(sign * p.diff()).sum()

            methods = {
                "mr-l1": (1, lambda x: outside(low + (high - low) * (1 + x[0].tanh()) / 2).abs() * 2 / (high - low)),
                "dldl": (count, censored),
                "dldl-v2": (count, lambda x: censored(x) + outside(estimate(x)).abs()),
                "er-l2": (count, lambda x: outside(estimate(x)) ** 2),
                "ranking-bce": (count - 1, rank_cross_entropy),
                "ranking-l2": (
                    count - 1,
                    lambda x: ((torch.sigmoid(x) - known_above.double()) ** 2 * known).mean(),
                ),
                "crps": (count, crps),
                "unimodal-concentrated": (
                    count,
                    lambda x: concentrated_range(x) + 1000 * unimodal_range(x),
                ),
            }
            results = []
            for method, (outputs, loss_of) in methods.items():
                results.append(evaluated(rng, method, outputs, loss_of))
            # JSON has no infinity.
            ends = [float(v) if np.isfinite(v) else None for v in span]
            cases.append({"set": name, "range": ends, "results": results})
    return cases


def method_losses(rng):
    """Batches of all other methods, computed by functions of PyTorch. No label is
    halfway between two grid points, where the nearest one is ambiguous."""
    cases = []
    for name, means, sigmas in [
        ("age", [31.4, 2.2, 96.3], [2.0, 4.0, 6.0]),
        ("attractiveness_5", [3.27, 1.14, 4.93], [0.6, 0.3, 0.5]),
    ]:
        values = torch.from_numpy(labels(name))
        low, high, _, count = SETS[name]
        target = torch.from_numpy(np.stack([gaussian(name, m, s) for m, s in zip(means, sigmas)]))
        y = torch.tensor(means, dtype=torch.float64)
        nearest = (values - y[:, None]).abs().argmin(1)
        ranks = (y[:, None] > values[:-1]).double()
        soft_ranks = 1 - target.cumsum(1)[:, :-1]
        on_range = 2 * (y - low) / (high - low) - 1
        sord = torch.softmax(-1.0 * (values - y[:, None]) ** 2, 1)

        def estimate(x):
            return (F.softmax(x, 1) * values).sum(1)

        def kl(x):
            return F.kl_div(F.log_softmax(x, 1), target, reduction="batchmean")

        def variance(x):
            return (F.softmax(x, 1) * (values - estimate(x)[:, None]) ** 2).sum(1).mean()

        def crps(x, below):
            cumulative = F.softmax(x, 1).cumsum(1)
            return SETS[name][2] * (cumulative - below)[:, :-1].square().sum(1).mean()

        def pairs(x):
            logs = F.log_softmax(x.view(3, count - 1, 2), 2)
            return F.nll_loss(logs.view(-1, 2), ranks.long().view(-1))

        methods = {
            "mr-l1": (1, lambda x: F.l1_loss(torch.tanh(x[:, 0]), on_range)),
            "mr-l2": (1, lambda x: F.mse_loss(torch.tanh(x[:, 0]), on_range)),
            "dex": (count, lambda x: F.cross_entropy(x, nearest)),
            "ranking-bce": (count - 1, lambda x: F.binary_cross_entropy_with_logits(x, ranks)),
            "ranking-l2": (count - 1, lambda x: F.mse_loss(torch.sigmoid(x), ranks)),
            "soft-ranking": (
                count - 1,
                lambda x: F.binary_cross_entropy_with_logits(x, soft_ranks),
            ),
            "er-l1": (count, lambda x: F.l1_loss(estimate(x), y)),
            "er-l2": (count, lambda x: F.mse_loss(estimate(x), y)),
            "dldl-v2 smooth-l1": (
                count,
                lambda x: kl(x) + F.smooth_l1_loss(estimate(x), y),
            ),
            "dldl-v2 l2": (count, lambda x: kl(x) + F.mse_loss(estimate(x), y)),
            "mean-variance": (
                count,
                lambda x: F.cross_entropy(x, nearest)
                + 0.2 * 0.5 * F.mse_loss(estimate(x), y)
                + 0.05 * variance(x),
            ),
            "or-cnn": (2 * (count - 1), pairs),
            "coral": (count - 1, lambda x: F.binary_cross_entropy_with_logits(x, ranks)),
            "sord": (count, lambda x: F.kl_div(F.log_softmax(x, 1), sord, reduction="batchmean")),
            "crps": (count, lambda x: crps(x, (values >= y[:, None]).double())),
            "unimodal-concentrated": (
                count,
                lambda x: concentrated(x, (y - low) / SETS[name][2]) + 1000 * unimodal(x, nearest),
            ),
        }
        results = []
        for method, (outputs, loss_of) in methods.items():
            results.append(evaluated(rng, method, (3, outputs), loss_of))
        cases.append({"set": name, "means": means, "sigmas": sigmas, "results": results})
    return cases


def metrics(rng):
    truths = np.round(rng.uniform(0, 100, 60), 2)
    predictions = truths + rng.normal(0, 5, 60)
    # A few errors exactly at the thresholds of the cumulative score.
    truths[:4] = [10, 20, 30, 40]
    predictions[:4] = [13, 15, 38, 40]
    sigmas = rng.uniform(0.5, 8, 60)
    sigmas[:5] = 0
    error = predictions - truths
    sigma = np.where(sigmas == 0, 1e-10, sigmas)
    return {
        "predictions": predictions.tolist(),
        "truths": truths.tolist(),
        "sigmas": sigmas.tolist(),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "pearson": float(np.corrcoef(predictions, truths)[0, 1]),
        "cs": [[n, float(100 * np.mean(np.abs(error) <= n))] for n in [3, 5, 8]],
        "epsilon_error": float(np.mean(1 - np.exp(-(error**2) / (2 * sigma**2)))),
    }


def main():
    rng = np.random.default_rng(20070)
    golden = {
        "sets": [{"name": name, "values": labels(name).tolist()} for name in SETS],
        "gaussians": gaussians(),
        "softmaxes": softmaxes(rng),
        "losses": losses(rng),
        "metrics": metrics(rng),
        "methods": method_losses(rng),
        "ranges": ranges(rng),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
