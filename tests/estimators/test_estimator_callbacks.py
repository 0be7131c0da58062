"""Callbacks of the estimators: scikit-learn's protocol, and plain callables beside it."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn.callback")  # since scikit-learn 1.9

from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor

rng = np.random.default_rng(11)
X = rng.normal(size=(120, 5))
Y = np.c_[X[:, 0] * X[:, 1], np.sin(X[:, 2])]
LABELS = (X[:, 0] + X[:, 1] ** 2 > 0.7).astype(int)
WEIGHTS = np.where(LABELS, 3.0, 0.5)
FEW = {"hidden_layer_sizes": (8,), "max_iter": 6, "learning_rate_init": 0.02, "random_state": 0}
SOLVERS = ["adam", "sgd", "lbfgs"]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recorder:
    """Follows the protocol: records its calls; stops or fails in a given epoch."""

    def __init__(self, stop=None, fail=None):
        self.stop, self.fail, self.heard, self.snapshots = stop, fail, [], []

    def setup(self, estimator, context):
        self.heard.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.heard.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.heard.append(("end", context.task_name))
        if context.task_name != "epoch":
            return False
        self.data = X, y
        self.snapshots.append((fitted_estimator, fitted_estimator.predict(X)))
        if len(self.snapshots) == self.fail:
            raise RuntimeError("a callback fails")
        return len(self.snapshots) == self.stop


class Propagated(Recorder):
    """A recorder that meta-estimators hand on to what is in them."""

    max_propagation_depth = None


def of_a_fit(epochs, *, begin="setup", end="teardown"):
    """Return the calls that a callback gets in a fit of `epochs` epochs."""
    epoch = [("begin", "epoch"), ("end", "epoch")]
    inside = [("begin", "fit"), *(epochs * epoch), ("end", "fit")]
    return [(begin, "fit"), *inside, (end, "fit")]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("place", ["method", "constructor", "both"])
def test_a_callback_hears_of_the_fit_and_of_every_epoch_once(solver, place):
    recorder = Recorder()
    clf = MLPClassifier(solver=solver, **FEW)
    if place != "constructor":
        assert clf.set_callbacks(recorder) is clf
    if place != "method":
        clf.set_params(callbacks=[recorder])
    clf.fit(X, LABELS)
    assert clf.n_iter_ == 6
    assert recorder.heard == of_a_fit(6)
    assert recorder.data[0] is X
    assert recorder.data[1] is LABELS
    recorder.heard.clear()
    clf.fit(X, LABELS)
    assert recorder.heard == of_a_fit(6)


def test_the_last_epoch_is_told_of_where_training_converges():
    recorder = Recorder()
    clf = MLPClassifier(tol=10.0, n_iter_no_change=3, **FEW).set_callbacks(recorder)
    clf.fit(X, LABELS)
    assert clf.n_iter_ < 6
    assert recorder.heard == of_a_fit(clf.n_iter_)


def test_an_epoch_of_partial_fit_is_a_fit_of_one_epoch():
    recorder = Recorder()
    clf = MLPClassifier(callbacks=[recorder], **FEW)
    for _ in range(2):
        clf.partial_fit(X, LABELS, classes=[0, 1])
    assert recorder.heard == 2 * of_a_fit(1)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("estimator, y", [(MLPClassifier, LABELS), (MLPRegressor, Y)])
def test_the_fitted_estimator_is_what_a_shorter_fit_gives(estimator, y, solver, early_stopping):
    recorder = Recorder()
    options = {"solver": solver, "early_stopping": early_stopping, **FEW}
    whole = estimator(**options).set_callbacks(recorder).fit(X, y)
    assert len(recorder.snapshots) == whole.n_iter_
    for epochs, (fitted, then) in enumerate(recorder.snapshots, start=1):
        shorter = estimator(**{**options, "max_iter": epochs}).fit(X, y)
        assert np.array_equal(then, shorter.predict(X))
        # training has gone on since
        assert np.array_equal(fitted.predict(X), then)
        for own, other in zip(fitted.coefs_, shorter.coefs_, strict=True):
            assert np.array_equal(own, other)
        assert fitted.loss_ == shorter.loss_
        assert getattr(fitted, "loss_curve_", None) == getattr(shorter, "loss_curve_", None)
        assert fitted.n_iter_ == shorter.n_iter_


def test_the_fitted_estimator_is_one_of_its_own():
    recorder = Recorder()
    clf = MLPClassifier(**FEW).set_callbacks(recorder).fit(X, LABELS)
    expected = clf.predict_proba(X)
    fitted, then = recorder.snapshots[-1]
    assert np.array_equal(fitted.predict_proba(X), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), then)
    for array in [*fitted.coefs_, *fitted.intercepts_]:
        array[:] = 0
    assert set(fitted.predict_proba(X).ravel()) == {0.5}
    assert np.array_equal(clf.predict_proba(X), expected)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_callback_stops_the_training(solver):
    recorder, other = Recorder(stop=3), Recorder()
    clf = MLPClassifier(solver=solver, **FEW).set_callbacks(recorder, other).fit(X, LABELS)
    assert clf.n_iter_ == 3
    assert recorder.heard == other.heard == of_a_fit(3)
    shorter = MLPClassifier(solver=solver, **{**FEW, "max_iter": 3}).fit(X, LABELS)
    assert np.array_equal(clf.predict_proba(X), shorter.predict_proba(X))


def test_a_callback_that_fails_is_torn_down_and_the_estimator_can_fit_again():
    recorder, other = Recorder(fail=2), Recorder()
    clf = MLPClassifier(**FEW).set_callbacks(recorder, other)
    with pytest.raises(RuntimeError, match="a callback fails"):
        clf.fit(X, LABELS)
    for each in (recorder, other):
        assert each.heard[-1] == ("teardown", "fit")
        assert each.heard.count(("teardown", "fit")) == 1
    recorder.fail, recorder.heard[:] = None, []
    clf.fit(X, LABELS)
    assert recorder.heard == of_a_fit(6)
    assert clf.loss_curve_ == MLPClassifier(**FEW).fit(X, LABELS).loss_curve_


def test_watching_changes_no_number():
    watched = MLPClassifier(callbacks=[Recorder(), print_nothing], **FEW).fit(X, LABELS)
    plain = MLPClassifier(**FEW).fit(X, LABELS)
    assert watched.loss_curve_ == plain.loss_curve_
    assert np.array_equal(watched.predict_proba(X), plain.predict_proba(X))


def print_nothing(entry):
    assert set(entry) == {"epoch", "loss"}


def test_plain_callables_and_the_protocol_go_together():
    heard, recorder = [], Recorder()

    def listen(entry):
        heard.append(entry["epoch"])
        return entry["epoch"] == 3

    clf = MLPClassifier(callbacks=[listen, recorder], **FEW).fit(X, LABELS)
    assert heard == [0, 1, 2, 3]
    assert clf.n_iter_ == 4
    assert recorder.heard == of_a_fit(4)
    for wrong in ([Recorder], [listen, None], [3]):
        with pytest.raises(TypeError, match=r"callbacks|positional"):
            MLPClassifier(callbacks=wrong, **FEW).fit(X, LABELS)


def test_a_callback_of_the_constructor_is_of_the_fits_that_have_it():
    recorder, kept = Recorder(), Recorder()
    clf = MLPClassifier(callbacks=[recorder], **FEW).set_callbacks(kept).fit(X, LABELS)
    recorder.heard.clear(), kept.heard.clear()
    clf.set_params(callbacks=None).fit(X, LABELS)
    assert recorder.heard == []
    assert kept.heard == of_a_fit(6)
    # a clone has a copy of what the constructor was given, and no more
    clf.set_params(callbacks=[recorder]).fit(X, LABELS)
    recorder.heard.clear()
    copied = clone(clf).fit(X, LABELS)
    assert recorder.heard == []
    assert copied.callbacks[0].heard[-len(of_a_fit(6)) :] == of_a_fit(6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_scikit_learns_monitor_scores_every_epoch(solver):
    monitor = ScoringMonitor(scoring="accuracy")
    clf = MLPClassifier(solver=solver, **FEW).set_callbacks(monitor).fit(X, LABELS)
    log = monitor.get_logs()
    assert log.estimator_name == "MLPClassifier"
    of_fit, *of_epochs = log.data
    assert of_fit["task_name"] == "fit"
    assert of_fit["accuracy"] == clf.score(X, LABELS)
    assert [row["task_id"] for row in of_epochs] == list(range(6))
    for row in of_epochs:
        options = {**FEW, "max_iter": row["task_id"] + 1, "solver": solver}
        shorter = MLPClassifier(**options).fit(X, LABELS)
        assert row["accuracy"] == shorter.score(X, LABELS)


def test_scikit_learns_monitor_is_told_of_the_sample_weights():
    monitor = ScoringMonitor(scoring="accuracy")
    clf = MLPClassifier(**FEW).set_callbacks(monitor).fit(X, LABELS, sample_weight=WEIGHTS)
    expected = accuracy_score(LABELS, clf.predict(X), sample_weight=WEIGHTS)
    assert expected != accuracy_score(LABELS, clf.predict(X))
    assert monitor.get_logs().data[0]["accuracy"] == expected
    assert monitor.get_logs().data[-1]["accuracy"] == expected


def test_scikit_learns_monitor_hears_of_the_fits_of_a_search():
    monitor = ScoringMonitor(scoring="accuracy")
    clf = MLPClassifier(**{**FEW, "max_iter": 2}).set_callbacks(monitor)
    search = GridSearchCV(clf, {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=2).fit(X, LABELS)
    log = monitor.get_logs()
    assert log.estimator_name == "GridSearchCV"
    epochs = [row for row in log.data if row["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * 2
    assert search.best_estimator_.score(X, LABELS) in {row["accuracy"] for row in epochs}


def test_a_callback_of_a_pipeline_hears_of_its_last_step():
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**FEW)).set_callbacks(recorder)
    pipeline.fit(X, LABELS)
    assert recorder.heard[0] == ("setup", "fit")
    assert recorder.heard[-1] == ("teardown", "fit")
    assert [h[0] for h in recorder.heard].count("setup") == 1
    assert [h[0] for h in recorder.heard].count("teardown") == 1
    assert recorder.heard.count(("begin", "epoch")) == recorder.heard.count(("end", "epoch")) == 6
    assert not hasattr(pipeline[-1], "_skl_callbacks")
    fitted, then = recorder.snapshots[-1]
    assert np.array_equal(fitted.predict(pipeline[0].transform(X)), pipeline.predict(X))
    assert np.array_equal(then, pipeline.predict(X))


def test_a_callback_whose_setup_fails_is_not_kept():
    class Broken(Recorder):
        def setup(self, estimator, context):
            raise RuntimeError("no room")

    clf = MLPClassifier(callbacks=[Broken()], **FEW)
    with pytest.raises(RuntimeError, match="no room"):
        clf.fit(X, LABELS)
    assert not getattr(clf, "_skl_callbacks", [])


def test_training_a_fitted_estimator_leaves_the_original_alone():
    def trained(disturbed):
        recorder = Recorder()
        clf = MLPClassifier(solver="sgd", learning_rate="invscaling", **FEW)
        clf.set_callbacks(recorder).fit(X, LABELS).set_callbacks()
        fitted, _ = recorder.snapshots[-1]
        for _ in range(30 * disturbed):
            fitted.set_callbacks().partial_fit(X, LABELS)
        return clf.partial_fit(X, LABELS).predict_proba(X)

    assert np.array_equal(trained(True), trained(False))
