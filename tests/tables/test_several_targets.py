"""Several targets: numbers together, or columns of two classes each."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from bent_scaler import BentScaler
from command_line import fastbp
from fastbp import DataError, Dense, Network, TableModel, to_onnx, train
from fastbp.report.build import build_report
from fastbp.tables.columns.schema import Schema
from fastbp.tables.result.notes import notes_of
from table_makers import numeric, people, written

FEW = {"preset": "fast", "epochs": 20, "hidden": 8}
NUMBERS, LABELS = ["price", "rooms"], ["old", "rich"]


def frame(rows=300, seed=0):
    """Return people with two numbers to learn, one of them whole, and two of two classes."""
    table = people(rows, seed, target="number").rename({"y": "price"})
    rng = np.random.default_rng(seed)
    price, age = table["price"].to_numpy(), table["age"].fill_null(40).to_numpy()
    rooms = np.clip(np.round(price / 40 + rng.normal(0, 0.5, rows)), 1, 9).astype(int)
    return table.with_columns(
        rooms=pl.Series(rooms),
        old=pl.Series(np.where(age > 40, "yes", "no")),
        rich=pl.Series(price > 160),
    )


@pytest.fixture(scope="module")
def models():
    """Return a model of each sort of targets, and the frame that it was trained on."""
    table = frame()
    return {
        "numbers": (train(table, NUMBERS, drop=LABELS, **FEW), table),
        "labels": (train(table, LABELS, drop=NUMBERS, **FEW), table),
    }


def truth(table, names):
    """Return targets (n, 2): numbers, or whether each is of the second class."""
    columns = [table[name].to_numpy() for name in names]
    return np.stack([c == "yes" if c.dtype == object else c for c in columns], axis=1).astype(float)


def predicted(model, table, names, what="prediction of "):
    return np.stack([model.predict(table)[f"{what}{name}"].to_numpy() for name in names], axis=1)


# ------------------------------------------------------------------------------ learning


def test_numbers_are_learned_together_as_by_hand():
    data, valid = numeric(), numeric(50, seed=4)
    for part in (data, valid):
        part["u"], part["v"] = 3 * part["a"] - 7, part["b"] ** 2 / 10
        del part["y"]
    model = train(data, ["u", "v"], valid=valid, epochs=4, hidden=8, preset="fast")
    scaler = BentScaler().fit(np.stack([data[name] for name in "abc"], axis=1))
    targets = model.schema.targets
    assert [t.name for t in targets] == ["u", "v"]
    for target in targets:
        assert target.mean == pytest.approx(data[target.name].mean())
        assert target.scale == pytest.approx(data[target.name].std())

    def encoded(part):
        X = scaler.transform(np.stack([part[name] for name in "abc"], axis=1)).astype(np.float32)
        y = [(part[t.name] - t.mean) / t.scale for t in targets]
        return X, np.stack(y, axis=1)

    net = Network(inputs=3, layers=[Dense(8, "relu", initializer="glorot_uniform"), Dense(2)])
    fit = {"epochs": 4, "batch_size": 32, "early_stopping": 10}
    net.fit(*encoded(data), validation_data=encoded(valid), **fit)
    np.testing.assert_allclose(model.network.parameters, net.parameters, atol=1e-5)
    assert model.history["val_loss"] == pytest.approx(net.history["val_loss"], rel=1e-4)


def test_the_losses_and_outputs(models):
    numbers, labels = models["numbers"][0], models["labels"][0]
    assert numbers.network.loss == "squared_error" and len(numbers.network.layers[-1:]) == 1
    assert (labels.network.loss, labels.network.layers[-1].n_out) == ("binary_cross_entropy", 2)
    assert [target.classes for target in labels.schema.targets] == [
        ("no", "yes"),
        ("false", "true"),
    ]
    robust = train(frame(), NUMBERS, drop=LABELS, loss="huber", **FEW)
    assert robust.network.loss == "huber"


@pytest.mark.parametrize("memory", [None, 60_000])
def test_both_are_learned(memory):
    table, new = frame(1500), frame(500, seed=1)
    options = {"epochs": 60, "memory": memory}
    numbers = train(table, NUMBERS, drop=LABELS, **options, preset="fast")
    assert numbers.record["streamed"] == (memory is not None)
    scores = numbers.evaluate(new)
    labels = train(table, LABELS, drop=NUMBERS, **options, preset="fast").evaluate(new)
    # no worse than one model for each, but for chance
    for name, others in zip(NUMBERS, (["rooms"], ["price"]), strict=True):
        alone = train(
            table, name, task="regression", drop=[*LABELS, *others], **options, preset="fast"
        )
        assert scores[f"r2 of {name}"] > alone.evaluate(new)["r2"] - 0.05
    for name, others in zip(LABELS, (["rich"], ["old"]), strict=True):
        alone = train(table, name, drop=[*NUMBERS, *others], **options, preset="fast")
        assert labels[f"accuracy of {name}"] > alone.evaluate(new)["accuracy"] - 0.03


def test_rows_that_lack_a_target_are_left_out(caplog):
    table = frame().with_columns(
        pl.when(pl.int_range(300) >= 10).then("price"),
        pl.when(pl.int_range(300) != 299).then("rooms"),
    )
    model = train(table, NUMBERS, drop=LABELS, valid_share=0, epochs=2)
    assert model.record["data"]["train"] == 289
    assert "11 rows without a value of 'price', 'rooms': left out" in caplog.text
    assert model.schema.targets[1].mean == pytest.approx(table["rooms"][10:299].mean())
    assert model.evaluate(table)["rows"] == 289


# ----------------------------------------------------------------------------- predictions


def test_predictions_of_numbers_are_in_their_units(models, tmp_path):
    model, table = models["numbers"]
    scored = model.predict(table)
    assert scored.columns == ["code", "prediction of price", "prediction of rooms"]
    X = model.schema
    assert X.n_outputs == 2
    model.save(tmp_path / "model")
    loaded = TableModel.load(tmp_path / "model")
    assert loaded.schema == model.schema and loaded.predict(table).equals(scored)
    assert loaded.fingerprint == model.fingerprint


def test_predictions_of_classes_are_their_values(models):
    model, table = models["labels"]
    scored = model.predict(table)
    heads = ["prediction of old", "probability of old=yes"]
    heads += ["prediction of rich", "probability of rich=true"]
    assert scored.columns == ["code", *heads]
    assert (scored[heads[0]] == "yes").equals((scored[heads[1]] > 0.5).alias(heads[0]))
    assert scored[heads[2]].dtype == pl.Boolean
    assert scored[heads[2]].equals((scored[heads[3]] > 0.5).alias(heads[2]))


# ---------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("weight", [None, "w"])
def test_scores_of_numbers_are_scikit_learns(models, weight):
    model, table = models["numbers"]
    w = np.random.default_rng(0).gamma(2, 1, 300)
    table = table.with_columns(w=pl.Series(w))
    given = {"sample_weight": w} if weight else {}
    y, p = truth(table, NUMBERS), predicted(model, table, NUMBERS)
    expected = {"rows": 300, "r2": metrics.r2_score(y, p, **given)}
    for place, name in enumerate(NUMBERS):
        one = (y[:, place], p[:, place])
        expected[f"r2 of {name}"] = metrics.r2_score(*one, **given)
        expected[f"rmse of {name}"] = metrics.root_mean_squared_error(*one, **given)
        expected[f"mae of {name}"] = metrics.mean_absolute_error(*one, **given)
    assert model.evaluate(table, weight=weight) == pytest.approx(expected, rel=1e-5)
    assert list(model.record["metrics"]["valid"]) == list(expected)


@pytest.mark.parametrize("weight", [None, "w"])
def test_scores_of_classes_are_scikit_learns(models, weight):
    model, table = models["labels"]
    w = np.random.default_rng(0).gamma(2, 1, 300)
    table = table.with_columns(w=pl.Series(w))
    given = {"sample_weight": w} if weight else {}
    y = truth(table, LABELS).astype(int)
    p = truth(
        model.predict(table)
        .select(pl.col("^prediction of .*$"))
        .rename({f"prediction of {name}": name for name in LABELS}),
        LABELS,
    ).astype(int)
    found = model.evaluate(table, weight=weight)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, p, **given))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(y, p, average="macro", **given))
    for place, end in enumerate(("old=yes", "rich=true")):
        name = LABELS[place]
        scores = model.predict(table)[f"probability of {end}"].to_numpy()
        area = metrics.roc_auc_score(y[:, place], scores, **given)
        assert found[f"roc_auc of {name}"] == pytest.approx(area, rel=1e-6)
        right = metrics.accuracy_score(y[:, place], p[:, place], **given)
        assert found[f"accuracy of {name}"] == pytest.approx(right)
    by_name = model.evaluate(table, weight=weight, metrics=["f1_micro", "hamming_loss"])
    one = metrics.hamming_loss(y, p, **given)
    assert by_name["hamming_loss"] == pytest.approx(one)


def test_metrics_by_name_of_numbers(models):
    model, table = models["numbers"]
    y, p = truth(table, NUMBERS), predicted(model, table, NUMBERS)
    found = model.evaluate(table, metrics=["neg_mean_absolute_error", "r2_score"])
    assert found["neg_mean_absolute_error"] == pytest.approx(-metrics.mean_absolute_error(y, p))
    assert found["r2_score"] == pytest.approx(found["r2"], rel=1e-5)


def test_quantiles_and_rates_of_several(models):
    table = frame()
    quantile = train(table, NUMBERS, drop=LABELS, quantile=0.9, epochs=60)
    scores = quantile.evaluate(table)
    for place, name in enumerate(NUMBERS):
        y = truth(table, NUMBERS)[:, place]
        p = predicted(quantile, table, NUMBERS)[:, place]
        expected = metrics.mean_pinball_loss(y, p, alpha=0.9)
        assert scores[f"pinball_loss of {name}"] == pytest.approx(expected, rel=1e-5)
        assert scores[f"coverage of {name}"] == pytest.approx(0.9, abs=0.1)
    rates = train(table, NUMBERS, drop=LABELS, loss="poisson", epochs=5)
    assert (predicted(rates, table, NUMBERS) > 0).all()
    assert "poisson_deviance of rooms" in rates.evaluate(table)


def test_folds_and_explanations(models):
    model, table = models["labels"]
    folds = train(table, LABELS, drop=NUMBERS, folds=3, epochs=2).record["folds"]
    assert folds["by"] == "row" and len(folds["scores"]) == 3
    for which in ("numbers", "labels"):
        model, table = models[which]
        found = model.explain(table, repeats=2)
        assert len(found) == len(model.schema.columns) and (found["gradient"] >= 0).all()
        assert found["importance"][0] > 0


# -------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (["price", "rich"], r"'price' \(numbers\), 'rich' \(2 classes\)"),
        (["rich", "city"], r"'rich' \(2 classes\), 'city' \(4 classes\)"),
        (["price", "prise"], "no column 'prise'; did you mean 'price'"),
    ],
)
def test_targets_that_do_not_suit_each_other_are_named(targets, words):
    with pytest.raises(DataError, match=words):
        train(frame(), targets, **FEW)


def test_what_several_targets_do_not_have_is_refused(models):
    with pytest.raises(ValueError, match="class_weight='balanced': several targets"):
        train(frame(), LABELS, class_weight="balanced", **FEW)
    with pytest.raises(ValueError, match="target='price': it is named twice"):
        train(frame(), ["price", "price"], **FEW)
    data = models["labels"][0].schema.to_data()
    data["more_targets"] = [models["numbers"][0].schema.to_data()["target"]]
    with pytest.raises(ValueError, match="several targets: expected"):
        Schema.from_data(data)


def test_whole_numbers_are_learned_as_numbers_where_asked():
    table = frame().with_columns(more=pl.int_range(300) % 5)
    with pytest.raises(DataError, match="task=regression"):
        train(table, ["rooms", "more"], drop=LABELS, **FEW)
    model = train(table, ["rooms", "more"], task="regression", drop=LABELS, **FEW)
    assert model.schema.target.task == "regression"


# ------------------------------------------------------------------- one target; the command


def test_one_target_in_a_list_is_one_target(tmp_path):
    table = frame()
    one, listed = (train(table, target, **FEW) for target in ("price", ["price"]))
    assert one.fingerprint == listed.fingerprint
    assert one.record["options"]["target"] == listed.record["options"]["target"] == "price"
    assert "more_targets" not in one.schema.to_data()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_command_takes_targets_one_by_one(suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, frame(), suffix).name
    base = ("train", path, "--drop", "old", "--drop", "rich", "--epochs", 3)
    done = fastbp(*base, "--target", "price", "--target", "rooms", "-o", "model")
    assert done.code == 0 and "targets price, rooms: regression" in done.out
    assert "rmse of rooms" in done.out
    model = TableModel.load("model")
    assert model.fingerprint == train(path, NUMBERS, drop=LABELS, epochs=3).fingerprint
    (tmp_path / "job.toml").write_text('target = ["price", "rooms"]')
    assert fastbp(*base, "--config", "job.toml", "-o", "again").code == 0
    assert TableModel.load("again").fingerprint == model.fingerprint
    assert fastbp("predict", "model", path, "-o", "scored.csv").code == 0
    assert "prediction of rooms" in pl.read_csv("scored.csv").columns
    (scores,) = fastbp("evaluate", "model", path, "--log", "json").events
    assert scores["r2 of price"] == pytest.approx(model.evaluate(path)["r2 of price"])
    (plan,) = fastbp(
        *base, "--target", "price", "--target", "rooms", "--dry-run", "--log", "json"
    ).events
    assert plan["target"] == NUMBERS
    assert "predicts price, rooms: regression" in fastbp("info", "model").out
    assert fastbp("report", "model").code == 0


@pytest.mark.parametrize("which", ["numbers", "labels"])
def test_several_targets_are_exported(which, models, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, table = models[which]
    table = table.drop_nulls()
    to_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    given = {}
    for each in session.get_inputs():
        values = table[each.name]
        values = values.dt.epoch("s") if values.dtype == pl.Date else values
        is_text = each.type == "tensor(string)"
        kind = object if is_text else {"tensor(double)": float, "tensor(bool)": bool}[each.type]
        column = values.cast(pl.String) if is_text else values
        given[each.name] = column.to_numpy().astype(kind)[:, None]
    found = dict(
        zip([o.name for o in session.get_outputs()], session.run(None, given), strict=True)
    )
    if which == "numbers":
        expected = predicted(model, table, NUMBERS)
        np.testing.assert_allclose(found["prediction"], expected, rtol=1e-4)
    else:
        ends = ["old=yes", "rich=true"]
        expected = predicted(model, table, ends, "probability of ")
        np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-4, atol=1e-6)
        assert (found["label"] == (expected > 0.5)).all()


def test_a_report_and_the_notes_name_all_targets(models):
    page = build_report(models["labels"][0])
    assert "Predicting <bdi>old</bdi>, <bdi>rich</bdi>" in page and "2 pairs of classes" in page
    notes = "\n".join(notes_of(models["labels"][0].schema))
    assert "0: the probability of old = yes" in notes
    page = build_report(models["numbers"][0])
    assert "It predicts 2 numbers" in page
    assert "rooms" in "\n".join(notes_of(models["numbers"][0].schema))
