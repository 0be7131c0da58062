"""The docstrings of the estimators and ensembles: complete, and the same where these are."""

import inspect
import re

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor

ESTIMATORS = (MLPClassifier, MLPRegressor)
ENSEMBLES = (MLPEnsembleClassifier, MLPEnsembleRegressor)
# what differs between the estimators, and between the ensembles
OWN = {"solver", "loss", "loss_parameter", "class_weight", "label_smoothing", "soft_labels"}
OWN |= {"estimator", "estimators_", "oob_decision_function_", "oob_prediction_", "oob_score_"}
OWN |= {"missing_targets", "classes_"}
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(40, 3)), np.arange(40) % 3


def entries(cls, section):
    """Return the entries of a section of a docstring: names, and type with description."""
    text = inspect.cleandoc(cls.__doc__)
    (body,) = re.findall(rf"^{section}\n-+\n(.*?)(?=\n\n\S|\Z)", text, re.S | re.M)
    found = {}
    for head, lines in re.findall(r"^(\S.*)\n((?:    .*\n?)+)", body, re.M):
        names, _, kind = head.partition(" : ")
        found |= {name: f"{kind}\n{lines.strip()}" for name in names.split(", ")}
    return found


@pytest.mark.parametrize("cls", [*ESTIMATORS, *ENSEMBLES])
def test_parameters_are_documented_in_the_order_of_the_constructor(cls):
    documented = [*entries(cls, "Parameters")]
    assert documented == [*inspect.signature(cls).parameters]


@pytest.mark.parametrize("cls", [*ESTIMATORS, *ENSEMBLES])
def test_defaults_are_those_of_the_constructor(cls):
    parameters = inspect.signature(cls).parameters
    for name, text in entries(cls, "Parameters").items():
        kind, default = text.splitlines()[0], parameters[name].default
        if "default" not in kind:
            assert kind.endswith("optional") and default is None, name
        else:
            stated = kind.rpartition("default ")[2]
            assert eval(stated) == default, name  # a literal of the docstring


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_fitted_attributes_are_documented(cls, options):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    estimator = cls(max_iter=2, tol=0, **options)
    with pytest.warns(match="converged"):
        estimator.fit(frame, LABELS, eval_set=(frame, LABELS))
    public = {name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")}
    assert public == entries(cls, "Attributes").keys()


@pytest.mark.parametrize("cls, member", [*zip(ENSEMBLES, ESTIMATORS, strict=True)])
def test_fitted_attributes_of_ensembles_are_documented(cls, member):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    ensemble = cls(member(solver="lbfgs", tol=1), 2, members="folds").fit(frame, LABELS)
    public = {name for name in vars(ensemble) if name.endswith("_") and not name.startswith("_")}
    assert public == entries(cls, "Attributes").keys()


@pytest.mark.parametrize("pair", [ESTIMATORS, ENSEMBLES])
@pytest.mark.parametrize("section", ["Parameters", "Attributes"])
def test_what_both_have_is_documented_alike(section, pair):
    one, other = (entries(cls, section) for cls in pair)
    assert one.keys() ^ other.keys() <= OWN
    shared = (one.keys() & other.keys()) - OWN
    assert len(shared) > 3
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}


@pytest.mark.parametrize("cls", [*ESTIMATORS, *ENSEMBLES])
def test_the_example_runs(cls):
    (example,) = re.findall(r"Examples\n-+\n(.*)", inspect.cleandoc(cls.__doc__), re.S)
    lines = re.findall(r"^>>> (.*)$", example, re.M)
    expected = re.findall(r"^(?!>>>)(.+)$", example, re.M)
    scope = {}
    exec("\n".join(lines[:-1]), scope)
    assert [repr(eval(lines[-1], scope))] == expected
