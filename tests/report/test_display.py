"""The curves that matplotlib draws, compared with the history they come from."""

import doctest
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

import fastbp.report.display
from fastbp import MLPClassifier, MLPRegressor, Network
from fastbp.report.display import LossCurveDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 - the backend comes first
from matplotlib.figure import Figure  # noqa: E402

HISTORY = {
    "loss": [2.0, 1.0, 0.5, 0.25],
    "val_loss": [1.5, 0.75, 1.0, 1.25],
    "val_accuracy": [0.5, 0.75, 0.875, 0.625],
}


@pytest.fixture
def ax():
    """Return axes of a figure that pyplot does not know."""
    return Figure().add_subplot()


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    pyplot.close("all")


def points(line):
    """Return a line's numbers as lists."""
    return [list(map(float, values)) for values in line.get_data()]


def words(display):
    """Return what the legend says."""
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_a_dict_gives_both_losses_over_epochs_from_1(ax):
    display = LossCurveDisplay.from_history(HISTORY, ax=ax)
    assert points(display.loss_line_) == [[1, 2, 3, 4], HISTORY["loss"]]
    assert points(display.validation_line_) == [[1, 2, 3, 4], HISTORY["val_loss"]]
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Epoch", "Loss")
    assert (display.metric_line_, display.metric_ax_) == (None, None)
    assert words(display) == ["training loss", "validation loss", "best epoch, 2"]


def test_the_best_epoch_is_marked_where_the_validation_loss_is_lowest(ax):
    display = LossCurveDisplay.from_history(HISTORY, ax=ax)
    assert display.best_epoch == int(np.argmin(HISTORY["val_loss"]))
    assert set(points(display.best_line_)[0]) == {display.best_epoch + 1}


def test_a_networks_own_history_says_which_epoch_is_best(ax):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    net = Network([3, 4, 1])
    with pytest.raises(ValueError, match="fit first"):
        LossCurveDisplay.from_history(net, ax=ax)
    history = net.fit(X, y, epochs=6, validation_data=(X[:20], y[:20]))
    history.best_epoch = 3
    for source in (history, net):
        display = LossCurveDisplay.from_history(source, ax=ax, metric=True)
        assert display.best_epoch == 3
        assert points(display.loss_line_)[1] == history["loss"]
        assert points(display.validation_line_)[1] == history["val_loss"]
        assert points(display.metric_line_)[1] == history["val_r2"]
        assert "R²" in display.metric_ax_.get_ylabel()


def test_a_models_record_says_which_epoch_is_best(ax):
    class Model:
        history, record = HISTORY, {"best_epoch": 0}

    assert LossCurveDisplay.from_history(Model(), ax=ax).best_epoch == 0


def test_the_metric_has_an_axis_of_its_own_and_one_legend(ax):
    display = LossCurveDisplay.from_history(HISTORY, ax=ax, metric=True)
    assert points(display.metric_line_)[1] == HISTORY["val_accuracy"]
    assert display.metric_line_.axes is display.metric_ax_ is not ax
    assert display.metric_ax_.get_ylabel() == "Validation accuracy"
    assert "validation accuracy" in words(display) and len(words(display)) == 4
    lines = [display.loss_line_, display.validation_line_, display.metric_line_]
    assert len({matplotlib.colors.to_hex(line.get_color()) for line in lines}) == 3
    assert ax.get_zorder() > display.metric_ax_.get_zorder()  # the legend lies on top


def test_two_trainings_share_axes_and_are_told_apart(ax):
    first = LossCurveDisplay.from_history(HISTORY, ax=ax, metric=True, name="Adam")
    longer = {name: values * 2 for name, values in HISTORY.items()}
    second = LossCurveDisplay.from_history(longer, ax=ax, metric=True, name="SGD")
    assert first.metric_ax_ is second.metric_ax_
    assert len(words(second)) == len(set(words(second))) == 8
    assert {word.split(":")[0] for word in words(second)} == {"Adam", "SGD"}
    assert ax.get_xlim()[1] > 8
    lines = [line for d in (first, second) for line in (d.loss_line_, d.validation_line_)]
    lines += [first.metric_line_, second.metric_line_]
    assert len({matplotlib.colors.to_hex(line.get_color()) for line in lines}) == 6


def test_subplots_that_share_epochs_keep_their_own_metrics():
    upper, lower = Figure().subplots(2, sharex=True)
    first = LossCurveDisplay.from_history(HISTORY, ax=upper, metric=True)
    second = LossCurveDisplay.from_history(HISTORY, ax=lower, metric=True)
    assert len({upper, lower, first.metric_ax_, second.metric_ax_}) == 4


def test_a_single_epoch_is_a_dot_at_1(ax):
    display = LossCurveDisplay.from_history({"loss": [0.5], "val_loss": [0.25]}, ax=ax)
    display.figure_.canvas.draw()
    assert points(display.loss_line_) == [[1], [0.5]]
    for line in (display.loss_line_, display.validation_line_):
        assert line.get_marker() == "o" and list(line.get_markevery()) == [0]
    left, right = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if left <= tick <= right] == [1]


def test_missing_values_are_gaps_and_a_lonely_one_is_a_dot(ax):
    history = {"loss": [1.0, 0.5, 0.25, 0.125], "val_loss": [np.nan, 0.75, None, np.nan]}
    display = LossCurveDisplay.from_history(history, ax=ax)
    assert np.isnan(display.validation_line_.get_ydata()).tolist() == [True, False, True, True]
    assert list(display.validation_line_.get_markevery()) == [1]
    assert display.loss_line_.get_marker() == "None"
    assert display.best_epoch == 1


def test_losses_that_are_all_missing_mark_no_epoch(ax):
    display = LossCurveDisplay.from_history({"loss": [np.nan, np.nan]}, ax=ax)
    assert display.best_epoch is None and display.best_line_ is None


def test_validation_that_is_all_missing_leaves_the_mark_to_the_loss(ax):
    history = {"loss": [1.0, 0.5, 0.75], "val_loss": [np.nan] * 3}
    assert LossCurveDisplay.from_history(history, ax=ax).best_epoch == 1


def test_a_log_scale_leaves_out_losses_of_zero(ax):
    display = LossCurveDisplay.from_history({"loss": [1.0, 0.1, 0.0]}, ax=ax, log_scale=True)
    display.figure_.canvas.draw()
    assert ax.get_yscale() == "log" and ax.get_ylim()[0] > 0.01
    with pytest.raises(ValueError, match="log_scale=True"):
        display.from_history({"loss": [0.0]}, ax=ax, log_scale=True)


def test_arguments_of_lines_reach_them(ax):
    display = LossCurveDisplay.from_history(
        HISTORY,
        ax=ax,
        metric=True,
        loss_kw={"color": "#112233"},
        validation_kw={"linewidth": 7, "label": "held out"},
        metric_kw={"ls": ":"},
    )
    assert display.loss_line_.get_color() == "#112233"
    assert display.validation_line_.get_linewidth() == 7 and "held out" in words(display)
    assert display.metric_line_.get_linestyle() == ":"


@pytest.mark.parametrize(
    ("history", "error", "words"),
    [
        ({}, ValueError, "no epoch"),
        ({"loss": []}, ValueError, "no epoch"),
        ({"val_loss": [1.0]}, ValueError, "val_loss"),
        ({"loss": [1.0], "val_loss": [1.0, 2.0]}, ValueError, "validation_loss.*2 epochs"),
        ({"loss": [[1.0]]}, ValueError, "loss.*shape"),
        ([1.0, 2.0], TypeError, "history="),
    ],
)
def test_what_is_no_history_is_refused(history, error, words):
    with pytest.raises(error, match=words):
        LossCurveDisplay.from_history(history)
    assert not pyplot.get_fignums()  # no empty figure was opened


def test_a_metric_that_is_not_there_and_a_wrong_best_epoch_are_refused(ax):
    with pytest.raises(ValueError, match="metric=True"):
        LossCurveDisplay.from_history({"loss": [1.0]}, ax=ax, metric=True)
    with pytest.raises(ValueError, match="best_epoch=4"):
        LossCurveDisplay(loss=HISTORY["loss"], best_epoch=4)


def test_pyplot_is_asked_only_where_no_axes_are_given(ax):
    LossCurveDisplay.from_history(HISTORY, ax=ax, metric=True)
    assert not pyplot.get_fignums()
    display = LossCurveDisplay.from_history(HISTORY)
    assert pyplot.get_fignums() == [display.figure_.number]
    again = display.plot(ax=ax)
    assert again is display and display.ax_ is ax


def test_without_matplotlib_the_message_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"python -m pip install 'fastbp\[plot\]'"):
        LossCurveDisplay.from_history(HISTORY)


def test_importing_it_does_not_import_matplotlib(run_python):
    run_python("import sys, fastbp.report.display; assert 'matplotlib' not in sys.modules")


X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize("kind", [MLPClassifier, TheirClassifier, MLPRegressor, TheirRegressor])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators_show_their_losses_and_the_best_score(kind, ax):
    model = kind(hidden_layer_sizes=(5,), max_iter=8, early_stopping=True, random_state=0).fit(X, Y)
    display = LossCurveDisplay.from_estimator(model, ax=ax, metric=True)
    assert points(display.loss_line_)[1] == model.loss_curve_
    assert points(display.metric_line_)[1] == model.validation_scores_
    assert model.validation_scores_[display.best_epoch] == model.best_validation_score_
    name = "accuracy" if "Classifier" in kind.__name__ else "R²"
    assert display.metric_ax_.get_ylabel() == f"Validation {name}"


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_an_estimators_evaluation_set_and_scoring_are_shown(ax):
    model = MLPClassifier((5,), max_iter=6, random_state=0).fit(X, Y, eval_set=(X[:40], Y[:40]))
    display = LossCurveDisplay.from_estimator(model, ax=ax)
    assert points(display.validation_line_)[1] == model.validation_loss_curve_
    assert display.best_epoch == int(np.argmin(model.validation_loss_curve_))
    model = MLPClassifier((5,), max_iter=6, early_stopping=True, scoring="balanced_accuracy")
    display = LossCurveDisplay.from_estimator(model.fit(X, Y), ax=ax, metric=True)
    assert display.metric_ax_.get_ylabel() == "Validation balanced accuracy"


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_validation_that_begins_with_a_second_fit_belongs_to_the_last_epochs(ax):
    model = MLPClassifier((5,), max_iter=3, warm_start=True, random_state=0).fit(X, Y)
    model.fit(X, Y, eval_set=(X[:40], Y[:40]))
    assert (len(model.loss_curve_), len(model.validation_loss_curve_)) == (6, 3)
    display = LossCurveDisplay.from_estimator(model, ax=ax)
    drawn = points(display.validation_line_)[1]
    assert np.isnan(drawn[:3]).all() and drawn[3:] == model.validation_loss_curve_


@pytest.mark.parametrize(
    "model", [MLPClassifier(), TheirClassifier((3,), solver="lbfgs", tol=0.1).fit(X, Y)]
)
def test_estimators_without_a_curve_are_refused(model):
    with pytest.raises(TypeError, match=r"loss_curve_"):
        LossCurveDisplay.from_estimator(model)


def test_the_documented_example_runs():
    results = doctest.testmod(fastbp.report.display)
    assert results.attempted > 0 and not results.failed


def test_the_mark_of_the_best_epoch_lies_below_all_curves(ax):
    first = LossCurveDisplay.from_history(HISTORY, ax=ax, name="Adam")
    second = LossCurveDisplay.from_history(HISTORY, ax=ax, metric=True, name="SGD")
    curves = [first.loss_line_, first.validation_line_, second.loss_line_, second.metric_line_]
    for mark in (first.best_line_, second.best_line_):
        assert points(mark)[0][0] == first.best_epoch + 1
        for curve in curves:
            under = (mark.axes.get_zorder(), mark.get_zorder())
            assert under < (curve.axes.get_zorder(), curve.get_zorder())
