"""Quantiles and rates: what is learned, predicted, scored and refused."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics
from sklearn.linear_model import PoissonRegressor, QuantileRegressor

from command_line import fastbp
from fastbp import DataError, ModelFileError, TableModel, train
from table_makers import people, written

FEW = {"preset": "fast", "epochs": 4, "hidden": 8}


def spread(rows=2000, seed=0):
    """Return numbers whose deviation grows with x: at quantile p, y = 10 + 3 x + d(p) x."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 3, rows)
    return pl.DataFrame({"x": x, "y": 10 + 3 * x + rng.normal(0, 1, rows) * x})


def counts(rows=2000, seed=0):
    """Return counts of a mean exp(0.3 + 0.8 x) of an x and a city, and the mean."""
    rng = np.random.default_rng(seed)
    x, city = rng.normal(0, 1, rows), rng.choice(["Ulm", "Oslo"], rows)
    mean = np.exp(0.3 + 0.8 * x - 0.5 * (city == "Oslo"))
    return pl.DataFrame({"x": x, "city": city, "y": rng.poisson(mean)}), mean


# ------------------------------------------------------------------------------ quantiles


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_quantile_is_predicted(level):
    model = train(spread(), "y", quantile=level, hidden=16, epochs=80, patience=0, seed=1)
    new = spread(4000, seed=1)
    y, predicted = new["y"].to_numpy(), model.predict(new)["prediction"].to_numpy()
    assert (y <= predicted).mean() == pytest.approx(level, abs=0.04)
    # no worse than the best line
    X, seen = new["x"].to_numpy()[:, None], spread()
    line = QuantileRegressor(quantile=level, alpha=0)
    line.fit(seen["x"].to_numpy()[:, None], seen["y"].to_numpy())
    losses = [metrics.mean_pinball_loss(y, p, alpha=level) for p in (predicted, line.predict(X))]
    assert losses[0] < 1.05 * losses[1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{"quantile": 0.8}, {"loss": "quantile"}])
def test_the_pinball_loss_is_scikit_learns(options, weighted, tmp_path):
    frame = people(300, target="number").with_columns(w=pl.int_range(300) % 5)
    model = train(frame, "y", weight="w" if weighted else None, drop="w", **options, **FEW)
    y, predicted = frame["y"].to_numpy(), model.predict(frame)["prediction"].to_numpy()
    w = frame["w"].to_numpy() if weighted else None
    level = options.get("quantile", 0.5)
    scores = model.evaluate(frame)
    expected = metrics.mean_pinball_loss(y, predicted, alpha=level, sample_weight=w)
    assert scores["pinball_loss"] == pytest.approx(expected, rel=1e-5)
    assert scores["coverage"] == pytest.approx(np.average(y <= predicted, weights=w), abs=1e-9)
    assert list(scores) == ["rows", "r2", "rmse", "mae", "pinball_loss", "coverage"]
    model.save(tmp_path / "model")
    assert TableModel.load(tmp_path / "model").evaluate(frame) == scores
    valid = model.record["metrics"]["valid"]
    assert list(valid) == list(scores)


# ---------------------------------------------------------------------------------- rates


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rates_are_predicted_with_a_logarithmic_link(suffix, tmp_path):
    frame, _ = counts()
    assert frame["y"].n_unique() <= 20  # it would be a classification without the loss
    path = written(tmp_path, frame, suffix)
    model = train(path, "y", loss="poisson", hidden=(), epochs=200, patience=30)
    target = model.schema.target
    assert (target.task, target.mean, target.rate) == ("regression", 0.0, True)
    new, mean = counts(4000, seed=1)
    predicted = model.predict(new)["prediction"].to_numpy()
    assert (predicted > 0).all()
    assert np.abs(np.log(predicted / mean)).mean() < 0.1
    # a net without hidden layers is the generalized linear model
    encoded = [np.stack([f["x"].to_numpy(), f["city"] == "Oslo"], axis=1) for f in (frame, new)]
    linear = PoissonRegressor(alpha=0).fit(encoded[0], frame["y"].to_numpy())
    y = new["y"].to_numpy()
    best = metrics.mean_poisson_deviance(y, linear.predict(encoded[1]))
    assert metrics.mean_poisson_deviance(y, predicted) < 1.05 * best


@pytest.mark.parametrize("weighted", [False, True])
def test_the_deviance_is_scikit_learns(weighted):
    frame = counts()[0].with_columns(w=pl.int_range(2000) % 5)
    model = train(frame, "y", loss="poisson", weight="w" if weighted else None, drop="w", **FEW)
    y, predicted = frame["y"].to_numpy(), model.predict(frame)["prediction"].to_numpy()
    w = frame["w"].to_numpy() if weighted else None
    scores = model.evaluate(frame)
    expected = metrics.mean_poisson_deviance(y, predicted, sample_weight=w)
    assert scores["poisson_deviance"] == pytest.approx(expected, rel=1e-5)
    assert scores["r2"] == pytest.approx(metrics.r2_score(y, predicted, sample_weight=w), rel=1e-4)
    assert list(scores) == ["rows", "r2", "rmse", "mae", "poisson_deviance"]
    assert "poisson_deviance" in model.record["metrics"]["valid"]


def test_a_rate_below_0_is_refused_by_its_row(tmp_path):
    frame, _ = counts(200)
    wrong = frame.with_columns(y=pl.when(pl.int_range(200) == 122).then(-1).otherwise("y"))
    path = written(tmp_path, wrong)
    words = "the target 'y' is '?-1'? in row 123: expected a finite number of at least 0"
    with pytest.raises(DataError, match=words):
        train(path, "y", loss="poisson", **FEW)
    model = train(frame, "y", loss="poisson", **FEW)
    with pytest.raises(DataError, match=words):
        model.evaluate(path)
    done = fastbp("train", path, "--target", "y", "--loss", "poisson")
    assert done.code == 3 and "row 123" in done.complaint


def test_rates_are_exported_with_their_link(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from fastbp import to_onnx

    frame, _ = counts(200)
    model = train(frame, "y", loss="poisson", **FEW)
    to_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    inputs = {"x": frame["x"].to_numpy()[:, None], "city": frame["city"].to_numpy()[:, None]}
    given = {
        i.name: inputs[i.name].astype(object if i.name == "city" else float)
        for i in session.get_inputs()
    }
    predicted = session.run(None, given)[0].ravel()
    np.testing.assert_allclose(predicted, model.predict(frame)["prediction"], rtol=1e-4)


# ------------------------------------------------------------------------ other losses, options


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_a_loss_of_numbers_makes_a_regression_of_few_whole_numbers(loss):
    frame = people(200).with_columns(y=pl.int_range(200) % 5)
    assert train(frame, "y", **FEW).schema.target.task == "classification"
    assert train(frame, "y", loss=loss, **FEW).schema.target.task == "regression"
    asked = {"loss": loss, "task": "classification"}
    with pytest.raises(ValueError, match=f"loss='{loss}'.*a classification has cross_entropy"):
        train(frame, "y", **asked, **FEW)


def test_a_quantile_of_another_loss_or_task_is_refused():
    with pytest.raises(ValueError, match=r"quantile=0\.9: loss='huber' has no quantile"):
        train(people(target="number"), "y", quantile=0.9, loss="huber")
    with pytest.raises(ValueError, match=r"quantile=0\.9: a classification has cross_entropy"):
        train(people(), "y", quantile=0.9)


def test_the_command_predicts_a_quantile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spread(300).write_csv("table.csv")
    base = ("train", "table.csv", "--target", "y", "--epochs", 3)
    done = fastbp(*base, "--loss", "quantile", "--quantile", 0.9, "-o", "model")
    assert done.code == 0 and "pinball_loss" in done.out and "coverage" in done.out
    model = TableModel.load("model")
    same = train("table.csv", "y", loss="quantile", quantile=0.9, epochs=3)
    assert model.fingerprint == same.fingerprint
    assert model.network.loss_parameter == 0.9
    done = fastbp(*base, "--quantile", "0.1,0.9")
    assert done.code == 2 and "--quantile '0.1,0.9': expected a number" in done.complaint
    (scores,) = fastbp("evaluate", "model", "table.csv", "--log", "json").events
    assert scores["coverage"] == pytest.approx(model.evaluate("table.csv")["coverage"])


# ---------------------------------------------------------------------- several quantiles

LEVELS = (0.1, 0.5, 0.9)


def test_several_quantiles_are_predicted_and_do_not_cross():
    model = train(spread(), "y", quantile=[0.9, 0.1, 0.5], hidden=16, epochs=80, patience=0, seed=1)
    assert model.schema.quantiles == LEVELS == model.network.loss_parameter
    asked = spread(seed=5)
    predicted = model.predict(asked)
    names = [f"prediction of y at {level}" for level in LEVELS]
    assert predicted.columns[1:] == names
    p = predicted[names].to_numpy()
    assert (np.diff(p, axis=1) >= 0).all()
    scores = model.evaluate(asked)
    y = asked["y"].to_numpy()
    losses = [metrics.mean_pinball_loss(y, p[:, n], alpha=level) for n, level in enumerate(LEVELS)]
    for place, level in enumerate(LEVELS):
        assert scores[f"pinball_loss of y at {level}"] == pytest.approx(losses[place], rel=1e-5)
        assert scores[f"coverage of y at {level}"] == pytest.approx(level, abs=0.05)
    assert scores["pinball_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert "r2" not in scores


def test_crossed_outputs_are_put_in_order():
    model = train(spread(), "y", quantile=LEVELS, epochs=1, hidden=4, seed=3, preset="fast")
    model.network.biases[-1][:] = [3.0, 0.0, -3.0]
    p = model.predict(spread(seed=5))[:, 1:].to_numpy()
    assert (np.diff(p, axis=1) > 0).all()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_command_predicts_several_quantiles(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    table = spread(300)
    table.write_csv("table.csv") if kind == "csv" else table.write_parquet("table.parquet")
    levels = [each for level in LEVELS for each in ("--quantile", level)]
    options = ("--target", "y", "--epochs", 3, "-o", "model")
    assert fastbp("train", f"table.{kind}", *options, *levels).code == 0
    same = train(f"table.{kind}", "y", quantile=LEVELS, epochs=3)
    assert TableModel.load("model").fingerprint == same.fingerprint
    assert fastbp("predict", "model", f"table.{kind}", "-o", "p.csv").code == 0
    expected = same.predict(table)
    assert pl.read_csv("p.csv").columns == expected.columns
    np.testing.assert_allclose(pl.read_csv("p.csv").to_numpy(), expected.to_numpy(), rtol=1e-12)


def test_several_quantiles_of_several_targets():
    table = spread().with_columns(z=-pl.col("y"))
    model = train(table, ["y", "z"], quantile=[0.2, 0.8], hidden=16, epochs=60, seed=1)
    assert model.network.loss_parameter == (0.2, 0.8, 0.2, 0.8)
    p = model.predict(table)
    assert p.columns[1:] == [f"prediction of {n} at {q}" for n in "yz" for q in (0.2, 0.8)]
    assert (p["prediction of y at 0.2"] <= p["prediction of y at 0.8"]).all()
    scores = model.evaluate(table)
    for name in ("y at 0.2", "z at 0.2"):
        assert scores[f"coverage of {name}"] == pytest.approx(0.2, abs=0.08)


def test_several_quantiles_resume(tmp_path):
    kept = {"quantile": LEVELS, "hidden": 4, "patience": 0, "checkpoints": tmp_path / "kept"}
    whole = train(spread(300), "y", epochs=4, **kept | {"checkpoints": None})
    again = train(spread(300), "y", epochs=4, **kept)
    resumed = train(spread(300), "y", epochs=4, **kept, resume=True)
    assert whole.fingerprint == again.fingerprint == resumed.fingerprint


def test_levels_of_a_file_that_do_not_suit_its_network_are_refused(tmp_path):
    model = train(spread(300), "y", quantile=LEVELS, epochs=1, hidden=4)
    other = train(spread(300), "y", quantile=(0.1, 0.5, 0.8), epochs=1, hidden=4)
    TableModel(other.network, model.schema).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="quantiles"):
        TableModel.load(tmp_path / "model")


def test_no_rows_have_no_quantiles():
    model = train(spread(300), "y", quantile=np.array(LEVELS), epochs=1, hidden=4)
    assert model.predict(spread(300)[:0]).shape == (0, 4)


def test_levels_that_are_near_have_names_of_their_own():
    model = train(spread(300), "y", quantile=(0.9, 0.90000001), epochs=1, hidden=4)
    assert model.predict(spread(5)).columns[1:] == [
        f"prediction of y at {q}" for q in (0.9, 0.90000001)
    ]
