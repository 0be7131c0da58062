"""A column of weights: in the losses, in the scores, of training and validation rows."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight

from bent_scaler import BentScaler
from command_line import fastbp
from fastbp import DataError, Dense, Network, TableModel, train
from table_makers import classes_and_probabilities, numeric, people, written

FEW = {"preset": "fast", "epochs": 4, "hidden": 8}


def weighted(frame, seed=0):
    """Return a frame with a column of weights 0 to 3, and the frame with so many rows of each."""
    counts = np.random.default_rng(seed).integers(0, 4, len(frame))
    return frame.with_columns(w=counts), frame[np.repeat(np.arange(len(frame)), counts)]


# ------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("target", ["class", "number", "flag"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_weights_are_as_repeated_rows_in_scores(target, suffix, tmp_path):
    model = train(people(target=target), "y", **FEW)
    table, repeated = weighted(people(300, seed=1, target=target))
    path = written(tmp_path, table, suffix)
    scores = model.evaluate(path, weight="w")
    expected = model.evaluate(repeated)
    assert (scores.pop("rows"), expected.pop("rows")) == (300, len(repeated))
    assert scores == pytest.approx(expected, rel=1e-9)
    assert scores != pytest.approx(model.evaluate(table), rel=1e-3)


def test_scores_are_scikit_learns_with_the_same_weights():
    rng = np.random.default_rng(5)
    frame = people(300, seed=1, target="flag").with_columns(w=pl.Series(rng.gamma(2, 1, 300)))
    model = train(frame, "y", weight="w", **FEW)
    y, w = frame["y"].to_numpy(), frame["w"].to_numpy()
    prediction, probabilities = classes_and_probabilities(model.predict(frame))
    weights = {"sample_weight": w}
    expected = {
        "rows": 300,
        "accuracy": metrics.accuracy_score(y, prediction, **weights),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, prediction, **weights),
        "macro_f1": metrics.f1_score(y, prediction, average="macro", **weights),
        "log_loss": metrics.log_loss(y, probabilities[:, 1].astype(float), **weights),
        "roc_auc": metrics.roc_auc_score(y, probabilities[:, 1], **weights),
    }
    assert model.evaluate(frame) == pytest.approx(expected, rel=1e-6)
    frame = people(300, seed=1, target="number").with_columns(frame["w"])
    model = train(frame, "y", weight="w", **FEW)
    y, prediction = frame["y"].to_numpy(), model.predict(frame)["prediction"].to_numpy()
    expected = {
        "rows": 300,
        "r2": metrics.r2_score(y, prediction, **weights),
        "rmse": metrics.root_mean_squared_error(y, prediction, **weights),
        "mae": metrics.mean_absolute_error(y, prediction, **weights),
    }
    assert model.evaluate(frame) == pytest.approx(expected, rel=1e-6)


# ----------------------------------------------------------------------------- training


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("memory", [None, 4000])
def test_the_net_is_the_one_trained_by_hand(balanced, memory):
    rng = np.random.default_rng(1)
    data, valid = ({**d, "w": rng.gamma(2, 1, len(d["y"]))} for d in (numeric(), numeric(50, 4)))
    options = {"calibrate": False} | ({"class_weight": "balanced"} if balanced else {})
    shown = train(data, "y", valid=valid, weight="w", memory=memory, **options, **FEW)
    scaler = BentScaler().fit(np.stack([data[name] for name in "abc"], axis=1))
    classes = np.array(["u", "v", "w"])

    def encoded(part):
        X = scaler.transform(np.stack([part[name] for name in "abc"], axis=1))
        return X.astype(np.float32), np.searchsorted(classes, part["y"])

    X, y = encoded(data)
    weight = data["w"]
    if balanced:
        of_class = {"classes": classes, "y": data["y"], "sample_weight": weight}
        weight = weight * compute_class_weight("balanced", **of_class)[y]
    hidden = Dense(8, "relu", initializer="glorot_uniform")
    net = Network(inputs=3, layers=[hidden, Dense(3)], loss="cross_entropy")
    held = (*encoded(valid), valid["w"])
    fit = {"epochs": 4, "batch_size": 32, "early_stopping": 10}
    net.fit(X, y, sample_weight=weight, validation_data=held, **fit)
    names = ["val_loss", "val_accuracy"]
    if memory is None:
        np.testing.assert_allclose(shown.network.parameters, net.parameters, atol=1e-5)
        for name in [*names, "loss"]:
            assert shown.history[name] == pytest.approx(net.history[name], rel=1e-4)
    else:  # rows from a file are shuffled in another order
        assert shown.record["streamed"]
        assert shown.history["val_loss"] == pytest.approx(net.history["val_loss"], rel=0.05)
    # the scores of the record are of the weighted rows, as those of `evaluate` are
    assert shown.record["metrics"]["valid"] == pytest.approx(shown.evaluate(valid), rel=1e-5)
    confusion = np.array(shown.record["confusion"])
    assert confusion.sum() == pytest.approx(valid["w"].sum())


def test_the_column_is_no_input_and_needed_for_nothing_but_weights(caplog, tmp_path):
    table, _ = weighted(people())
    model = train(table, "y", weight="w", **FEW)
    assert "w" not in [column.name for column in model.schema.columns]
    assert [(c.name, c.reason) for c in model.schema.dropped if c.name == "w"] == [
        ("w", "the weights of the rows")
    ]
    model.save(tmp_path / "model")
    loaded = TableModel.load(tmp_path / "model")
    assert loaded.schema == model.schema and loaded.schema.weight.name == "w"
    assert loaded.predict(table.drop("w")).equals(model.predict(table))
    assert "'w'" not in caplog.text  # it was asked for
    loaded.evaluate(table.drop("w"))
    assert "has no column of weights, 'w': all rows count the same" in caplog.text


def test_weights_may_have_decimal_commas(tmp_path):
    table, _ = weighted(people())
    written_so = table["w"].cast(str) + ",5"
    commas = written(tmp_path, table.with_columns(w=written_so))
    points = table.with_columns(pl.col("w") + 0.5)
    model = train(commas, "y", weight="w", **FEW)
    same = train(written(tmp_path, points, name="points"), "y", weight="w", **FEW)
    assert (model.network.parameters == same.network.parameters).all()
    assert model.evaluate(commas) == same.evaluate(points) != model.evaluate(table)
    plain = train(table, "y", drop="w", **FEW)
    assert plain.evaluate(commas, weight="w") == plain.evaluate(points, weight="w")


def test_a_model_without_weights_is_saved_as_before(tmp_path):
    assert "weight" not in train(people(), "y", **FEW).schema.to_data()


# ------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("value", "shown"), [("", "''"), ("NA", "NA"), ("-1", "-1"), ("inf", "inf"), ("x", "x")]
)
def test_a_weight_that_is_none_is_refused_by_its_row(value, shown, tmp_path):
    weights = ["1.5"] * 200
    weights[122] = value
    path = written(tmp_path, people().with_columns(w=pl.Series(weights)))
    words = rf"the weight 'w' is .*{shown}.* in row 123: expected a finite weight of at least 0"
    with pytest.raises(DataError, match=words):
        train(path, "y", weight="w", **FEW)
    model = train(people(), "y", **FEW)
    with pytest.raises(DataError, match=words):
        model.evaluate(path, weight="w")
    done = fastbp("train", path, "--target", "y", "--weight", "w", "--epochs", 1)
    assert done.code == 3 and "row 123" in done.complaint


def test_other_wrong_weights_are_named():
    table, _ = weighted(people())
    for options, words in (
        ({"weight": "v"}, "no column 'v'"),
        ({"weight": "y"}, "'y' is named as the target and as the weight"),
        ({"weight": "w", "ids": "w"}, "'w' is named as an id and as the weight"),
        ({"weight": "w", "numeric": "w"}, "'w' is named as numeric and as the weight"),
    ):
        with pytest.raises(DataError, match=words):
            train(table, "y", **options, **FEW)
    model = train(table, "y", weight="w", drop="w", **FEW)
    zero = table.with_columns(w=0.0)
    with pytest.raises(DataError, match="all weights in 'w' are 0"):
        model.evaluate(zero)
    with pytest.raises(ValueError, match="weight"):
        train(zero, "y", weight="w", **FEW)


# ----------------------------------------------------------------------- the command, the report


def test_the_command_weighs_as_python_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table, repeated = weighted(people())
    table.write_csv("table.csv")
    repeated.write_csv("repeated.csv")
    done = fastbp("train", "table.csv", "--target", "y", "--weight", "w", "-o", "m", "--epochs", 4)
    assert done.code == 0 and "dropped, the weights of the rows: w" in done.out
    model = TableModel.load("m")
    assert model.fingerprint == train("table.csv", "y", weight="w", epochs=4).fingerprint
    json = ("--log", "json")
    (scores,) = fastbp("evaluate", "m", "table.csv", *json).events
    (again,) = fastbp("evaluate", "m", "table.csv", "--weight", "w", *json).events
    assert scores["accuracy"] == again["accuracy"] == model.evaluate("table.csv")["accuracy"]
    warned, expected = fastbp("evaluate", "m", "repeated.csv", *json).events
    assert "all rows count the same" in warned["message"]
    assert expected["log_loss"] == pytest.approx(scores["log_loss"], rel=1e-9)
    assert fastbp("evaluate", "m", "table.csv", "--weight", "v").code == 3


def test_a_report_shows_weighted_rows():
    from fastbp.report.build import build_report

    table = people(400).with_columns(w=pl.Series(np.random.default_rng(0).gamma(2, 1, 400)))
    model = train(table, "y", weight="w", **FEW)
    assert "Confusion matrix" in build_report(model)


@pytest.mark.parametrize("what", ["training", "validation"])
def test_weights_that_are_all_0_are_refused_in_one_line(what):
    rows = np.arange(200)
    is_held = rows >= 160
    weights = np.where(is_held == (what == "training"), 1.0, 0.0)
    table = pl.DataFrame({"x": rows % 7, "t": rows, "w": weights, "y": rows % 5 + 0.5})
    with pytest.raises(DataError, match=f"all {what} rows have a weight of 0"):
        train(table, "y", weight="w", time="t", valid_share=0.2, **FEW)
