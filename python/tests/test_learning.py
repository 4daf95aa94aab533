"""Datasets, evaluation, training and losses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dldl
from dldl import losses


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, portrait: Path) -> Path:
    """A dataset of 20 copies of the portrait and one broken picture."""
    root = tmp_path_factory.mktemp("dataset")
    rows = ["file,age,split"]
    for i in range(20):
        shutil.copy(portrait, root / f"{i}.jpg")
        rows.append(f"{i}.jpg,{25 + i % 10},{'train' if i < 12 else 'val' if i < 16 else 'test'}")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    (root / "labels.csv").write_text("\n".join([*rows, "broken.jpg,30,test"]) + "\n")
    return root


def test_a_dataset_is_loaded_and_prepared(table: Path, tmp_path: Path) -> None:
    dataset = dldl.load_dataset("csv", table, labels=table / "labels.csv")
    assert len(dataset) == 21 and dataset.name == "csv" and Path(dataset.root) == table
    assert dataset.samples[0]["file"] == "0.jpg" and dataset.samples[0]["label"] == 25.0
    assert dataset.problems == []
    seen: list[tuple[int, int]] = []
    report = dataset.prepare(tmp_path / "cache", size=64, progress=lambda *p: seen.append(p))
    assert report["counts"] == {"aligned": 20, "whole_picture": 0, "failed": 1}
    assert max(seen) == (21, 21)
    with pytest.raises(dldl.Error, match="cache"):
        dataset.prepare(tmp_path / "cache", size=96)
    with pytest.raises(dldl.Error):
        dldl.load_dataset("csv", table / "missing")
    with pytest.raises(ValueError, match="protocol"):
        dldl.load_dataset("csv", table, labels=table / "labels.csv", protocol="sorted")
    assert "utkface" in dldl.dataset_names()


def test_an_evaluation_is_that_of_the_command(table: Path, tmp_path: Path) -> None:
    labels, out = table / "labels.csv", tmp_path / "out.json"
    evaluation = dldl.evaluate("csv", table, labels=labels, split="all", thresholds=[18])
    args = ["eval", "--dataset=csv", f"--root={table}", f"--labels={labels}", "--split=all"]
    run = [sys.executable, "-m", "dldl", *args, "--threshold=18", f"--out={out}"]
    printed = subprocess.run(run, capture_output=True, text=True)
    assert printed.returncode == 1, "one picture is broken"
    assert str(evaluation).strip() == printed.stdout.strip()
    assert evaluation.to_dict() == json.loads(out.read_text())
    with pytest.raises(ValueError, match="unknown split"):
        dldl.evaluate("csv", table, labels=labels, split="rest")
    with pytest.raises(ValueError, match="unknown task"):
        dldl.evaluate("csv", table, labels=labels, task="height")
    with pytest.raises(dldl.Error, match="unknown model"):
        dldl.evaluate("csv", table, labels=labels, model="tinny")


def test_an_exception_of_the_callback_ends_the_work(table: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise RuntimeError(f"stopped at {done} of {total}")

    with pytest.raises(RuntimeError, match="stopped at 1 of 21"):
        dldl.evaluate("csv", table, labels=table / "labels.csv", split="all", progress=stop)
    dataset = dldl.load_dataset("csv", table, labels=table / "labels.csv")
    with pytest.raises(RuntimeError, match="of 21"):
        dataset.prepare(tmp_path / "cache", progress=stop)
    assert dataset.prepare(tmp_path / "cache")["counts"]["aligned"] == 20


def recipe(cache: Path, run: Path) -> dict[str, Any]:
    return {
        "name": "mine",
        "cache": cache,
        "run": str(run),
        "init": "tiny",
        "learning_rate": 1e-4,
        "phases": [{"size": 64, "epochs": 2, "batch": 4}],
    }


def test_a_training_is_stopped_resumed_and_used(
    table: Path, tmp_path: Path, portrait: Path
) -> None:
    dataset = dldl.load_dataset("csv", table, labels=table / "labels.csv")
    dataset.prepare(tmp_path / "cache", size=64)
    stopped = recipe(tmp_path / "cache", tmp_path / "run")
    events: list[dict[str, Any]] = []

    def note(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dldl.train(stopped, progress=note)
    assert [e["event"] for e in events if e["event"] != "note"][:2] == ["start", "step"]
    with pytest.raises(dldl.Error, match="resume"):
        dldl.train(stopped)
    result = dldl.train(stopped, resume=True)
    assert result["finished"] and result["steps"] == 6 and "age" in result["errors"]
    whole = dldl.train(recipe(tmp_path / "cache", tmp_path / "whole"))
    assert whole["weights"] is not None and result["weights"] is not None
    # The description at the beginning names the folder of the run.
    weights = [Path(r["weights"]).read_bytes() for r in (whole, result) if r["weights"]]
    assert weights[0][-1_000_000:] == weights[1][-1_000_000:], "a resumed training is the same as a whole one"
    assert len(dldl.Estimator(result["weights"]).estimate(portrait)) == 1
    with pytest.raises(ValueError, match="epohcs"):
        dldl.train(stopped, settings={"phases.0.epohcs": 3})
    with pytest.raises(ValueError, match="missing"):
        dldl.train(tmp_path / "missing.toml")


def test_label_distributions_are_gaussians_with_their_mean() -> None:
    np = pytest.importorskip("numpy")
    one = dldl.label_distribution(30.25, 3.0)
    labels = np.arange(101)
    expected = np.exp(-((labels - 30.25) ** 2) / 18.0)
    assert np.allclose(one, expected / expected.sum(), atol=1e-9)
    many = dldl.label_distribution([20, 30.25, 70], [2, 3, 4], labels=(0, 100, 1))
    assert many.shape == (3, 101) and np.array_equal(many[1], one)
    assert np.allclose(many @ labels, [20, 30.25, 70], atol=1e-6)
    assert dldl.label_distribution(3.2, 0.5, labels=(1, 5, 0.1)).shape == (41,)
    for bad in ((float("nan"), 2.0), (20.0, -1.0)):
        with pytest.raises(ValueError, match="invalid label"):
            dldl.label_distribution(*bad)
    with pytest.raises(ValueError, match="sigma of shape"):
        dldl.label_distribution([20, 30], [1, 2, 3])


@pytest.mark.parametrize("method", losses.METHODS)
def test_gradients_are_those_of_the_losses(method: str) -> None:
    np = pytest.importorskip("numpy")
    labels = (0.0, 20.0, 1.0)
    random = np.random.default_rng(1)
    logits = random.normal(size=(2, losses.head_size(method, labels)))
    means = [7.3, 12.6]
    values, gradients = losses.loss(method, logits, means, 2.0, labels)
    assert values.shape == (2,) and gradients.shape == logits.shape
    for row, column in [(0, 0), (1, logits.shape[1] // 2), (1, logits.shape[1] - 1)]:
        shifted = [logits.copy(), logits.copy()]
        shifted[0][row, column] -= 1e-5
        shifted[1][row, column] += 1e-5
        low, high = (losses.loss(method, s, means, 2.0, labels)[0][row] for s in shifted)
        assert gradients[row, column] == pytest.approx((high - low) / 2e-5, rel=1e-4, abs=1e-7)
    distributions, estimates = losses.decode(method, logits, labels)
    assert distributions.shape == (2, 21) and np.allclose(distributions.sum(1), 1)
    assert estimates.shape == (2,) and ((estimates >= 0) & (estimates <= 20)).all()
    encoded = losses.targets(method, means, 2.0, labels)
    assert any(part is not None and len(part) == 2 for part in encoded)


def test_the_loss_of_dldl_v2_is_the_papers() -> None:
    np = pytest.importorskip("numpy")
    logits = np.random.default_rng(2).normal(size=(3, 101))
    mean = [20.0, 41.5, 3.0]
    method = {"name": "dldl-v2", "lambda": 1.0, "scaling": "per-sample"}
    values, _ = losses.loss(method, logits, mean, 2.0)
    target = dldl.label_distribution(mean, 2.0)
    log = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    divergence = (target * (np.log(np.maximum(target, 1e-300)) - log)).sum(1)
    expectation = np.abs(np.exp(log) @ np.arange(101) - mean)
    assert np.allclose(values, divergence + expectation, atol=1e-6)


def test_wrong_methods_and_shapes_are_refused() -> None:
    np = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match="dldl-v3"):
        losses.head_size("dldl-v3")
    with pytest.raises(ValueError, match=r"expected \[N, 101\]"):
        losses.loss("dldl", np.zeros(101), 20)
    with pytest.raises(ValueError, match="2 rows of logits for 1 labels"):
        losses.loss("dldl", np.zeros((2, 101)), 20)
