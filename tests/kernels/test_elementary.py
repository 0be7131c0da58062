"""exp, log, tanh, erf and the activations over the whole range of floats, in last places."""

import math
import re
from functools import cache

import numpy as np
import pytest
from numba import njit

import oracle
from fastbp import ACTIVATIONS, Dense, Network
from fastbp.kernels.simd import elementary
from fastbp.kernels.simd.intrinsics import load_part, pointer, store_part, width

WIDE = np.longdouble
# NumPy's and the C library's own functions may be one unit off where no wider float exists
WIDE_IS_WIDER = np.finfo(WIDE).nmant > np.finfo(np.float64).nmant + 8
NAMES = ["exp", "expm1", "log", "log1p", "tanh", "erf"]
# what the module states is what is tested: "exp 1    expm1 2    ..."
_STATED = re.findall(r"(?<=    )(\w+) ([0-9.]+)(?=    |\n)", elementary.__doc__)
BOUNDS = {name: float(bound) for name, bound in _STATED}
erf = np.vectorize(math.erf, otypes=[float])

every_function = pytest.mark.parametrize("name", NAMES)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@cache
def _loop_of(name):
    function = getattr(elementary, name)

    @njit(error_model="numpy")
    def loop(x, out):
        source, target = pointer(x), pointer(out)
        for i in range(0, x.size, width(source)):
            value = function(load_part(source + i, x.size - i))
            store_part(target + i, value, x.size - i)

    return loop


def evaluate(name, x):
    out = np.empty_like(x)
    _loop_of(name)(x, out)
    return out


def exactly(name, x):
    """The function in a wider float, and how many units of x's dtype it may itself be off."""
    if x.dtype == np.float32:
        return (erf if name == "erf" else getattr(np, name))(x.astype(np.float64)), 0
    if name == "erf":
        return erf(x).astype(WIDE), 1
    return getattr(np, name)(x.astype(WIDE)), 0 if WIDE_IS_WIDER else 1


def units_off(value, exact):
    """|value - exact| in units of the last place of the value's dtype, at `exact`."""
    info = np.finfo(value.dtype)
    # infinity stands one unit above the greatest float: to overflow a unit too early is 1 off
    top = np.ldexp(exact.dtype.type(1), info.maxexp)
    value, exact = np.clip(value.astype(exact.dtype), -top, top), np.clip(exact, -top, top)
    _, exponent = np.frexp(np.abs(exact))
    unit = np.maximum(exponent - 1, info.minexp) - info.nmant
    return np.abs(value - exact) / np.ldexp(exact.dtype.type(1), unit)


def samples_of(name, dtype):
    """Floats of every magnitude and sign, dense where the function is neither 0 nor saturated."""
    rng = np.random.default_rng(0)
    bits = {np.float32: np.uint32, np.float64: np.uint64}[dtype]
    anywhere = rng.integers(0, np.iinfo(bits).max, 300_000, dtype=bits).view(dtype)
    info = np.finfo(dtype)
    edges = np.log(np.array([info.max, info.tiny, info.smallest_subnormal]).astype(WIDE))
    near = np.concatenate([e + np.linspace(-2, 2, 20_001) for e in edges.astype(float)])
    parts = [
        anywhere,
        np.linspace(-3, 3, 300_001),
        np.linspace(float(edges[2]) - 1, float(edges[0]) + 1, 200_001),
        near,
        # halfway between two multiples of ln 2, where a range reduction changes its mind
        math.log(2) * (np.arange(-200, 200) + 0.5),
        np.array([info.max, info.tiny, info.smallest_subnormal, info.eps, 1, 2, math.sqrt(2)]),
    ]
    x = np.concatenate([part.astype(dtype) for part in parts])
    x = x[np.isfinite(x)]
    with np.errstate(all="ignore"):
        x = np.concatenate([x, -x, np.nextafter(x, dtype(0)), np.nextafter(x, dtype(np.inf))])
    x = x[np.isfinite(x)]
    if name == "log":
        return np.abs(x[np.abs(x) >= info.tiny])
    if name == "log1p":
        return np.abs(x[np.abs(x) <= 1])
    return x


def test_every_function_states_a_bound_of_a_few_units():
    assert list(BOUNDS) == NAMES
    assert all(0.5 <= bound <= 6 for bound in BOUNDS.values())


@every_dtype
@every_function
def test_no_float_is_further_off_than_stated(name, dtype):
    x = samples_of(name, dtype)
    with np.errstate(all="ignore"):
        exact, own_error = exactly(name, x)
    off = units_off(evaluate(name, x), exact)
    worst = np.argmax(np.where(np.isnan(off), np.inf, off))
    assert off[worst] <= BOUNDS[name] + own_error, f"{name}({x[worst]!r}) is {off[worst]} off"


@every_dtype
@pytest.mark.parametrize(
    "name, x, expected",
    [
        ("exp", [-np.inf, 0, np.inf, np.nan], [0, 1, np.inf, np.nan]),
        ("exp", [-1e30, -800, 800, 1e30], [0, 0, np.inf, np.inf]),
        ("expm1", [-np.inf, 0, np.inf, np.nan], [-1, 0, np.inf, np.nan]),
        ("log", [0.0, -0.0, 1, np.inf], [-np.inf, -np.inf, 0, np.inf]),
        ("log", [-1, -np.inf, -1e-30, np.nan], [np.nan] * 4),
        ("log1p", [0, np.nan], [0, np.nan]),
        ("tanh", [-np.inf, 0, np.inf, np.nan], [-1, 0, 1, np.nan]),
        ("erf", [-np.inf, 0, np.inf, np.nan], [-1, 0, 1, np.nan]),
    ],
)
def test_special_values(name, x, expected, dtype):
    np.testing.assert_array_equal(evaluate(name, np.array(x, dtype)), np.array(expected, dtype))


@every_dtype
def test_log_takes_a_subnormal_for_zero(dtype):
    x = np.array([np.finfo(dtype).smallest_subnormal, np.nextafter(np.finfo(dtype).tiny, dtype(0))])
    np.testing.assert_array_equal(evaluate("log", x), [-np.inf, -np.inf])


@every_dtype
@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_functions_are_odd_to_the_last_bit_and_bounded(name, dtype):
    x = samples_of(name, dtype)
    y = evaluate(name, x)
    np.testing.assert_array_equal(evaluate(name, -x), -y)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))
    assert np.abs(y).max() == 1


@every_dtype
@every_function
def test_bits_depend_neither_on_the_lane_nor_on_the_length(name, dtype):
    x = np.random.default_rng(1).random(67).astype(dtype)
    whole = evaluate(name, x)
    for start in range(17):
        np.testing.assert_array_equal(evaluate(name, x[start:].copy()), whole[start:])
    alone = np.concatenate([evaluate(name, x[i : i + 1].copy()) for i in range(x.size)])
    np.testing.assert_array_equal(alone, whole)


# ---------------------------------------------------------------- activations

ALPHA = {name: 0.3 for name, record in ACTIVATIONS.items() if record.alpha is not None}
ELEMENTWISE = [name for name, record in ACTIVATIONS.items() if not record.of_rows]
every_activation = pytest.mark.parametrize("name", ELEMENTWISE)


def layer_at(z, name, dtype):
    """A network of one layer whose pre-activations, for the input 1, are `z`."""
    dense = Dense(z.size, name, alpha=ALPHA.get(name))
    network = Network(inputs=1, layers=[dense], loss="absolute_error", dtype=dtype)
    network.weights[0][:] = z
    return network


def pre_activations(name, dtype):
    rng = np.random.default_rng(2)
    z = np.concatenate([rng.uniform(-6, 6, 500), rng.uniform(-60, 60, 300), [-1e-30, 1e-30]])
    # a formula may square or cube them beyond the greatest float, but must give a finite number
    far = [] if name == "exp" else [-1e30, -1e15, -1e5, 1e5, 1e15, 1e30]
    return np.concatenate([z, far]).astype(dtype)


def assert_within_roundings(value, exact, z):
    # formulas such as 1 - a^2 or z (1 + erf z) / 2 cancel at the size of 1 or of z:
    # a few units (BOUNDS) of that size is what they can give
    eps = np.finfo(value.dtype).eps
    scale = np.maximum(1, np.minimum(np.abs(z), 60)) + np.abs(exact)
    off = np.abs(value - exact) / (eps * scale)
    worst = np.argmax(np.where(np.isfinite(off), off, np.inf))
    assert off[worst] <= 16, f"{value[worst]} and not {exact[worst]} at z={z[worst]}"


@every_dtype
@every_activation
def test_an_activation_is_its_formula_over_the_whole_range(name, dtype):
    z = pre_activations(name, dtype)
    value = layer_at(z, name, dtype).forward([[1.0]])[0]
    exact = oracle.ACTIVATIONS[name][0](z.astype(float), ALPHA.get(name, 0))
    assert_within_roundings(value, exact, z)


@every_dtype
@every_activation
def test_a_derivative_is_its_formula_over_the_whole_range(name, dtype):
    z = pre_activations(name, dtype)
    # targets below every output: dL/da = 1, so that dL/db is the derivative itself
    targets = np.full((1, z.size), np.finfo(dtype).min)
    value = layer_at(z, name, dtype).backward([[1.0]], targets)[1].biases[0]
    exact = oracle.ACTIVATIONS[name][1](z.astype(float), ALPHA.get(name, 0))
    assert_within_roundings(value, exact, z)


@every_dtype
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_is_never_hidden(name, dtype):
    network = Network([1, 3], output_activation=name, dtype=dtype)
    network.weights[0][:] = [[0.5, np.nan, -0.5]]
    # the number in the middle has part in all outputs of a row
    expected = [True] * 3 if ACTIVATIONS[name].of_rows else [False, True, False]
    assert np.isnan(network.forward([[1.0]])[0]).tolist() == expected


@every_dtype
@pytest.mark.parametrize("columns", [2, 3, 7, 16, 33])
def test_softmax_of_any_width_and_size_of_logits(columns, dtype):
    logits = np.random.default_rng(columns).normal(size=columns).astype(dtype)
    for scale, shift in ((1, 0), (1, 1e4), (1e4, 0)):
        network = Network([1, columns], loss="cross_entropy", dtype=dtype)
        z = (logits * dtype(scale) + dtype(shift)).astype(dtype)
        network.weights[0][:] = z
        value = network.forward([[1.0]])[0]
        # exp of a sum of two floats: exact differences of z, then a few units of 1
        np.testing.assert_allclose(
            value, oracle.softmax(z.astype(float)), rtol=0, atol=16 * np.finfo(dtype).eps
        )
        assert abs(value.sum(dtype=float) - 1) <= columns * np.finfo(dtype).eps
