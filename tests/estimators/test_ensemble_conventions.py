"""Ensembles are estimators of scikit-learn, say what is wrong, and end with Ctrl-C."""

import itertools
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemble_data import AMOUNTS, DIABETES, LABELS, LINE, NAMES, NET, X
from fastbp import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
    MLPSearchCV,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def test_it_is_an_estimator_of_scikit_learn():
    ensemble = MLPEnsembleClassifier(NET, 2, members="folds", random_state=0)
    again = clone(ensemble).set_params(estimator__alpha=0.5, n_members=3)
    assert again.estimator.alpha == 0.5 and ensemble.estimator.alpha == NET.alpha
    assert again.get_params()["estimator__max_iter"] == 6
    fitted = pickle.loads(pickle.dumps(again.fit(X, NAMES)))
    assert (fitted.predict_proba(X) == again.predict_proba(X)).all()
    assert not hasattr(NET, "coefs_") and fitted.estimator is not NET
    piped = make_pipeline(StandardScaler(), clone(ensemble)).fit(X, NAMES)
    assert piped.score(X, NAMES) > 0.8
    # a second fit leaves nothing of the first
    refitted = again.set_params(members="seeds").fit(X, NAMES)
    assert not hasattr(refitted, "oob_score_") and not hasattr(refitted, "oob_decision_function_")
    with pytest.raises(NotFittedError):
        ensemble.predict(X)
    with pytest.raises(NotFittedError):
        ensemble.predict_std(X)


def test_weights_are_routed_to_it():
    weight = np.arange(300) % 3 + 1.0
    ensemble = MLPEnsembleClassifier(NET, 2, random_state=0)
    with config_context(enable_metadata_routing=True):
        asking = clone(ensemble).set_fit_request(sample_weight=True)
        piped = make_pipeline(asking).fit(X, NAMES, sample_weight=weight)
    weighted = ensemble.fit(X, NAMES, sample_weight=weight)
    assert (piped.predict_proba(X) == weighted.predict_proba(X)).all()


def test_members_keep_the_threads_that_were_asked_for():
    net = clone(NET).set_params(n_threads=2)
    for members in ("seeds", "bags", "folds"):
        ensemble = MLPEnsembleClassifier(net, 2, members=members).fit(X, LABELS)
        assert [member.n_threads for member in ensemble.estimators_] == [2, 2]


@pytest.mark.filterwarnings("ignore:overflow")
def test_outputs_that_overflow_have_no_score_and_lose_nothing():
    rows = np.ones((40, 1), np.float32)
    rows[20:] = 1e4  # where the exponential of a line overflows
    counts = np.where(rows[:, 0] > 1, 1, 50)
    folds = [(np.arange(20), np.arange(20, 40))]
    net = MLPRegressor("poisson", (4,), max_iter=50, learning_rate_init=0.1)
    ensemble = MLPEnsembleRegressor(net, members="folds", cv=folds, random_state=0)
    ensemble.fit(rows, counts)
    assert np.isinf(ensemble.oob_prediction_[20:]).all() and np.isnan(ensemble.oob_score_)
    assert np.isfinite(ensemble.predict(rows[:20])).all()


@pytest.mark.parametrize("search", [GridSearchCV, MLPSearchCV])
def test_it_can_be_searched(search):
    ensemble = MLPEnsembleRegressor(LINE, 2, random_state=0)
    found = search(ensemble, {"estimator__alpha": [1e-4, 1e3]}, cv=2).fit(DIABETES, AMOUNTS)
    assert found.best_params_ == {"estimator__alpha": 1e-4}
    assert found.best_estimator_.estimators_[0].alpha == 1e-4
    for number, alpha in enumerate([1e-4, 1e3]):
        trains, tests = next(iter(KFold(2).split(DIABETES)))
        one = clone(ensemble).set_params(estimator__alpha=alpha)
        score = one.fit(DIABETES[trains], AMOUNTS[trains]).score(DIABETES[tests], AMOUNTS[tests])
        assert found.cv_results_["split0_test_score"][number] == pytest.approx(score)


@pytest.mark.parametrize(
    "cls, estimator", [(MLPEnsembleClassifier, MLPClassifier), (MLPEnsembleRegressor, MLPRegressor)]
)
def test_without_an_estimator_members_have_its_defaults(cls, estimator):
    ensemble = cls(n_members=1, random_state=0).fit(X[:40], LABELS[:40])
    (member,) = ensemble.estimators_
    assert type(member) is estimator and ensemble.estimator is None
    default = estimator(random_state=member.random_state).fit(X[:40], LABELS[:40])
    assert (member.coefs_[0] == default.coefs_[0]).all() and member.n_iter_ == default.n_iter_


@pytest.mark.parametrize(
    "options, words",
    [
        *(({"n_members": count}, "'n_members'.*Got") for count in (0, -1, 1.5, "a", None)),
        ({"members": "x"}, "'members'.*Got 'x'"),
        ({"cv": 1, "members": "folds"}, "'cv'.*Got 1"),
        ({"cv": "three", "members": "folds"}, "'cv'.*Got 'three'"),
        ({"cv": 301, "members": "folds"}, "cv=301: .*n_splits=301"),
        ({"n_members": 301, "members": "folds"}, "n_members=301: .*n_splits=301"),
        ({"n_members": 1, "members": "folds"}, "n_members=1: .*n_splits=1"),
        ({"cv": [], "members": "folds"}, r"cv=\[\]: there are none"),
        ({"cv": [([0, 1], [300])], "members": "folds"}, "cv=.*fold 0 is not"),
        ({"cv": GroupKFold(2), "members": "folds"}, "cv=GroupKFold.*groups"),
        ({"n_threads": 0}, "'n_threads'.*Got 0"),
        ({"random_state": "x"}, "'random_state'.*Got 'x'"),
        ({"estimator": LogisticRegression()}, "'estimator'.*Got LogisticRegression"),
        ({"estimator": MLPRegressor()}, "'estimator'.*Got MLPRegressor"),
        ({"estimator": MLPClassifier}, "'estimator'.*Got <class"),
        ({"estimator": MLPClassifier(alpha=-1)}, r"estimators_\[0\]: The 'alpha'"),
    ],
)
def test_what_is_wrong_is_said(options, words):
    with pytest.raises(ValueError, match=words):
        MLPEnsembleClassifier(**{"estimator": NET, **options}).fit(X, LABELS)


def test_weights_that_do_not_fit_are_refused():
    for members in ("seeds", "bags", "folds"):
        ensemble = MLPEnsembleClassifier(NET, 2, members=members)
        with pytest.raises(ValueError, match="sample_weight"):
            ensemble.fit(X, LABELS, sample_weight=np.ones(299))
        with pytest.raises(ValueError, match="zero"):
            ensemble.fit(X, LABELS, sample_weight=np.zeros(300))


def test_without_scikit_learn_the_error_says_how_to_install_it(run_python):
    code = """
    import sys
    sys.modules["sklearn"] = None
    import fastbp
    for name in ("MLPClassifier", "MLPRegressor", "MLPSearchCV", "MLPEnsembleClassifier",
                 "MLPEnsembleRegressor"):
        try:
            getattr(fastbp, name)
        except ModuleNotFoundError as error:
            assert f"fastbp.{name} needs scikit-learn" in str(error), error
            assert 'pip install "fastbp[sklearn]"' in str(error) and error.name == "sklearn"
        else:
            raise AssertionError(name)
    """
    run_python(code)


class Failing:
    """Ends the training of the second member."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __deepcopy__(self, memo):
        return self

    def __call__(self, entry):
        self.calls += 1
        if self.calls == 4:  # members of 3 epochs, one after another
            raise self.error


class TwoPartError(Exception):
    """An error that takes more than a message."""

    def __init__(self, one, other):
        super().__init__(one, other)


@pytest.mark.parametrize(
    "error, kind",
    [
        (ValueError("no"), ValueError),
        (OSError("no"), OSError),
        (TwoPartError("no", "no"), RuntimeError),
    ],
)
def test_the_error_of_a_member_names_it(error, kind):
    net = clone(NET).set_params(callbacks=Failing(error), max_iter=3)
    ensemble = MLPEnsembleClassifier(net, 9, n_threads=1)
    with pytest.raises(kind, match=r"estimators_\[1\]: .*no") as caught:
        ensemble.fit(X, LABELS)
    assert caught.value.__cause__ is error and not hasattr(ensemble, "estimators_")
    assert net.callbacks.calls < 4 + 7 * 3  # some that had not begun did not


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
@pytest.mark.parametrize("epoch", [*range(1, 17), 200])
def test_ctrl_c_ends_all_members(epoch):
    # at once, as it may come while members begin or end, and later
    epochs, sent = itertools.count(1), []

    def interrupt(entry):
        if next(epochs) == epoch:  # in one thread
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    net = clone(NET).set_params(max_iter=10**6, tol=0, n_iter_no_change=10**6, callbacks=interrupt)
    with pytest.raises(KeyboardInterrupt):
        MLPEnsembleClassifier(net, 30, n_threads=2).fit(X, LABELS)
    while any(each.name.startswith("fastbp-many") for each in threading.enumerate()):
        assert time.monotonic() - sent[0] < 5  # a slice takes 50 ms
        time.sleep(0.01)
