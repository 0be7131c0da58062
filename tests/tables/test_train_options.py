"""Options of `fastbp.train`: each is checked before anything is read, and reaches the network."""

import math
from dataclasses import fields

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

import fastbp
from bent_scaler import BentScaler
from fastbp import DataError, Dense, Dropout, Network, TableModel, train
from fastbp.tables.options import TrainOptions
from table_makers import numeric, people

FEW = {"preset": "fast", "epochs": 4, "hidden": 8}


def encoded(data, scaler):
    X = np.stack([data[name] for name in "abc"], axis=1)
    return scaler.transform(X).astype(np.float32), np.searchsorted(["u", "v", "w"], data["y"])


# ----------------------------------------------------------------------- what is checked

NAN = math.nan
WRONG = {
    "separator": ["", "ab", 3, '"', "\n", "a"],
    "encoding": ["utf-9", "", 3, "rot13"],
    "skip_rows": [-1, 1.5, "2", True],
    "header": ["no", 0],
    "decimal": [";", 3],
    "date_format": [3, None],
    "target": ["", 3, None, [], [3], ["y", ""], ["y", "y"]],
    "task": ["clustering", 3],
    "ids": [3, [3], None],
    "drop": [3, [None]],
    "categorical": [3, [b"a"]],
    "numeric": [3, [None]],
    "weight": ["", 3, ["w"]],
    "group": ["", 3, ["g"]],
    "time": ["", 3, ["t"]],
    "folds": [1, 0, 2.5, "5", True],
    "missing": [3, [-999], None, ".,n.a."],
    "max_categories": [0, 1.5, "a"],
    "ramps": [-1, 1, 513, 1.5, "16", True],
    "ramp_edges": ["trees", 3],
    "clip_target": [0, -1, NAN, "a"],
    "valid_share": [1, -0.1, NAN, "0.2", True],
    "preset": ["slow", 3, ["fast"]],
    "hidden": [0, 5.5, [10, -1], "100", True, [True], [[5]]],
    "activation": ["rleu", None, 3, "softmax"],
    "dropout": [1, -0.1, NAN, "0.5"],
    "loss": ["mse2", 3, ["huber"]],
    "quantile": [0, 1, -0.5, NAN, "0.5", [], [0.1, 0.1], [0.1, 2], [0.1, "0.9"]],
    "optimizer": ["adm", None],
    "learning_rate": [0, -1, NAN, "fast", True],
    "schedule": ["cos", ["cosine"]],
    "l2": [-1, NAN, None, "a"],
    "weight_decay": [-1, NAN, "a"],
    "clip_norm": [0, -1, NAN, "a"],
    "class_weight": [
        "even",
        {},
        {"a": -1},
        {"a": NAN},
        {"a": "x"},
        {"a": 0},
        {"": 1},
        {1: 2, "1": 2},
    ],
    "epochs": [0, -1, 1.5, "10", True],
    "patience": [-1, 1.5, True],
    "batch_size": [0, -1, 1.5, "32", True],
    "calibrate": ["no", 0],
    "search": [0, -1, 2.5, "5", True],
    "seed": [-1, 2**63, 1.5, None, "a"],
    "ensemble": [0, -1, 1.5, "3", True],
    "ensemble_by": ["seed", 3],
    "dtype": ["float16", np.float32, None],
    "n_threads": [0, -1, 1.5, "many", None, True],
    "max_time": [0, -1, NAN, math.inf, 10**400, "1h"],
    "time_budget": [0, -1, NAN, math.inf, "1h"],
    "memory": [0, -1, 1.5, "1GB"],
}


def test_every_option_has_wrong_values_here():
    assert list(WRONG) == [field.name for field in fields(TrainOptions)]


@pytest.mark.parametrize("name, value", [(n, v) for n, values in WRONG.items() for v in values])
def test_a_wrong_option_is_named_before_anything_is_read(name, value):
    options = {"target": "y", name: value}
    with pytest.raises((ValueError, TypeError), match=name) as caught:
        train("absent.csv", **options)
    assert not isinstance(caught.value, DataError)


@pytest.mark.parametrize(
    "name, value, known",
    [
        ("callbacks", 3, "callable"),
        ("callbacks", [3], "callable"),
        ("progress", "yes", "True or False"),
        ("resume", "no", "True or False"),
        ("resume", True, "checkpoints"),
        ("epoch", 3, "epoch"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_read(name, value, known):
    with pytest.raises((ValueError, TypeError), match=name) as caught:
        train("absent.csv", "y", **{name: value})
    assert known in str(caught.value)


def test_options_may_be_numbers_of_numpy(tmp_path):
    options = {
        "valid_share": np.float32(0.25),
        "hidden": np.int32(8),
        "dropout": np.float32(0.25),
        "learning_rate": np.float32(0.0078125),
        "l2": np.float32(0.5),
        "clip_norm": np.float32(1),
        "epochs": np.int64(3),
        "patience": np.uint8(2),
        "batch_size": np.int16(16),
        "seed": np.int64(5),
        "n_threads": np.int64(1),
        "max_time": np.float32(60),
        "memory": np.int64(10**9),
    }
    model = train(numeric(), "y", **options)
    plain = train(numeric(), "y", **{name: value.item() for name, value in options.items()})
    assert model.fingerprint == plain.fingerprint
    assert model.record["options"] == plain.record["options"]
    model.save(tmp_path / "model.safetensors")
    assert TableModel.load(tmp_path / "model.safetensors").record == model.record


def test_a_word_for_missing_values_may_be_given_twice():
    models = [train(numeric(), "y", missing=words) for words in (("NA", "?"), ("NA", "?", "NA"))]
    assert models[1].schema.missing_words == ("NA", "?")
    assert models[0].fingerprint == models[1].fingerprint


@pytest.mark.parametrize("name", ["target", "ids", "drop", "categorical", "numeric"])
def test_a_column_that_is_not_there_is_named_with_the_nearest(name):
    options = {"target": "y", name: "sity"}
    with pytest.raises(DataError, match=r"'sity'.*'city'"):
        train(people(40), **options)


@pytest.mark.parametrize(
    "options, target",
    [
        ({"loss": "huber"}, "class"),
        ({"class_weight": "balanced"}, "number"),
        ({"class_weight": {"top": 2}}, "number"),
    ],
)
def test_what_does_not_suit_the_task_is_named(options, target):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}.*another task"):
        train(people(40, target=target), "y", **options)


# ------------------------------------------------- the same net and training made by hand


def by_hand(data, valid, *, layers, loss="cross_entropy", fit=None, **network):
    """Encode with scikit-learn, and train a `Network`; return it."""
    scaler = BentScaler().fit(np.stack([data[name] for name in "abc"], axis=1))
    net = Network(inputs=3, layers=layers, loss=loss, **network)
    fit = {"epochs": 5, "batch_size": 32, "early_stopping": 10, **(fit or {})}
    net.fit(*encoded(data, scaler), validation_data=encoded(valid, scaler), **fit)
    return net


def hidden(units=8, activation="relu", initializer="glorot_uniform"):
    return Dense(units, activation, initializer=initializer)


ONE = [hidden(), Dense(3)]
TWINS = {
    "defaults": ({}, {"layers": ONE}),
    "linear": ({"hidden": ()}, {"layers": [Dense(3)]}),
    "two layers, dropout": (
        {"hidden": (9, 5), "dropout": 0.25},
        {"layers": [hidden(9), Dropout(0.25), hidden(5), Dropout(0.25), Dense(3)]},
    ),
    "tanh": ({"activation": "tanh"}, {"layers": [hidden(8, "tanh"), Dense(3)]}),
    "selu": ({"activation": "selu"}, {"layers": [hidden(8, "selu", "lecun_normal"), Dense(3)]}),
    "sgd": (
        {"optimizer": "sgd", "learning_rate": 0.1, "l2": 0.01, "clip_norm": 0.5},
        {"layers": ONE, "optimizer": fastbp.SGD(0.1, l2=0.01, clip_norm=0.5)},
    ),
    "adamw, cosine": (
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine"},
        {"layers": ONE, "optimizer": fastbp.AdamW(weight_decay=0.1, schedule=fastbp.Cosine(5))},
    ),
    "one cycle": (
        {"schedule": "one_cycle"},
        {"layers": ONE, "optimizer": fastbp.Adam(schedule=fastbp.OneCycle(5))},
    ),
    "seed, batch, float64": (
        {"seed": 9, "batch_size": 7, "dtype": "float64"},
        {"layers": ONE, "seed": 9, "dtype": "float64", "fit": {"batch_size": 7}},
    ),
    "stops early": (
        {"epochs": 60, "patience": 1, "learning_rate": 0.1},
        {"layers": ONE, "optimizer": fastbp.Adam(0.1), "fit": {"epochs": 60, "early_stopping": 1}},
    ),
    "never stops early": (
        {"epochs": 40, "patience": 0, "learning_rate": 0.1},
        {
            "layers": ONE,
            "optimizer": fastbp.Adam(0.1),
            "fit": {"epochs": 40, "early_stopping": None},
        },
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_the_net_is_the_one_trained_by_hand(name):
    options, twin = TWINS[name]
    data, valid = numeric(), numeric(50, seed=4)
    few = {**FEW, "epochs": 5, "calibrate": False}
    model = train(data, "y", valid=valid, **{**few, **options})
    net = by_hand(data, valid, **twin)
    if net.dtype == np.float32:
        np.testing.assert_array_equal(model.network.parameters, net.parameters)
    else:  # `encoded` rounds to float32
        np.testing.assert_allclose(model.network.parameters, net.parameters, atol=1e-5)
    assert model.history["loss"] == pytest.approx(net.history["loss"], rel=1e-5)
    assert model.record["stopped"] == net.history.stopped
    assert model.record["best_epoch"] == net.history.best_epoch


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_a_regression_learns_the_standardised_target(loss):
    data = numeric()
    data["y"] = 300 + 20 * data["a"] + np.random.default_rng(0).normal(0, 5, 120)
    model = train(data, "y", valid_share=0, loss=loss, **{**FEW, "epochs": 5})
    X = (
        BentScaler()
        .fit_transform(np.stack([data[name] for name in "abc"], axis=1))
        .astype(np.float32)
    )
    y = StandardScaler().fit_transform(data["y"][:, None])[:, 0]
    net = Network(inputs=3, layers=[hidden(), Dense(1)], loss=loss)
    net.fit(X, y, epochs=5, batch_size=32, early_stopping=10)
    np.testing.assert_allclose(model.network.parameters, net.parameters, atol=1e-6)


def test_balanced_classes_have_scikit_learns_weights():
    data, valid = numeric(), numeric(50, seed=4)
    model = train(data, "y", valid=valid, class_weight="balanced", calibrate=False, **FEW)
    classes = np.array(["u", "v", "w"])
    weights = compute_class_weight("balanced", classes=classes, y=data["y"])
    assert weights.max() > 1.2 * weights.min()
    fit = {"sample_weight": weights[np.searchsorted(classes, data["y"])], "epochs": 4}
    net = by_hand(data, valid, layers=ONE, fit=fit)
    np.testing.assert_allclose(model.network.parameters, net.parameters, atol=1e-5)


def test_classes_have_the_weights_that_are_named():
    data, valid = numeric(), numeric(50, seed=4)
    named = {"v": 2.5, "w": 0}
    model = train(data, "y", valid=valid, class_weight=named, calibrate=False, **FEW)
    weights = np.array([1, 2.5, 0])[np.searchsorted(["u", "v", "w"], data["y"])]
    net = by_hand(data, valid, layers=ONE, fit={"sample_weight": weights, "epochs": 4})
    np.testing.assert_allclose(model.network.parameters, net.parameters, atol=1e-5)
    assert model.record["options"]["class_weight"] == {"v": 2.5, "w": 0}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([True, False], [True, "True", "true"]),
        ([1, 2], [1, 1.0, "1", "1.0", np.int64(1)]),
        (["1.0x", "b"], ["1.0x"]),
    ],
)
def test_a_class_may_be_named_as_python_writes_it(values, names):
    data = {"x": np.arange(40.0) ** 1.5, "y": np.resize(values, 40)}
    models = [train(data, "y", class_weight={name: 3}, **FEW) for name in names]
    assert len({model.fingerprint for model in models}) == 1
    assert models[0].fingerprint != train(data, "y", **FEW).fingerprint


def test_a_class_that_is_not_there_is_named_with_the_nearest():
    words = r"class_weight=.*no class 'tops'; did you mean 'top'\? Classes: 'low', 'mid', 'top'"
    with pytest.raises(ValueError, match=words):
        train(people(40), "y", class_weight={"tops": 3})


@pytest.mark.parametrize("memory", [None, 5000])
def test_balanced_classes_find_more_of_a_rare_one(memory):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=600), rng.random(600) < 0.1
    data = {"x": x + y, "y": y}
    recall = []
    for class_weight in (None, "balanced"):
        options = {"preset": "fast", "epochs": 30, "memory": memory}
        model = train(data, "y", class_weight=class_weight, **options)
        assert model.record["streamed"] == (memory is not None)
        recall.append(model.predict(data)["prediction"].to_numpy()[y].mean())
    assert recall[1] > recall[0] + 0.3
