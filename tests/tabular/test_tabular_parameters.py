"""The parameters of the estimators are the options of a training: all of them, and no others."""

import inspect
import re
from dataclasses import fields

import numpy as np
import pytest
from sklearn.base import clone

from fastbp import TabularClassifier, TabularRegressor
from fastbp.tables.options import TrainOptions
from fastbp.tabular.parameters import INSTEAD, OF_CLASSES, OF_NUMBERS

BOTH = [TabularClassifier, TabularRegressor]
OWN = {TabularClassifier: OF_CLASSES, TabularRegressor: OF_NUMBERS}
OPTIONS = {field.name: field for field in fields(TrainOptions)}
X = np.random.default_rng(0).normal(size=(60, 3))
LABELS = (X[:, 0] > 0).astype(int)


def parameters(cls):
    return {p.name: p for p in inspect.signature(cls.__init__).parameters.values()}


@pytest.mark.parametrize("cls", BOTH)
def test_every_option_is_a_parameter_with_its_default_or_has_something_instead(cls):
    others = {name for own in OWN.values() for name in own} - set(OWN[cls])
    expected = set(OPTIONS) - set(INSTEAD) - others | {"self", "random_state"}
    assert set(parameters(cls)) == expected
    for name in expected - {"self", "random_state"}:
        assert parameters(cls)[name].default == OPTIONS[name].default
        assert parameters(cls)[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert set(cls().get_params()) == expected - {"self"}


def test_what_takes_the_place_of_an_option_is_one():
    assert set(INSTEAD) < set(OPTIONS)
    assert {*OF_CLASSES, *OF_NUMBERS} < set(OPTIONS) - set(INSTEAD)


@pytest.mark.parametrize("name", ["calibrate", "class_weight"])
def test_a_regressor_takes_nothing_that_is_of_classes(name):
    with pytest.raises(TypeError, match=name):
        TabularRegressor(**{name: None})


@pytest.mark.parametrize("cls", BOTH)
def test_the_documentation_names_every_parameter_and_attribute_once(cls):
    text = inspect.cleandoc(cls.__doc__)
    (body,) = re.findall(r"Parameters\n-+\n(.*?)\n\n", text, re.S)
    documented = re.findall(r"^(\w+) : ", body, re.M)
    assert sorted(documented) == sorted(parameters(cls).keys() - {"self"})
    assert "**options" not in text
    (body,) = re.findall(r"Attributes\n-+\n(.*?)\n\n", text, re.S)
    fitted = cls(epochs=1).fit(X, LABELS)
    public = {name for name in vars(fitted) if name.endswith("_")}
    public |= {"feature_names_in_", "feature_importances_"}
    assert public == set(re.findall(r"^(\w+) : ", body, re.M))


@pytest.mark.parametrize("cls", BOTH)
def test_the_example_runs(cls):
    (example,) = re.findall(r"Examples\n-+\n(.*)", inspect.cleandoc(cls.__doc__), re.S)
    *lines, last = re.findall(r"^>>> (.*)$", example, re.M)
    scope = {}
    exec("\n".join(lines), scope)
    assert eval(last, scope) is True


GIVEN = {
    "ids": ["x1"],
    "drop": ["x1"],
    "categorical": ["x1"],
    "numeric": ["x1"],
    "group": "x1",
    "time": "x1",
    "missing": ["-1"],
    "max_categories": 3,
    "ramps": 4,
    "clip_target": 3.0,
    "valid_share": 0.4,
    "preset": "fast",
    "hidden": (7,),
    "activation": "tanh",
    "dropout": 0.1,
    "loss": "huber",
    "quantile": 0.3,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "schedule": "cosine",
    "l2": 0.1,
    "weight_decay": 0.1,
    "clip_norm": 1.0,
    "class_weight": "balanced",
    "epochs": 2,
    "patience": 1,
    "batch_size": 16,
    "ensemble": 2,
    "dtype": "float64",
    "n_threads": 1,
    "max_time": 60.0,
    "time_budget": 60.0,
    "calibrate": False,
    "memory": 10**8,
    "decimal": ",",
    "date_format": ["%d/%m/%Y"],
}
# these need another
WITH = {"ramp_edges": {"ramps": 4}, "ensemble_by": {"ensemble": 2}}
GIVEN |= {"ramp_edges": "quantiles", "ensemble_by": "bags"}


def test_every_parameter_is_given_a_value_here():
    assert set(GIVEN) == set().union(*map(parameters, BOTH)) - {"self", "random_state"}


@pytest.mark.parametrize("cls, name", [(c, n) for c in BOTH for n in GIVEN if n in parameters(c)])
def test_a_parameter_is_an_option_of_the_training(cls, name):
    value = GIVEN[name]
    one = {"epochs": 1, "ensemble": 1, "ensemble_by": "seeds"}
    estimator = cls(random_state=3, **{**one, **WITH.get(name, {})})
    estimator = clone(estimator).set_params(**{name: value})
    assert estimator.get_params()[name] is value
    options = estimator.fit(X, LABELS).model_.record["options"]
    taken = options.get(name, OPTIONS[name].default)
    if name == "numeric":  # beside those that are numbers by their type
        assert taken == ["x1", "x0", "x2"]
    elif name == "time_budget":  # it has chosen a preset
        assert options["preset"] == "accurate"
    else:
        assert taken == (list(value) if isinstance(value, tuple) else value)
    assert options["seed"] == 3


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("name", ["seed", "hiden", "target", "search"])
def test_other_parameters_are_refused(cls, name):
    with pytest.raises(TypeError, match=name):
        cls(**{name: 1})
    with pytest.raises(ValueError, match=name):
        cls().set_params(**{name: 1})
    with pytest.raises(TypeError, match="positional"):
        cls(0)


@pytest.mark.parametrize(
    "given, error, words",
    [
        ({"epochs": 0}, ValueError, "epochs=0: expected a whole number of at least 1"),
        ({"hidden": "a"}, TypeError, "hidden='a'"),
        ({"activation": "rely"}, ValueError, "activation='rely': did you mean 'relu'"),
        ({"random_state": -1}, ValueError, "random_state=-1: expected at least 0"),
        ({"random_state": np.int64(-3)}, ValueError, "random_state=-3: expected at least 0"),
        ({"random_state": 2**63}, ValueError, f"random_state={2**63}: expected at least 0 and"),
        ({"random_state": "a"}, ValueError, "'a' cannot be used to seed"),
        ({"drop": ["x9"]}, ValueError, "x9"),
        ({"drop": [3]}, ValueError, "drop=3: X has 3 columns"),
        ({"drop": [0], "numeric": [0]}, ValueError, "'x0' is named as to drop and as numeric"),
        ({"drop": [True]}, TypeError, "drop=True"),
        ({"n_threads": 0}, ValueError, "n_threads=0"),
        ({"missing": 5}, TypeError, "missing=5: expected text"),
        ({"missing": "a,b"}, ValueError, "missing='a,b': expected one word"),
    ],
)
@pytest.mark.parametrize("cls", BOTH)
def test_a_wrong_value_is_kept_until_fit_which_names_it(cls, given, error, words):
    estimator = clone(cls(**given))
    with pytest.raises(error, match=re.escape(words)):
        estimator.fit(X, LABELS)


def test_columns_may_be_named_by_their_places():
    by_name = TabularClassifier(epochs=2, random_state=0, drop=["x1"]).fit(X, LABELS)
    by_place = TabularClassifier(epochs=2, random_state=0, drop=(np.int64(-2),)).fit(X, LABELS)
    assert (by_name.predict_proba(X) == by_place.predict_proba(X)).all()
    assert [c.name for c in by_place.model_.schema.columns] == ["x0", "x2"]


def test_random_states_are_seeds_or_draw_them():
    def seed(state):
        fitted = TabularRegressor(epochs=1, random_state=state).fit(X, X[:, 0])
        return fitted.model_.record["options"].get("seed", 0)

    assert seed(2**40) == 2**40 and seed(np.uint8(7)) == 7
    generator = np.random.RandomState(0)
    first, second = seed(generator), seed(generator)
    assert [first, second] == np.random.RandomState(0).randint(2**31 - 1, size=2).tolist()
    assert seed(None) != seed(None)
