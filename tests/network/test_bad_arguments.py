"""Bad arguments of `Network`, its layers, optimizers and schedules: errors that help."""

import re
from functools import partial

import numpy as np
import pytest

from fastbp import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Constant,
    Cosine,
    Dense,
    Dropout,
    EarlyStopping,
    Exponential,
    Network,
    OneCycle,
    RMSprop,
    Step,
    WarmUp,
    kernels,
)
from fastbp.components.optimizers import Optimizer
from fastbp.quoted import quoted

# unknown names, one letter wrong, and what should be suggested
MISSPELT = [
    (lambda: Network([4, 5, 3], activation="rellu"), "rellu", "relu"),
    (lambda: Network([4, 5, 5, 3], activation=["relu", "tahn"]), "tahn", "tanh"),
    (lambda: Network([4, 3], output_activation="sofplus", loss="poisson"), "sofplus", "softplus"),
    (lambda: Network([4, 3], loss="cross_entrophy"), "cross_entrophy", "cross_entropy"),
    (lambda: Network([4, 3], optimizer="adamm"), "adamm", "adam"),
    (lambda: Network([4, 3], initializer="he_unifrom"), "he_unifrom", "he_uniform"),
    (lambda: Dense(3, "sigmoyd"), "sigmoyd", "sigmoid"),
    (lambda: Dense(3, initializer="orthogonl"), "orthogonl", "orthogonal"),
    (lambda: Adam(schedule="cosin"), "cosin", "cosine"),
    (lambda: Optimizer("nestrov"), "nestrov", "nesterov"),
]


@pytest.mark.parametrize(("call", "wrong", "right"), MISSPELT, ids=[w for _, w, _ in MISSPELT])
def test_the_nearest_known_name_is_suggested(call, wrong, right):
    with pytest.raises(ValueError, match=f"{wrong!r}.*did you mean {right!r}"):
        call()


@pytest.mark.parametrize("name", ["zzzzzz", "", 3, None])
def test_a_name_like_no_other_is_answered_with_those_that_are_known(name):
    with pytest.raises(ValueError, match=r"unknown loss.*squared_error") as raised:
        Network([4, 3], loss=name)
    assert repr(name) in str(raised.value)
    assert "did you mean" not in str(raised.value)


BAD_NETWORKS = [
    ({}, ["sizes", "layers"]),
    ({"sizes": [4, 3], "inputs": 4, "layers": [Dense(3)]}, ["sizes", "layers"]),
    ({"layers": [Dense(3)]}, ["inputs"]),
    ({"sizes": 5}, ["sizes", "5"]),
    ({"sizes": [4]}, ["sizes", "[4]"]),
    ({"sizes": []}, ["sizes", "[]"]),
    ({"sizes": [4, 0, 3]}, ["sizes[1]", "0"]),
    ({"sizes": [4, -2]}, ["sizes[1]", "-2"]),
    ({"sizes": [4, 2.5]}, ["sizes[1]", "2.5"]),
    ({"sizes": [4, True]}, ["sizes[1]", "True"]),
    ({"sizes": "43"}, ["sizes", "'4"]),
    ({"sizes": [4, 5, 3], "activation": 3}, ["activation", "3"]),
    ({"sizes": [4, 5, 3], "activation": []}, ["activation", "[]", "1"]),
    (
        {"inputs": 4, "layers": [Dense(3, "tanh")], "output_activation": "relu"},
        ["output_activation", "relu", "tanh"],
    ),
    ({"sizes": [4, 5, 3], "activation": ["relu", "relu"]}, ["activation", "relu", "1"]),
    ({"sizes": [4, 5, 3], "activation": "softmax"}, ["activation", "softmax", "hidden"]),
    ({"inputs": 0, "layers": [Dense(3)]}, ["inputs", "0"]),
    ({"inputs": "4", "layers": [Dense(3)]}, ["inputs", "'4'"]),
    ({"inputs": 4, "layers": Dense(3)}, ["layers", "Dense(units=3"]),
    ({"inputs": 4, "layers": []}, ["layers", "[]", "Dense"]),
    ({"inputs": 4, "layers": [Dropout(0.5)]}, ["layers", "Dense"]),
    ({"inputs": 4, "layers": [Dense(3), Dropout(0.5)]}, ["layers", "Dropout(rate=0.5)", "last"]),
    ({"inputs": 4, "layers": [3, Dense(3)]}, ["layers", "3", "Dense"]),
    ({"sizes": [4, 3], "loss": "cross_entropy", "output_activation": "relu"}, ["relu", "softmax"]),
    ({"sizes": [4, 3], "loss": "poisson", "output_activation": "tanh"}, ["tanh", "softplus"]),
    ({"sizes": [4, 3], "loss_parameter": 2.0}, ["loss_parameter", "2.0", "no parameter"]),
    ({"sizes": [4, 3], "loss": "huber", "loss_parameter": 0}, ["loss_parameter", "0"]),
    ({"sizes": [4, 3], "loss": "quantile", "loss_parameter": 1.5}, ["loss_parameter", "1.5"]),
    ({"sizes": [4, 3], "loss": "quantile", "loss_parameter": "x"}, ["loss_parameter", "'x'"]),
    ({"sizes": [4, 3], "loss": "quantile", "loss_parameter": [0.1, 0.9]}, ["3 outputs"]),
    ({"sizes": [4, 1], "loss": "quantile", "loss_parameter": []}, ["loss_parameter", "[]"]),
    (
        {"sizes": [4, 2], "loss": "quantile", "loss_parameter": [0.1, 1.0]},
        ["loss_parameter", "1.0"],
    ),
    ({"sizes": [4, 2], "loss": "huber", "loss_parameter": [0.1, 1.0]}, ["loss_parameter"]),
    ({"sizes": [4, 3], "optimizer": Adam}, ["optimizer", "Adam"]),
    ({"sizes": [4, 3], "optimizer": 0.1}, ["optimizer", "0.1"]),
    *[({"sizes": [4, 3], "dtype": bad}, ["dtype", repr(bad)]) for bad in ("float16", int, None)],
    *[({"sizes": [4, 3], "seed": bad}, ["seed", repr(bad)]) for bad in (-1, 0.5, 2**63, "0")],
]


@pytest.mark.parametrize(("arguments", "words"), BAD_NETWORKS, ids=lambda value: str(value)[:60])
def test_a_bad_argument_of_network_is_named(arguments, words):
    _says(lambda: Network(**arguments), words)


def _says(call, words):
    """Assert that `call` raises an error with each of `words` and with what is right."""
    with pytest.raises((ValueError, TypeError)) as raised:
        call()
    message = str(raised.value)
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"
    assert re.search(r"expect|give|must|needs?\b|has no parameter", message), message


def _each(kind, name, values):
    return [(kind, name, value) for value in values]


NAN, INF = float("nan"), float("inf")
NO_RATE, NO_SHARE = (0, -0.1, NAN, INF, "1e-3", None, True), (-0.1, 1, 1.5, NAN, "0.5", True)
BAD_NUMBERS = [
    *_each(Adam, "learning_rate", NO_RATE),
    *_each(AdamW, "learning_rate", NO_RATE[:2]),
    *_each(SGD, "learning_rate", NO_RATE[:2]),
    *_each(RMSprop, "learning_rate", NO_RATE[:2]),
    *_each(Adagrad, "learning_rate", NO_RATE[:2]),
    *_each(Adam, "beta1", NO_SHARE),
    *_each(Adam, "beta2", NO_SHARE[:2]),
    *_each(Adam, "epsilon", (0, -1e-8, NAN)),
    *_each(SGD, "momentum", NO_SHARE),
    *_each(SGD, "nesterov", ("yes", 1, None)),
    *_each(Adam, "l1", (-1e-3, NAN, "0", None)),
    *_each(Adam, "l2", (-1e-3, INF)),
    *_each(AdamW, "weight_decay", (-0.1, NAN)),
    *_each(Adam, "l1", (10**400,)),
    *_each(Adam, "clip_norm", (0, -1.0, NAN, "1")),
    *_each(Adam, "schedule", (3, Cosine)),
    *_each(Step, "every", NO_RATE),
    *_each(Step, "factor", (0, -1, NAN)),
    *_each(Exponential, "factor", (0, -1, NAN)),
    *_each(Cosine, "epochs", NO_RATE),
    *_each(Cosine, "end", (-0.1, NAN)),
    *_each(OneCycle, "epochs", (0, -1)),
    *_each(OneCycle, "warm", (0, 1, 1.5)),
    *_each(OneCycle, "start", (-0.1, "x")),
    *_each(OneCycle, "end", (-0.1,)),
    *_each(WarmUp, "epochs", (0, -1)),
    *_each(WarmUp, "after", (3, Constant)),
    *_each(Dropout, "rate", (-0.1, 1, 1.5, NAN, "0.5", None, True)),
    *_each(Dense, "units", (0, -1, 2.5, "3", None, True)),
    *_each(partial(Dense, 3), "bias", ("no", 1, None)),
    *_each(EarlyStopping, "patience", (0, -1, 2.5, "3", None)),
    *_each(EarlyStopping, "min_delta", (-0.1, NAN, "0")),
    *_each(EarlyStopping, "restore_best", ("no", 2, None)),
]


@pytest.mark.parametrize(("kind", "name", "value"), BAD_NUMBERS)
def test_a_number_out_of_its_range_is_refused(kind, name, value):
    _says(lambda: kind(**{name: value}), [name, quoted(value)])


@pytest.mark.parametrize("activation", ["leaky_relu", "elu"])
@pytest.mark.parametrize("alpha", [-0.1, NAN, INF, "0.1", True])
def test_a_bad_alpha_is_refused(activation, alpha):
    _says(lambda: Dense(3, activation, alpha=alpha), ["alpha", repr(alpha)])


def test_an_activation_without_a_parameter_takes_none():
    _says(lambda: Dense(3, "relu", alpha=0.1), ["alpha", "0.1", "relu"])
    # nor does the one that a layer gets when it names none
    _says(lambda: Network(inputs=4, layers=[Dense(3, alpha=0.1)]), ["alpha", "0.1"])


@pytest.mark.parametrize(
    ("name", "unknown"), [("sgd", "beta1"), ("adam", "momentum"), ("rmsprop", "beta1")]
)
def test_a_hyper_parameter_that_an_optimizer_has_not_is_refused(name, unknown):
    with pytest.raises(TypeError, match=f"{name} has no parameter {unknown!r}.*learning_rate"):
        Optimizer(name, **{unknown: 0.5})


def test_numpy_numbers_are_numbers():
    net = Network(
        inputs=np.int64(4),
        layers=[
            Dense(np.int32(5), "elu", alpha=np.float32(0.5)),
            Dropout(np.float32(0.25)),
            Dense(1),
        ],
        optimizer=Adam(np.float32(1e-3), schedule=Cosine(np.int64(5))),
        seed=np.uint8(3),
    )
    history = net.fit(np.ones((6, 4)), np.ones(6), epochs=np.int64(2), batch_size=np.int16(4))
    assert len(history) == 2
    assert "dropout" in net.summary() and "0.25" in net.summary()


def test_layers_may_come_from_a_generator():
    net = Network(inputs=4, layers=(Dense(units) for units in (5, 3)))
    assert [w.shape for w in net.weights] == [(4, 5), (5, 3)]


def test_no_argument_is_dropped_in_silence():
    layers = [Dense(5), Dense(2)]
    _says(lambda: Network([3, 2], inputs=77), ["inputs", "77"])
    for name, value in (("activation", "tanh"), ("initializer", "zeros")):
        with pytest.raises(TypeError, match=name):
            Network(inputs=4, layers=layers, **{name: value})
    net = Network([3, 2])
    _, grads = net.backward(np.ones((4, 3)), np.ones((4, 2)), n_threads=1)
    _says(lambda: net.update(grads, n_threads="many"), ["n_threads", "many"])
    _says(lambda: net.update(grads, epoch=-1), ["epoch", "-1"])
    with pytest.raises(TypeError, match="integer labels"):
        kernels.loss(np.ones((2, 2)), np.array([0.0, 0.7]), "cross_entropy")
    with pytest.raises(ValueError, match="parameter=2"):
        kernels.loss(np.ones((2, 2)), np.ones((2, 2)), "squared_error", parameter=2)
