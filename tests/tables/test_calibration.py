"""Temperatures of classifiers: against scikit-learn and SciPy, and what a training does with it."""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from command_line import fastbp
from fastbp import TableModel, train
from fastbp.ensemble import members_of
from fastbp.report.build import build_report
from fastbp.tables.calibration import fitted
from fastbp.tables.unseen import Unseen
from table_makers import people

# too long for so few rows with so much noise
SURE = {"preset": "fast", "hidden": (64,), "epochs": 60, "patience": 0, "learning_rate": 0.01}


def noisy(rows, seed=0, classes=2):
    """Return arrays of five numbers and a class that they tell little of."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 5))
    labels = (X[:, :classes] + rng.gumbel(size=(rows, classes))).argmax(axis=1)
    names = np.array(["u", "v", "w"])[labels]
    return pl.DataFrame({**{f"x{n}": X[:, n] for n in range(5)}, "y": names})


def drawn(rows, classes, seed=0, networks=1, spread=0.0):
    """Return logits (networks, rows, classes), and labels drawn from the softmax of their mean."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (rows, classes))
    labels = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return z + rng.normal(0, spread, (networks, *z.shape)), labels


def last_layers(model):
    return [(each.weights[-1], each.biases[-1]) for each in members_of(model.network)]


# ------------------------------------------------------------------------------ the temperature


@pytest.mark.parametrize("weighted", [False, True])
def test_of_two_classes_it_is_one_over_the_slope_of_a_logistic_regression(weighted):
    z, labels = drawn(20_000, 2)
    z = 3 * z
    weight = np.random.default_rng(1).integers(1, 4, 20_000) if weighted else np.ones(20_000)
    slope = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-8).fit(
        z[0, :, 1:] - z[0, :, :1], labels, sample_weight=weight
    )
    found = fitted([(z, labels, weight)])
    assert found.value == pytest.approx(1 / slope.coef_[0, 0], rel=2e-3)
    assert found.value == pytest.approx(3, rel=0.05)


def test_it_is_that_of_the_mean_probabilities_with_a_prior():
    z, labels = drawn(300, 4, seed=3, networks=3, spread=2.0)
    halves = [
        (z[:, part], labels[part], np.full(150, 2.0)) for part in (slice(150), slice(150, 300))
    ]

    def loss(log):
        logs = logsumexp(log_softmax(z / np.exp(log), axis=2), axis=0) - np.log(3)
        return -logs[np.arange(300), labels].sum() + 2 * log**2

    right = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-6})
    step = 1e-2
    slopes = np.array([loss(right.x - step), loss(right.x), loss(right.x + step)])
    found = fitted(halves)
    assert found.log == pytest.approx(right.x, abs=2e-3)
    assert found.error == pytest.approx(np.diff(slopes, 2)[0] ** -0.5 * step, rel=0.02)


def test_its_error_is_how_much_it_differs_from_sample_to_sample():
    found = [fitted([(z, y, np.ones(800))]) for z, y in (drawn(800, 3, seed) for seed in range(60))]
    logs = np.array([each.log for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(logs.std(), rel=0.25)
    # of probabilities that are true, two errors are chance: 1 in 20 differs from 1
    assert sum(each.value == 1 for each in found) >= 53


def test_a_few_rows_that_are_all_right_do_not_make_it_small():
    z, labels = drawn(25, 3, seed=2)
    z[0, np.arange(25), labels] += 8
    found = fitted([(z, labels, np.ones(25))])
    assert found.value == 1 and found.log > np.log(0.5)


def test_rows_of_large_weight_are_worth_fewer():
    z, labels = drawn(400, 3, seed=5)
    z = 2 * z
    some = np.where(np.arange(400) < 100, 1e6, 1e-3)
    few, alone = fitted([(z, labels, some)]), fitted([(z[:, :100], labels[:100], np.ones(100))])
    assert (few.log, few.error) == pytest.approx((alone.log, alone.error), rel=1e-3)


def test_logits_are_those_of_probabilities_that_are_0_or_1():
    model = train(noisy(300, classes=3), "y", hidden=4, epochs=2, calibrate=False, preset="fast")
    network = model.network
    network.weights[-1][:] *= 1e4
    X = np.random.default_rng(0).normal(size=(50, network.layers[0].n_in)).astype(np.float32)
    hidden = np.maximum(X @ network.weights[0] + network.biases[0], 0)
    z = Unseen((network,), X, np.zeros(50, int)).logits()[0]
    np.testing.assert_allclose(z, hidden @ network.weights[1] + network.biases[1], rtol=1e-3)
    assert (network.forward(X) == 0).any()


def test_rows_are_thinned_evenly_and_those_without_a_weight_are_left_out():
    X = np.arange(1000.0)[:, None]
    weight = (np.arange(1000) % 10 > 0) * 2.0
    some = Unseen((), X, X[:, 0], weight).thinned(100)
    assert 90 <= len(some.X) <= 100 and (some.weight == 2).all()
    assert (some.X[:, 0] == some.y).all() and np.abs(np.diff(some.y) - 10).max() <= 2
    assert len(Unseen((), X, X[:, 0]).thinned(5000).X) == 1000
    assert len(Unseen((), X, X[:, 0], np.zeros(1000)).thinned(5).X) == 0


# ------------------------------------------------------------------------------ a training


KINDS = {
    "one": {},
    "streamed": {"memory": 9000},
    "float64": {"dtype": "float64"},
    "seeds": {"ensemble": 3},
    "folds": {"ensemble": 3, "ensemble_by": "folds"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_divides_the_last_layers_and_nothing_else(kind):
    rows = noisy(600, classes=3)
    plain = train(rows, "y", calibrate=False, **SURE, **KINDS[kind])
    model = train(rows, "y", **SURE, **KINDS[kind])
    found = model.record["temperature"]
    assert found > 1.3 and plain.record["temperature"] is None
    assert model.record["streamed"] == (kind == "streamed")
    both = zip(members_of(plain.network), members_of(model.network), strict=True)
    for before, after in both:
        size = before.weights[-1].size + before.biases[-1].size
        assert before.parameters[:-size].tobytes() == after.parameters[:-size].tobytes()
        np.testing.assert_allclose(
            after.parameters[-size:] * found, before.parameters[-size:], 1e-5
        )
        assert before.engine.moments.tobytes() == after.engine.moments.tobytes()
    for name in ("loss", "val_loss"):
        assert model.history[name] == plain.history[name]
    # on rows that nobody has seen
    new = noisy(4000, seed=9, classes=3)
    scores, was = model.evaluate(new), plain.evaluate(new)
    assert scores["log_loss"] < was["log_loss"]
    if len(last_layers(model)) == 1:
        assert scores["accuracy"] == was["accuracy"]


def test_the_scores_and_the_file_are_those_of_the_calibrated_network(tmp_path):
    rows, held, new = noisy(400), noisy(200, seed=1), noisy(100, seed=2)
    model = train(rows, "y", valid=held, **SURE)
    assert model.record["temperature"] > 1.3
    P = model.predict(held).select(pl.col("^probability.*$")).to_numpy()
    P = P.astype(float) / P.sum(axis=1, keepdims=True, dtype=float)
    right = log_loss(held["y"].to_numpy(), P, labels=["u", "v"])
    assert model.record["metrics"]["valid"]["log_loss"] == pytest.approx(right, rel=1e-5)
    model.save(tmp_path / "model")
    loaded = TableModel.load(tmp_path / "model")
    assert loaded.predict(new).equals(model.predict(new))
    assert loaded.record["temperature"] == model.record["temperature"]


def test_out_of_fold_it_is_less_than_that_of_the_networks_alone():
    rows = noisy(600, classes=3)
    options = {**SURE, "ensemble": 5, "ensemble_by": "folds"}
    plain, model = train(rows, "y", calibrate=False, **options), train(rows, "y", **options)
    P = plain.out_of_fold.select(pl.col("^probability.*$")).to_numpy().astype(float)
    labels = np.searchsorted(["u", "v", "w"], rows["y"].to_numpy())
    alone = fitted([(np.log(np.maximum(P, 1e-37))[None], labels, np.ones(600))])
    assert model.record["temperature"] == pytest.approx(0.89 * alone.value, rel=2e-3)
    known = model.out_of_fold.select(pl.col("^probability.*$")).to_numpy()
    scaled = softmax(np.log(np.maximum(P, 1e-37)) / model.record["temperature"], axis=1)
    np.testing.assert_allclose(known, scaled, atol=1e-4)


def test_a_class_that_one_fold_alone_has_does_not_count():
    frame = pl.concat([noisy(300), noisy(1).with_columns(y=pl.lit("w"))])
    with_it = train(frame, "y", ensemble=3, ensemble_by="folds", **SURE)
    without = train(frame[:300], "y", ensemble=3, ensemble_by="folds", **SURE)
    # -log p of a class that is unknown is 10 and more
    assert with_it.record["temperature"] == pytest.approx(without.record["temperature"], rel=0.4)


def test_each_of_several_targets_has_its_own():
    rng = np.random.default_rng(0)
    frame = noisy(800).with_columns(
        z=pl.Series(rng.random(800) < 0.5), x5=pl.Series(rng.normal(size=800))
    )
    frame = frame.with_columns(clear=pl.col("x5") > 0)
    plain, model = (
        train(frame, ["y", "z", "clear"], calibrate=flag, **SURE) for flag in (False, True)
    )
    found = model.record["temperature"]
    assert len(found) == 3 and found[1] > found[0] > found[2]
    (W, b), (V, c) = last_layers(plain)[0], last_layers(model)[0]
    np.testing.assert_allclose(V * np.array(found), W, rtol=1e-5)
    np.testing.assert_allclose(c * np.array(found), b, rtol=1e-5)


def test_without_rows_that_are_held_out_or_without_classes_there_is_none():
    assert train(noisy(300), "y", valid_share=0, **SURE).record["temperature"] is None
    numbers = train(people(target="number"), "y", epochs=3)
    assert numbers.record["temperature"] is None


def test_a_training_that_is_done_is_not_scaled_again(tmp_path):
    rows = noisy(300)
    for more in ({}, {"ensemble": 2}):
        folder = tmp_path / f"{len(more)}"
        model = train(rows, "y", checkpoints=folder, **SURE, **more)
        assert model.record["temperature"] > 1.3
        again = train(rows, "y", checkpoints=folder, resume=True, **SURE, **more)
        assert again.fingerprint == model.fingerprint
        off = train(rows, "y", checkpoints=folder, resume=True, calibrate=False, **SURE, **more)
        assert off.record["temperature"] is None and off.fingerprint != model.fingerprint


def test_the_command_says_it(tmp_path):
    noisy(300).write_csv(tmp_path / "rows.csv")
    given = ["--hidden", 64, "--epochs", 60, "--patience", 0, "--learning-rate", 0.01]
    base = ("train", tmp_path / "rows.csv", "--target", "y", *given)
    done = fastbp(*base, "-o", tmp_path / "model")
    found = TableModel.load(tmp_path / "model").record["temperature"]
    line = f"calibrated on these rows: the logits are divided by a temperature of {found:.3g}"
    assert done.code == 0 and line in done.out.splitlines()
    assert line in fastbp("info", tmp_path / "model").out.splitlines()
    page = build_report(TableModel.load(tmp_path / "model"))
    assert "temperature of the probabilities" in page and f"{found:.3g}" in page
    assert "calibrated" not in fastbp(*base, "--no-calibrate").out
