"""Any metric of scikit-learn by its name: beside a call of scikit-learn itself."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from command_line import fastbp
from fastbp import DataError, train
from table_makers import classes_and_probabilities, people

FEW = {"preset": "fast", "epochs": 4, "hidden": 8}


@pytest.fixture(scope="module")
def models():
    """Return the model of each target, its frame, and the model's predictions of it."""
    found = {}
    frames = {name: people(300, target=name) for name in ("class", "flag", "number")}
    frames["stars"] = frames["number"].with_columns(pl.col("y").rank().cast(int) // 75)
    for name, frame in frames.items():
        frame = frame.with_columns(w=pl.Series(np.random.default_rng(0).gamma(2, 1, 300)))
        model = train(frame, "y", drop="w", **FEW)
        found[name] = (model, frame, model.predict(frame))
    return found


def scores(models, target, *names, weight=None):
    model, frame, _ = models[target]
    found = model.evaluate(frame, metrics=names, weight=weight)
    return [found[name] for name in names]


@pytest.mark.parametrize("weight", [None, "w"])
def test_metrics_of_two_classes(models, weight):
    _, frame, predicted = models["flag"]
    y, labels = frame["y"].to_numpy(), predicted["prediction"].to_numpy()
    positive = predicted["probability of true"].to_numpy().astype(float)
    w = {"sample_weight": frame["w"].to_numpy()} if weight else {}
    expected = {
        "f1": metrics.f1_score(y, labels, **w),
        "precision": metrics.precision_score(y, labels, **w),
        "average_precision": metrics.average_precision_score(y, positive, **w),
        "neg_log_loss": -metrics.log_loss(y, positive, **w),
        "log_loss": metrics.log_loss(y, positive, **w),
        "neg_brier_score": -metrics.brier_score_loss(y, positive, **w),
        "matthews_corrcoef": metrics.matthews_corrcoef(y, labels, **w),
        "cohen_kappa_score": metrics.cohen_kappa_score(y, labels, **w),
        "zero_one_loss": metrics.zero_one_loss(y, labels, **w),
        "f1_score": metrics.f1_score(y, labels, **w),
    }
    found = scores(models, "flag", *expected, weight=weight)
    assert found == pytest.approx(list(expected.values()), rel=1e-6)


@pytest.mark.parametrize("target", ["class", "stars"])
def test_metrics_of_several_classes(models, target):
    _, frame, predicted = models[target]
    y = frame["y"].to_numpy()
    labels, probabilities = classes_and_probabilities(predicted)
    labels, probabilities = labels.to_numpy(), probabilities.astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = {
        "f1_macro": metrics.f1_score(y, labels, average="macro"),
        "roc_auc_ovr": metrics.roc_auc_score(y, probabilities, multi_class="ovr"),
        "top_k_accuracy": metrics.top_k_accuracy_score(y, probabilities),
        "hamming_loss": metrics.hamming_loss(y, labels),
    }
    if target == "stars":  # the numbers are meant, not their places
        expected["neg_mean_absolute_error"] = -metrics.mean_absolute_error(y, labels)
        del expected["top_k_accuracy"]
    assert scores(models, target, *expected) == pytest.approx(list(expected.values()), rel=1e-5)


@pytest.mark.parametrize("weight", [None, "w"])
def test_metrics_of_numbers(models, weight):
    _, frame, predicted = models["number"]
    y, p = frame["y"].to_numpy(), predicted["prediction"].to_numpy()
    w = {"sample_weight": frame["w"].to_numpy()} if weight else {}
    expected = {
        "explained_variance": metrics.explained_variance_score(y, p, **w),
        "neg_mean_absolute_percentage_error": -metrics.mean_absolute_percentage_error(y, p, **w),
        "mean_absolute_percentage_error": metrics.mean_absolute_percentage_error(y, p, **w),
        "d2_absolute_error_score": metrics.d2_absolute_error_score(y, p, **w),
        "median_absolute_error": metrics.median_absolute_error(y, p, **w),
        "mean_pinball_loss": metrics.mean_pinball_loss(y, p, **w),
    }
    found = scores(models, "number", *expected, weight=weight)
    assert found == pytest.approx(list(expected.values()), rel=1e-5)


def test_the_usual_scores_are_there_too(models):
    model, frame, _ = models["flag"]
    usual = model.evaluate(frame)
    assert list(model.evaluate(frame, metrics="f1")) == [*usual, "f1"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_every_scorer_scores_or_says_why_not(models):
    model, frame, _ = models["flag"]
    names = metrics.get_scorer_names()
    scored = [name for name in names if scores_or_says_why(model, frame, name)]
    assert len(scored) > len(names) / 2


def scores_or_says_why(model, frame, name):
    try:
        return name in model.evaluate(frame, metrics=name)
    except DataError as error:
        assert str(error).startswith(f"metric '{name}' of the target 'y': ")
        return False


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("f1_makro", r"no metric 'f1_makro'; did you mean 'f1_macro'\?"),
        ("acuracy", "did you mean 'accuracy'"),
        ("confusion_matrixes", "no metric"),
        ("", "no metric ''"),
        ("roc_curve", "no metric"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_nearest(models, name, words):
    model, frame, _ = models["flag"]
    with pytest.raises(ValueError, match=words):
        model.evaluate(frame, metrics=[name])


def test_a_metric_of_another_task_is_refused_in_one_line(models):
    for target, name in (
        ("number", "f1"),
        ("class", "r2"),
        ("class", "f1"),
        ("number", "log_loss"),
    ):
        with pytest.raises(DataError, match=f"metric '{name}' of the target 'y': "):
            scores(models, target, name)
    with pytest.raises(DataError, match=r"metric 'max_error'.*sample_weight"):
        scores(models, "number", "max_error", weight="w")


def test_the_command_scores_by_name(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, frame, _ = models["flag"]
    model.save("model")
    frame.write_csv("table.csv")
    base = ("evaluate", "model", "table.csv")
    done = fastbp(*base, "--metric", "f1", "--metric", "neg_log_loss", "--log", "json")
    (event,) = done.events
    expected = model.evaluate("table.csv", metrics=["f1", "neg_log_loss"])
    assert (event["f1"], event["neg_log_loss"]) == (expected["f1"], expected["neg_log_loss"])
    assert f"f1 {expected['f1']:.4g}" in fastbp(*base, "--metric", "f1").out
    done = fastbp(*base, "--metric", "f2")
    assert done.code == 2 and "no metric 'f2'" in done.complaint
    assert fastbp(*base, "--metric", "r2").code in (0, 3)
    done = fastbp(*base, "--metric", "neg_mean_squared_log_error", "--metric", "roc_auc_ovr")
    assert done.code in (0, 3) and "Traceback" not in done.err
