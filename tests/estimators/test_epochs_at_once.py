"""Epochs that an estimator trains at once have the bits that they have one by one."""

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators import stochastic

rng = np.random.default_rng(0)
X = rng.normal(size=(203, 6))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)
Y = X[:, 0] * X[:, 1]

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


@pytest.fixture
def counts(monkeypatch):
    """Note how many epochs are trained at once; [0] switches that off."""
    noted, train_ahead = [], stochastic.Stochastic.train_ahead

    def noting(self, epoch, most):
        if noted == [0]:
            return ()
        epoch.seconds = 1e-9  # whatever the machine
        found = train_ahead(self, epoch, most)
        noted.append(len(found))
        return found

    monkeypatch.setattr(stochastic.Stochastic, "train_ahead", noting)
    return noted


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"learning_rate": "adaptive", "solver": "sgd", "tol": 1e-2, "max_iter": 80},
        {"n_iter_no_change": 3, "tol": 0.05, "max_iter": 60},
        {"n_iter_no_change": np.inf, "max_iter": 40},
        {"batch_size": 50, "alpha": 0.1, "dropout": 0.2},
        {"learning_rate_init": 0.5, "dtype": "float32"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_fit_has_the_same_bits(kind, options, counts):
    given = {"hidden_layer_sizes": (9,), "random_state": 3, "max_iter": 25, "n_threads": 1}
    y = LABELS if kind is MLPClassifier else Y
    several = kind(**{**given, **options}).fit(X, y)
    assert max(counts) > 1
    counts[:] = [0]
    one = kind(**{**given, **options}).fit(X, y)
    assert several.loss_curve_ == one.loss_curve_ and several.n_iter_ == one.n_iter_
    assert several.t_ == one.t_ and several.best_loss_ == one.best_loss_
    for own, other in zip(several.coefs_, one.coefs_, strict=True):
        assert (own == other).all()


def test_a_fit_goes_on_with_the_same_generator(counts):
    given = {"hidden_layer_sizes": 5, "random_state": 0, "max_iter": 15, "n_threads": 1}
    parts = []
    for switch in ([], [0]):
        counts[:] = switch
        estimator = MLPRegressor(**given, warm_start="exact").fit(X, Y).fit(X, Y)
        parts.append((estimator.coefs_[0].tolist(), estimator.loss_curve_))
    assert parts[0] == parts[1]


def test_a_loss_that_is_not_finite_is_told_as_before(counts):
    # gradient descent that diverges in some 30 epochs
    given = {"hidden_layer_sizes": 5, "activation": "identity", "solver": "sgd", "momentum": 0.0}
    given |= {"learning_rate_init": 0.7, "n_iter_no_change": 1000, "max_iter": 400}
    told = []
    for switch in ([], [0]):
        counts[:] = switch
        estimator = MLPRegressor(**given, random_state=0, n_threads=1)
        with pytest.raises(ValueError, match="non-finite") as error:
            estimator.fit(X, Y)
        told.append((str(error.value), estimator.n_iter_, estimator.t_, estimator.loss_curve_))
    assert told[0] == told[1] and told[0][1] > 10


@pytest.mark.parametrize(
    "options",
    [
        {"callbacks": lambda entry: None},
        {"early_stopping": True},
        {"learning_rate": "invscaling", "solver": "sgd"},
        {"random_state": np.random.RandomState(0)},
        {"schedule": "cosine"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_has_something_to_do_between_epochs_trains_one(options, counts):
    MLPRegressor(**{"random_state": 0, "max_iter": 5, "n_threads": 1, **options}).fit(X, Y)
    assert counts and set(counts) == {0}
