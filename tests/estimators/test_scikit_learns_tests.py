"""scikit-learn's own tests of its multilayer perceptrons, with fastbp's classes in their place."""

import importlib
import sys

import pytest
import sklearn
from sklearn import neural_network
from sklearn.utils.fixes import parse_version

import fastbp

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("its tests are those of another interface", allow_module_level=True)

# the tests that read or set private state, which only scikit-learn's classes have
PRIVATE = {
    "test_fit": "sets the weights and buffers of an estimator that was never fitted",
    "test_gradient": "calls _loss_grad_lbfgs, a function of scikit-learn's solver",
    "test_learning_rate_warmstart": "reads the learning rate of _optimizer",
    "test_adaptive_learning_rate": "reads the learning rate of _optimizer",
}


def _with_our_classes():
    """Import a copy of scikit-learn's tests in which its names are our classes."""
    name = "sklearn.neural_network.tests.test_mlp"
    with pytest.MonkeyPatch.context() as patch:
        for estimator in ("MLPClassifier", "MLPRegressor"):
            patch.setattr(neural_network, estimator, getattr(fastbp, estimator))
        patch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        del sys.modules[name]
    return module


TESTS = {n: test for n, test in vars(_with_our_classes()).items() if n.startswith("test_")}
for _name, _reason in PRIVATE.items():
    pytest.mark.xfail(raises=AttributeError, reason=_reason)(TESTS[_name])
globals().update(TESTS)

# scikit-learn shows warnings, and does not raise them
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def global_random_seed():
    """Return the seed that scikit-learn's tests have by default."""
    return 42


def test_the_tests_are_scikit_learns_and_the_classes_ours():
    assert len(TESTS) > 40
    for name in ("MLPClassifier", "MLPRegressor"):
        assert TESTS["test_alpha"].__globals__[name] is getattr(fastbp, name)
        assert getattr(neural_network, name).__module__.startswith("sklearn.")
