"""What predictions depend on: beside scikit-learn's importances, and finite differences."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import permutation_importance

import fastbp as library
from bent_scaler import BentScaler
from command_line import fastbp
from fastbp import ACTIVATIONS, DataError, Dense, Network, TableModel, train
from fastbp.report.build import build_report
from fastbp.tables.gradients import input_gradients
from table_makers import people

FEW = {"preset": "fast", "epochs": 20, "hidden": 8}


def pipeline(model):
    """Return a model of scikit-learn that predicts from a pandas frame, as a pipeline does."""
    classifies = model.schema.target.task == "classification"

    class Pipeline(ClassifierMixin if classifies else RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            return self

        def predict(self, X):
            return model.predict(pl.from_pandas(X))["prediction"].to_numpy()

    if classifies:
        Pipeline.classes_ = np.array(model.schema.target.classes)
    return Pipeline()


# ------------------------------------------------------------------------- importances


@pytest.mark.parametrize("target", ["class", "number"])
@pytest.mark.parametrize("weight", [None, "w"])
def test_importances_are_scikit_learns_of_a_pipeline(target, weight):
    pytest.importorskip("pandas")
    frame = people(200, target=target)
    model = train(frame, "y", **FEW)
    new = people(150, seed=1, target=target)
    new = new.with_columns(w=pl.Series(np.random.default_rng(0).gamma(2, 1, 150)))
    found = model.explain(new, repeats=3, seed=5, weight=weight)
    columns = [column.name for column in model.schema.columns]
    expected = permutation_importance(
        pipeline(model),
        new.select(columns).to_pandas(),
        new["y"].to_numpy(),
        n_repeats=3,
        random_state=5,
        sample_weight=new["w"].to_numpy() if weight else None,
    )
    assert found["importance"].is_sorted(descending=True)
    by_name = {row["column"]: row for row in found.to_dicts()}
    for name, mean, deviation in zip(
        columns, expected.importances_mean, expected.importances_std, strict=True
    ):
        assert by_name[name]["importance"] == pytest.approx(mean, abs=1e-6)
        assert by_name[name]["deviation"] == pytest.approx(deviation, abs=1e-6)


def test_any_metric_may_fall():
    frame = people(200, target="flag")
    model = train(frame, "y", **FEW)
    found = model.explain(frame, metric="neg_log_loss", repeats=2)
    assert {*found["column"][:3]} == {"age", "city", "paid"} and found["importance"][2] > 0.02
    by_loss = model.explain(frame, metric="log_loss", repeats=2).sort("column")
    assert (by_loss["importance"] == -found.sort("column")["importance"]).all()
    with pytest.raises(ValueError, match="no metric 'loss'"):
        model.explain(frame, metric="loss")
    with pytest.raises(DataError, match="metric 'f1' of the target 'y'"):
        train(people(200), "y", **FEW).explain(people(200), metric="f1")


def test_what_decides_is_first_and_what_does_not_matter_is_0():
    rng = np.random.default_rng(0)
    data = {name: rng.normal(size=3000) for name in ("little", "much", "nothing")}
    data["y"] = 3 * data["much"] + 0.5 * data["little"] + rng.normal(0, 0.1, 3000)
    model = train(pl.DataFrame(data), "y", hidden=(), epochs=60, preset="fast")
    found = model.explain(pl.DataFrame(data), repeats=10)
    assert found["column"].to_list() == ["much", "little", "nothing"]
    # permuting a column of a linear model takes twice its share of the variance away
    variance = np.var(data["y"])
    shares = [2 * 9 / variance, 2 * 0.25 / variance, 0]
    assert found["importance"].to_list() == pytest.approx(shares, abs=0.05)
    X = np.stack([data[name] for name in ("little", "much", "nothing")], axis=1)
    best = np.linalg.lstsq(BentScaler().fit(X).transform(X), data["y"] - data["y"].mean())[0]
    assert found["gradient"][0] == pytest.approx(best[1], rel=0.05)


def test_rows_are_drawn_at_random_and_the_same_ones_by_their_seed():
    frame = people(400)
    model = train(frame, "y", **FEW)
    seen = []
    drawn = model.explain(frame, rows=50, repeats=2, on_score=lambda: seen.append(1))
    assert len(seen) == 1 + 2 * len(model.schema.columns)
    assert drawn.equals(model.explain(frame, rows=50, repeats=2))
    assert drawn.equals(model.explain(frame, rows=50, repeats=2, n_threads=1))
    assert not drawn.equals(model.explain(frame, rows=50, repeats=2, seed=1))
    every = model.explain(frame, rows=400, repeats=2)
    assert every.equals(model.explain(frame, rows=10_000, repeats=2)) and not drawn.equals(every)


def test_rows_without_a_target_are_not_drawn():
    frame = people(200)
    model = train(frame, "y", **FEW)
    gaps = frame.with_columns(y=pl.when(pl.int_range(200) >= 50).then("y"))
    expected = model.explain(frame[50:], repeats=2)
    assert model.explain(gaps, repeats=2)["importance"].abs().sum() > 0
    assert len(expected) == len(model.schema.columns)
    with pytest.raises(DataError, match="no row with a value of 'y'"):
        model.explain(frame.with_columns(y=pl.lit(None, pl.String)))


def test_a_value_that_is_wrong_is_named_by_its_row_in_the_table():
    frame = people(300)
    model = train(frame, "y", **FEW)
    wrong = frame.with_columns(pl.col("age").cast(pl.String))
    wrong = wrong.with_columns(
        age=pl.when(pl.int_range(300) == 249).then(pl.lit("old")).otherwise("age")
    )
    with pytest.raises(DataError, match="'age' is 'old' in row 250"):
        model.explain(wrong, rows=300)
    for options, words in (
        ({"repeats": 0}, "repeats=0"),
        ({"rows": 1}, "rows=1"),
        ({"seed": -1}, "seed=-1"),
    ):
        with pytest.raises(ValueError, match=words):
            model.explain(frame, **options)


# --------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("name", [n for n, record in ACTIVATIONS.items() if not record.of_rows])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "poisson"])
def test_gradients_are_those_of_finite_differences(name, loss):
    n_out = 3 if loss == "cross_entropy" else 1
    layers = [Dense(6, name), Dense(5, name, bias=False), Dense(n_out)]
    net = Network(inputs=4, layers=layers, loss=loss, dtype="float64", seed=2)
    X = np.random.default_rng(0).normal(0, 1, (30, 4))
    found = input_gradients(net, X)
    chosen = net.forward(X).argmax(axis=1)
    step = 1e-6
    for place in range(4):
        shift = np.zeros(4)
        shift[place] = step
        above, below = (net.forward(X + sign * shift) for sign in (1, -1))
        slope = (above - below)[np.arange(30), chosen] / (2 * step)
        near = np.abs(found[:, place] - slope) < 1e-5 * (1 + np.abs(slope))
        assert near.mean() > 0.95  # of those at a kink the slope is not defined


def test_a_gradient_is_in_units_of_the_target():
    frame = people(300, target="number")
    models = [
        train(f, "y", hidden=(), epochs=3, seed=1)
        for f in (frame, frame.with_columns(pl.col("y") * 1000))
    ]
    one, thousand = (m.explain(frame, repeats=1).sort("column")["gradient"] for m in models)
    np.testing.assert_allclose(thousand, one * 1000, rtol=1e-3)
    assert len(one) == len(models[0].schema.columns)


# ---------------------------------------------------------------- the command, the report


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Return a model that is saved as ``model`` beside table.csv."""
    monkeypatch.chdir(tmp_path)
    frame = people(200)
    frame.write_csv("table.csv")
    model = train("table.csv", "y", **FEW)
    model.save("model")
    return model


def test_the_command_prints_a_table_or_an_event(saved):
    found = saved.explain("table.csv", repeats=2, seed=3)
    options = ("explain", "model", "table.csv", "--repeats", 2, "--seed", 3)
    done = fastbp(*options)
    assert done.code == 0
    heads, *lines = done.out.splitlines()
    assert heads.split() == ["column", "importance", "gradient"]
    assert [line.split()[0] for line in lines] == found["column"].to_list()
    (event,) = fastbp(*options, "--log", "json").events
    assert event["event"] == "explanation" and event["columns"] == found.to_dicts()
    assert fastbp(*options, "--metric", "f1_macro", "--quiet").out != done.out
    assert fastbp(*options, "--metric", "f1_makro").code == 2
    assert fastbp("explain", "model", "none.csv").code == 3


def test_the_report_holds_the_table(saved):
    done = fastbp("explain", "model", "table.csv", "--repeats", 1, "-o", "page.html")
    assert done.code == 0 and done.out.endswith("saved to page.html\n")
    with open("page.html", encoding="utf-8") as file:
        page = file.read()
    assert "What predictions depend on" in page and "What predictions" not in build_report(saved)
    rows = saved.explain("table.csv", repeats=1).to_dicts()
    assert build_report(TableModel.load("model"), rows) == page
    place = [page.index(f"<bdi>{row['column']}</bdi>") for row in rows]
    assert place == sorted(place)


def test_explain_is_listed():
    assert "explain" in dir(library.TableModel)
    assert "explain" in fastbp("--help").out
