"""Parameters of optimizers and schedules by scikit-learn's names: ``optimizer__learning_rate``."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import (
    LBFGS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Constant,
    Cosine,
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPRegressor,
    MLPSearchCV,
    Optimizer,
    RMSprop,
    WarmUp,
)

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 4)) * [1, 1, 5, 1]
Y = (X @ [1, -1, 0.3, 0] > 0).astype(int)
FEW = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
RATES = [1e-4, 0.02, 0.1]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def scores(search, targets=Y):
    results = search.fit(X, targets).cv_results_
    return [results[f"split{fold}_test_score"].tolist() for fold in range(2)]


@pytest.mark.parametrize("kind", [GridSearchCV, MLPSearchCV])
def test_a_search_over_a_rate_is_one_over_optimizers(kind):
    net = MLPClassifier(optimizer=AdamW(0.5, weight_decay=0.3, clip_norm=2.0), **FEW)
    by_name = kind(net, {"optimizer__learning_rate": RATES}, cv=2)
    whole = [AdamW(rate, weight_decay=0.3, clip_norm=2.0) for rate in RATES]
    found = scores(by_name)
    assert found == scores(kind(net, {"optimizer": whole}, cv=2))
    assert len(set(found[0])) > 1, "the rates matter"
    best = by_name.best_estimator_.optimizer
    assert best.learning_rate == by_name.best_params_["optimizer__learning_rate"]
    assert net.optimizer.learning_rate == 0.5, "the search changes none of its own"


@pytest.mark.parametrize("kind", [GridSearchCV, MLPSearchCV])
def test_a_search_finds_it_in_a_pipeline(kind):
    net = MLPRegressor(optimizer=Adam(schedule=Cosine(5)), **FEW)
    grid = {
        "mlpregressor__optimizer__learning_rate": RATES[1:],
        "mlpregressor__optimizer__schedule__epochs": [2, 9],
    }
    found = scores(kind(make_pipeline(StandardScaler(), net), grid, cv=2), X[:, 0])
    whole = [Adam(rate, schedule=Cosine(epochs)) for rate in RATES[1:] for epochs in (2, 9)]
    of_whole = kind(make_pipeline(StandardScaler(), net), {"mlpregressor__optimizer": whole}, cv=2)
    assert found == scores(of_whole, X[:, 0])
    assert len(set(found[0])) == 4


def test_numbers_are_drawn_and_names_are_optimizers():
    drawn = {"optimizer": ["sgd", "adam"], "optimizer__learning_rate": loguniform(1e-4, 0.1)}
    net = MLPClassifier(schedule=None, **FEW)
    searches = [
        kind(net, param_distributions=drawn, n_iter=4, cv=2, random_state=0)
        for kind in (RandomizedSearchCV, MLPSearchCV)
    ]
    assert scores(searches[0]) == scores(searches[1])
    chosen = searches[0].best_estimator_.optimizer
    assert isinstance(chosen, Optimizer) and chosen.name == searches[0].best_params_["optimizer"]


def test_an_ensemble_passes_it_on():
    ensemble = MLPEnsembleClassifier(MLPClassifier(optimizer=Adam(), **FEW), 2)
    ensemble.set_params(estimator__optimizer__learning_rate=0.03)
    assert ensemble.fit(X, Y).estimators_[1].network_.optimizer.learning_rate == 0.03
    assert clone(ensemble).get_params()["estimator__optimizer__learning_rate"] == 0.03


OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, momentum=0.5, nesterov=True, l2=0.1),
    Adam(0.2, beta1=0.5, clip_norm=1.0),
    AdamW(weight_decay=0.2, schedule="cosine"),
    RMSprop(beta2=0.5, clip_sample_norm=0.1),
    Adagrad(epsilon=0.1, l1=0.1),
    Optimizer("velocity", beta1=1.0),
    LBFGS(5),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_parameter_is_seen_and_set(optimizer):
    clf = MLPClassifier(optimizer=optimizer)
    below = {n: v for n, v in clf.get_params().items() if n.startswith("optimizer__")}
    names = {name.removeprefix("optimizer__") for name in below}
    assert names >= optimizer.parameters.keys() >= {"l2"}
    # made again from all that is seen, it is the same
    clf.set_params(**below)
    assert clf.optimizer is not optimizer and type(clf.optimizer) is type(optimizer)
    assert repr(clf.optimizer) == repr(optimizer)
    before = repr(optimizer)
    clf.set_params(optimizer__l2=0.25)
    assert clf.optimizer.hyper_parameters == {**optimizer.hyper_parameters, "l2": 0.25}
    assert repr(optimizer) == before


def test_momentum_is_named_as_in_the_constructor():
    clf = MLPClassifier(optimizer=SGD(0.1)).set_params(optimizer__momentum=0.9)
    assert repr(clf.optimizer) == repr(SGD(0.1, momentum=0.9))
    clf.set_params(optimizer__nesterov=True)
    assert repr(clf.optimizer) == repr(SGD(0.1, momentum=0.9, nesterov=True))
    assert clf.get_params()["optimizer__momentum"] == 0.9
    assert repr(clf.set_params(optimizer__momentum=0).optimizer) == repr(SGD(0.1, 0, True))


def test_a_schedule_has_parameters_too():
    clf = MLPClassifier(schedule="cosine").set_params(schedule__epochs=7, schedule__end=0.5)
    assert clf.schedule == Cosine(7, 0.5)
    clf.set_params(schedule=WarmUp(3, after=Cosine(9)), schedule__after__end=0.25)
    assert clf.schedule == WarmUp(3, after=Cosine(9, end=0.25))
    clf.set_params(schedule=None, optimizer=Adam(), optimizer__schedule=Cosine(4))
    clf.set_params(optimizer__schedule__end=0.125)
    assert clf.optimizer.schedule == Cosine(4, 0.125)
    names = {name for name in clf.get_params() if name.startswith("optimizer__schedule")}
    suffixes = {"", "__epochs", "__end"}
    assert names == {f"optimizer__schedule{suffix}" for suffix in suffixes}


@dataclass(frozen=True)
class Halving:
    """A schedule of the caller's own."""

    every: float = 2.0

    def factors(self, t):
        return 0.5 ** (t // self.every)


def test_a_schedule_of_ones_own_has_them_if_it_is_a_dataclass():
    clf = MLPClassifier(schedule=Halving(), **FEW).set_params(schedule__every=1.0)
    assert clf.schedule == Halving(1.0)
    clf.fit(X, Y)


def test_a_clone_shares_nothing_and_is_alike():
    clf = MLPClassifier(optimizer=Adam(0.3, schedule=Cosine(3)), schedule=None)
    other = clone(clf)
    assert other.optimizer is not clf.optimizer
    assert {n: repr(v) for n, v in other.get_params().items()} == {
        n: repr(v) for n, v in clf.get_params().items()
    }
    other.set_params(optimizer__learning_rate=0.1, optimizer__schedule__epochs=5)
    assert (clf.optimizer.learning_rate, clf.optimizer.schedule) == (0.3, Cosine(3))
    assert clf.optimizer == clf.optimizer and clf.optimizer != Adam(0.3, schedule=Cosine(3))
    assert "optimizer__" not in repr(clf) and "Adam" not in repr(MLPClassifier())
    assert "0.3" in clf._repr_html_()


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"optimizer__rate": 1}, r"Invalid parameter 'rate' for optimizer=.*'learning_rate'"),
        ({"optimizer__rate__x": 1}, r"Invalid parameter 'rate' for optimizer="),
        ({"optimizer__schedule__end": 1}, r"Invalid parameter 'end' for optimizer__schedule=Const"),
        ({"optimizer__l2__x": 1}, r"Invalid parameter 'x' for optimizer__l2=0.0.*are: \[\]"),
        ({"schedule__end": 1}, r"Invalid parameter 'end' for schedule=None"),
        ({"optimizer": None, "optimizer__l2": 1}, r"for optimizer=None.*learning_rate_init"),
        ({"optimiser__l2": 1}, r"Invalid parameter 'optimiser' for estimator MLPClassifier"),
        ({"alfa": 1}, r"Invalid parameter 'alfa' for estimator MLPClassifier"),
        ({"optimizer__learning_rate": -1}, r"^learning_rate=-1"),
        ({"optimizer__schedule": "cosin"}, r"unknown schedule 'cosin'"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(parameters, words):
    clf = MLPClassifier(optimizer=Adam())
    with pytest.raises(ValueError, match=words):
        clf.set_params(**parameters)
    assert clf.optimizer is None or clf.optimizer.schedule == Constant()


@pytest.mark.parametrize("kind", [GridSearchCV, MLPSearchCV])
def test_a_search_over_a_wrong_name_says_so(kind):
    search = kind(MLPClassifier(optimizer=Adam(), **FEW), {"optimizer__rate": [1]}, cv=2)
    with pytest.raises(ValueError, match="Invalid parameter 'rate'"):
        search.fit(X, Y)


def test_strange_values_are_left_to_fit():
    clf = MLPClassifier(optimizer="adem", schedule=3)
    assert clf.get_params()["optimizer"] == "adem"
    with pytest.raises(ValueError, match="'optimizer' parameter"):
        clf.fit(X, Y)
