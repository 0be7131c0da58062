"""Formulas of the user's own, compiled: their values, their slopes, and what is refused."""

import math
import random
import time

import numpy as np
import pytest

import fastbp
from fastbp import kernels
from fastbp.kernels.formulas.straight import straight

rng = np.random.default_rng(0)
CLOSE = {"float32": 1e-5, "float64": 1e-11}


def leaky(z):
    if z > 0:
        return z
    return 0.01 * z


def steps(z):
    if z < -1 or (z > 1 and z != 1.5):
        return -1 if z < -1 else 1
    return z


def halved(z):
    while z > 1:
        z = 0.5 * z
    return z


def summed(z):
    total = 0.0
    for power in range(3):
        total += z**power
    return total


# a formula, what NumPy says of it, and of its derivative, with operators and functions of each kind
FORMULAS = {
    "cube": (lambda z: z**3 - 2 * z, lambda z: z**3 - 2 * z, lambda z: 3 * z**2 - 2),
    "quotient": (
        lambda z: z / (1 + z * z),
        lambda z: z / (1 + z**2),
        lambda z: (1 - z**2) / (1 + z**2) ** 2,
    ),
    "bell": (
        lambda z: math.exp(-z * z),
        lambda z: np.exp(-(z**2)),
        lambda z: -2 * z * np.exp(-(z**2)),
    ),
    "log": (lambda z: math.log(1 + z * z), lambda z: np.log1p(z**2), lambda z: 2 * z / (1 + z**2)),
    "root": (
        lambda z: math.sqrt(1 + z * z),
        lambda z: np.hypot(1, z),
        lambda z: z / np.hypot(1, z),
    ),
    "softplus": (
        lambda z: np.logaddexp(0, z),
        lambda z: np.logaddexp(0, z),
        lambda z: 1 / (1 + np.exp(-z)),
    ),
    "log1p": (
        lambda z: math.log1p(math.exp(z)),
        lambda z: np.logaddexp(0, z),
        lambda z: 1 / (1 + np.exp(-z)),
    ),
    "expm1": (
        lambda z: np.expm1(-abs(z)),
        lambda z: np.expm1(-abs(z)),
        lambda z: -np.sign(z) * np.exp(-abs(z)),
    ),
    "where": (
        lambda z: np.where(z > 0, z, 0.3 * z),
        lambda z: np.where(z > 0, z, 0.3 * z),
        lambda z: np.where(z > 0, 1, 0.3),
    ),
    "max": (
        lambda z: max(z, 0) * min(z, 2),
        lambda z: np.clip(z, 0, None) * np.minimum(z, 2),
        lambda z: np.where(z < 0, 0, np.where(z < 2, 2 * z, 2)),
    ),
    "tanh": (
        lambda z: math.tanh(2 * z),
        lambda z: np.tanh(2 * z),
        lambda z: 2 / np.cosh(2 * z) ** 2,
    ),
    "branches": (leaky, lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
    "sine": (
        lambda z: math.sin(z) + math.cosh(z / 9),
        lambda z: np.sin(z) + np.cosh(z / 9),
        lambda z: np.cos(z) + np.sinh(z / 9) / 9,
    ),
    "power": (
        lambda z: 1.5**z + (z * z + 1) ** 0.3,
        lambda z: 1.5**z + (z * z + 1) ** 0.3,
        lambda z: math.log(1.5) * 1.5**z + 0.6 * z * (z * z + 1) ** -0.7,
    ),
    "steps": (steps, lambda z: np.clip(z, -1, 1), lambda z: np.where(abs(z) < 1, 1, 0)),
    "while": (
        halved,
        lambda z: z / 2.0 ** np.ceil(np.log2(np.maximum(z, 1))),
        lambda z: 1 / 2.0 ** np.ceil(np.log2(np.maximum(z, 1))),
    ),
    "loop": (summed, lambda z: 1 + z + z**2, lambda z: 1 + 2 * z),
    "constant": (lambda z: 0.5, lambda z: 0.5 + 0 * z, lambda z: 0 * z),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_slopes_are_those_of_numpy(name):
    function, values, slopes = FORMULAS[name]
    record = fastbp.custom_activation("mine", function)
    # apart from kinks, and from the points at which formulas are checked
    Z = rng.uniform(-5, 5, (3, 77))
    for dtype in ("float64", "float32"):
        for made, expected in [
            (kernels.activation(Z.astype(dtype), record), values(Z)),
            (kernels.activation_derivative(Z.astype(dtype), record), slopes(Z)),
        ]:
            assert made.dtype == dtype
            off = abs(made - expected) / (1 + abs(expected))
            assert off.max() < CLOSE[dtype]


@pytest.mark.parametrize("function", [leaky, steps, summed, lambda z: z * max(abs(z), z**-2)])
def test_a_function_without_its_branches_computes_the_same_of_arrays(function):
    functions = {abs: np.abs, max: np.maximum, np.where: np.where}
    Z = np.append(rng.uniform(-3, 3, 50), [-1.0, 1.0, 1.5])
    made = straight(function, functions)(Z)  # which an `if` could not take
    np.testing.assert_allclose(made, [function(z) for z in Z], rtol=1e-15)


def test_a_function_whose_branches_have_no_end_keeps_them():
    assert straight(halved, {np.where: np.where}) is None
    assert straight(lambda z: float(z), {np.where: np.where}) is None


def test_a_loss_has_the_values_and_slopes_of_numpy():
    record = fastbp.custom_loss("log_cosh", lambda a, y: math.log(math.cosh(a - y)))
    A, Y = rng.normal(size=(2, 33, 5))
    for weight in (None, rng.uniform(size=33)):
        w = np.ones(33) if weight is None else weight
        value, D = kernels.loss(A, Y, record, sample_weight=weight)
        expected = (w[:, None] * np.log(np.cosh(A - Y))).sum() / w.sum()
        assert abs(value - expected) < 1e-12
        np.testing.assert_allclose(D, w[:, None] * np.tanh(A - Y) / w.sum(), atol=1e-13)


def test_a_formula_is_compiled_once():
    fastbp.custom_activation("first", lambda z: z * math.tanh(z + 0.123))  # imports the compiler
    Z = np.ones((2, 2), "float32")
    began = time.perf_counter()
    record = fastbp.custom_activation("twice", lambda z: z * math.tanh(z + 0.321))
    kernels.activation_derivative(kernels.activation(Z, record), record)
    # a second at most on a quiet machine
    assert time.perf_counter() - began < 30
    again = fastbp.custom_activation("twice", lambda z: z * math.tanh(z + 0.321))
    assert again.tasks() is record.tasks()


# ------------------------------------------------------------------ refused

COUNT = 0
SEEN: list = []


def counting(z):
    global COUNT
    COUNT += 1
    return z


def raising(z):
    if z > 100:
        raise ValueError
    return z


def appending(z):
    SEEN.append(z)
    return z


def closed_over():
    count = 0

    def function(z):
        nonlocal count
        count += 1
        return z

    return function


def endless(z):
    return endless(z - 1)


def with_default(z, factor=2):
    return z * factor


def catching(z):
    try:
        return 1 / z
    except ZeroDivisionError:
        return 0.0


REFUSED = [
    (counting, "counting sets the global variable COUNT"),
    (raising, "raising raises or asserts something"),
    (appending, r"appending uses SEEN, \[\]"),
    (closed_over(), "function sets the outer variable count"),
    (endless, "endless calls itself"),
    (catching, "catching catches exceptions"),
    (lambda z: print(z) or z, "lambda uses print"),
    (lambda z: z + random.random(), "lambda uses random"),
    (lambda z: z + np.random.rand(), "is .* and then .*: expected the same"),  # noqa: NPY002
    (lambda z: [z][0], "lambda builds a list"),
    (lambda z: z if z > 0 else "a", "lambda uses 'a', which is no number"),
    (lambda z: 1 / z, r"lambda\(0\) raises ZeroDivisionError"),
    (lambda z: math.exp(z**3), r"lambda\(12\) raises OverflowError"),
    (lambda z: math.nan if z > 1 else z, r"lambda\(1.5\) is nan: expected a finite number"),
    (lambda z: z * 1e308 * 10, r"lambda\(-20\) is -inf"),
    (lambda z: z + unknown, "raises NameError"),  # noqa: F821
    (lambda z: z // 1, r"the derivative of lambda is not known: there is no floordiv\(Dual"),
    (lambda z: math.gamma(abs(z) + 1), r"there is no gamma\(Dual\(float64\)\); give one"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_a_function_that_is_no_formula_is_refused(function, message):
    with pytest.raises(ValueError, match=f"^formula 'mine'.*{message}") as caught:
        fastbp.custom_activation("mine", function)
    assert "\n" not in str(caught.value)
    assert (COUNT, SEEN) == (0, [])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (math.tanh, "expected a function, by def or lambda"),
        (3, "f=3: expected a function"),
        (lambda a, b: a, r"lambda takes \(a, b\): expected one argument"),
        (with_default, r"takes \(z, factor\): expected one argument"),
        (lambda *z: z[0], "expected one argument"),
        (lambda z: z > 0, r"lambda\(-20\) returns False: expected a number"),
        (lambda z: None, "returns None: expected a number"),
        (lambda z: (z, z), r"returns \(-20.0, -20.0\): expected a number"),
        (lambda z: z**0.5, "returns .*j.: expected a number"),
    ],
)
def test_what_is_no_function_of_one_number_is_refused(function, message):
    with pytest.raises(TypeError, match=f"formula 'mine'.*{message}"):
        fastbp.custom_activation("mine", function)


def _step(middle):
    return lambda z: middle if z == 0 else 1.0 if z > 0 else 0.0


def test_a_wrong_derivative_is_refused_with_the_point_and_both_numbers():
    with pytest.raises(ValueError, match="lambda at -20 is -60, but finite differences say -40"):
        fastbp.custom_activation("mine", lambda z: z * z, lambda z: 3 * z)
    with pytest.raises(ValueError, match=r"lambda at -6, -2.5 is 3.5, but .* say -3.5"):
        fastbp.custom_loss("mine", lambda a, y: 0.5 * (a - y) ** 2, lambda a, y: y - a)
    # wrong in one branch only
    with pytest.raises(ValueError, match=r"lambda at 0\.001 is 2, but finite differences say 1"):
        fastbp.custom_activation("mine", leaky, lambda z: 2.0 if z > 0 else 0.01)
    # at a kink the slope of either side is right, and what is between
    for slope in (0.0, 0.5, 1.0):
        record = fastbp.custom_activation("mine", lambda z: max(z, 0), _step(slope))
        assert kernels.activation_derivative(np.zeros((1, 1)), record) == slope


@pytest.mark.parametrize(
    "name", ["relu", "swish", "mse", "softmax", "a b", "", "x" * 65, "\u00e9", "../x", "1a", "a\n"]
)
def test_names_that_are_taken_or_no_names_are_refused(name):
    with pytest.raises(ValueError, match=r"^name="):
        fastbp.custom_activation(name, lambda z: z)


def test_wrong_options_and_ranges_are_refused():
    with pytest.raises(TypeError, match="name=3: expected a string"):
        fastbp.custom_loss(3, lambda a, y: a)
    with pytest.raises(ValueError, match="outputs='simplex': expected one of real, positive, unit"):
        fastbp.custom_activation("mine", lambda z: z, outputs="simplex")
    with pytest.raises(ValueError, match=r"lambda\(-20.0\) is -20, and outputs='positive'"):
        fastbp.custom_activation("mine", lambda z: z, outputs="positive")
    with pytest.raises(ValueError, match="outputs='unit' promises 0 to 1"):
        fastbp.custom_activation("mine", lambda z: abs(z), outputs="unit")
    with pytest.raises(ValueError, match="unknown initializer"):
        fastbp.custom_activation("mine", lambda z: z, initializer="no")
    with pytest.raises(ValueError, match="needs='no': expected one of real"):
        fastbp.custom_loss("mine", lambda a, y: a, needs="no")
    with pytest.raises(ValueError, match="targets='no': expected one of real"):
        fastbp.custom_loss("mine", lambda a, y: a, targets="no")
    with pytest.raises(ValueError, match="unknown activation 'no'"):
        fastbp.custom_loss("mine", lambda a, y: a, partner="no")


def _bent(c):
    def bend(z, c=c):
        return z if z < c else c + 0.1 * (z - c)

    return fastbp.custom_activation("bent", lambda z: bend(z))


def test_what_a_helper_has_by_default_tells_formulas_apart():
    near, far = _bent(30.0), _bent(60.0)
    assert near != far and near == _bent(30.0)
    values = [kernels.activation(np.full((1, 1), 100.0), each)[0, 0] for each in (near, far)]
    np.testing.assert_allclose(values, [37.0, 64.0], rtol=1e-12)


def test_truth_values_that_are_known_choose_a_side():
    flag = True
    formula = fastbp.custom_activation("known", lambda z: np.where(flag, 2 * z, z * z))
    np.testing.assert_array_equal(kernels.activation(np.full((1, 3), 4.0), formula), 8.0)


def test_the_largest_of_three_runs():
    formula = fastbp.custom_activation("three", lambda z: max(z, 0.1 * z, -1.0))
    Z = np.array([[-20.0, -3.0, 0.5, 7.0]])
    np.testing.assert_allclose(kernels.activation(Z, formula), [[-1.0, -0.3, 0.5, 7.0]])


@pytest.mark.parametrize("name", ["exp2", "tan", "arctan2"])
def test_what_numba_cannot_run_is_named(name):
    function = getattr(np, name)
    arguments = (1.0,) if name == "arctan2" else ()
    try:
        fastbp.custom_activation("mine", lambda z: function(z / 20, *arguments))
    except ValueError as error:
        assert "formula 'mine'" in str(error) and "\n" not in str(error)


def test_a_formula_of_the_other_kind_is_refused():
    wave = fastbp.custom_activation("wave", lambda z: math.sin(z))
    squares = fastbp.custom_loss("squares", lambda a, y: (a - y) ** 2)
    with pytest.raises(ValueError, match="'squares' is a CustomLoss, and no activation"):
        fastbp.Network([4, 8, 1], squares)
    with pytest.raises(ValueError, match="'wave' is a CustomActivation, and no loss"):
        fastbp.Network([4, 8, 1], loss=wave)
    with pytest.raises(ValueError, match="unknown activation 'wave'"):
        fastbp.Network([4, 8, 1], "wave")
