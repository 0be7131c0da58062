"""Tangents, and products with the Hessian and the Gauss-Newton matrix, by central differences."""

import json

import numpy as np
import pytest

import oracle
from fastbp import LOSSES, Network
from fastbp.derivatives.workspace import rows_of_block
from fastbp.kernels.formulas.activations import ACTIVATIONS
from fastbp.kernels.formulas.curvatures import ACTIVATION_CURVATURES, LOSS_CURVATURES
from smooth_nets import PAIRS, SHAPES, STEP, assert_near_differences, build, logits

every_pair = pytest.mark.parametrize("hidden, output, loss", PAIRS)
every_shape = pytest.mark.parametrize("name", SHAPES)


def along(network, v, function):
    """Return the derivative of function() along the direction v of the parameters."""
    p, old, values = network.parameters, network.parameters.copy(), []
    for step in (STEP, -STEP):
        p[:] = old + step * v
        values.append(function())
    p[:] = old
    return (values[0] - values[1]) / (2 * STEP)


def hessians_by_outputs(network, twin, X, Y):
    """Return of what, and the second derivatives of each row's loss by them (n, n_out, n_out).

    Of the logits, where the last activation is the loss's partner: the slope is a - y there.
    """
    record, output = LOSSES[network.loss], network.layers[-1].activation
    if output == record.partner and record.from_logits:
        slopes = [oracle.ACTIVATIONS[output][1](z, 0) for z in logits(network, X)]
        return "logits", np.array([s if s.ndim == 2 else np.diag(s) for s in slopes])
    slope = oracle.LOSSES[network.loss][1]
    pairs = zip(network.forward(X), Y, strict=True)
    ends = [[slope(a + h, y, twin.parameter) for h in (STEP, -STEP)] for a, y in pairs]
    return "outputs", np.array([np.diag(up - down) / (2 * STEP) for up, down in ends])


def test_every_formula_has_a_second_derivative():
    assert set(ACTIVATION_CURVATURES) == set(ACTIVATIONS)
    assert set(LOSS_CURVATURES) == set(LOSSES)


@every_pair
def test_products_of_every_pair(hidden, output, loss):
    network, _, X, Y, rng = build([3, 9, 5, 4], [hidden, "tanh", output], loss)
    v, weight = rng.normal(size=network.parameters.size), rng.random(len(X))
    for w in (None, weight):
        slopes = along(network, v, lambda w=w: network.backward(X, Y, w)[1].flat)
        assert_near_differences(network.hvp(X, Y, v, w), slopes)
    T = rng.normal(size=X.shape)
    by_inputs = (network.forward(X + STEP * T) - network.forward(X - STEP * T)) / (2 * STEP)
    assert_near_differences(network.jvp(X, T), by_inputs)
    by_parameters = along(network, v, lambda: network.forward(X))
    assert_near_differences(network.jvp(X, parameters=v), by_parameters)
    assert_near_differences(network.jvp(X, T, v), by_inputs + by_parameters)
    of_logits = along(network, v, lambda: logits(network, X))
    assert_near_differences(network.jvp(X, parameters=v, of="logits"), of_logits)


@every_pair
def test_gauss_newton_of_every_pair(hidden, output, loss):
    network, twin, X, Y, rng = build([3, 9, 4], [hidden, output], loss)
    v, weight = rng.normal(size=network.parameters.size), rng.random(len(X))
    of, hessians = hessians_by_outputs(network, twin, X, Y)
    J = network.jacobian(X, of, "parameters")
    for w in (None, weight):
        share = np.full(len(X), 1 / len(X)) if w is None else w / w.sum()
        expected = np.einsum("n,nkp,nkl,nlq,q->p", share, J, hessians, J, v, optimize=True)
        found = network.gauss_newton_product(X, Y, v, w)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * scale)


@every_shape
@pytest.mark.parametrize("of", ["outputs", "logits"])
def test_jvp_and_vjp_are_transposes(name, of):
    sizes, names, bias = SHAPES[name]
    network, _, X, _, rng = build(sizes, names, "squared_error", bias=bias, rows=13)
    T, v = rng.normal(size=X.shape), rng.normal(size=network.parameters.size)
    cotangent = rng.normal(size=(13, sizes[-1]))
    gradients, dX = network.vjp(X, cotangent, of)
    forward = (cotangent * network.jvp(X, T, v, of)).sum()
    assert forward == pytest.approx((dX * T).sum() + gradients.flat @ v, rel=1e-11)


@every_shape
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_products_are_symmetric_and_those_of_differences(name, loss):
    sizes, names, bias = SHAPES[name]
    names = [*names[:-1], "softplus" if loss == "poisson" else names[-1]]
    network, _, X, Y, rng = build(sizes, names, loss, bias=bias, rows=13)
    u, v = rng.normal(size=(2, network.parameters.size))
    products = {}
    for product in (network.hvp, network.gauss_newton_product):
        products[product] = product(X, Y, u), product(X, Y, v)
        assert v @ products[product][0] == pytest.approx(u @ products[product][1], rel=1e-10)
    slopes = along(network, v, lambda: network.backward(X, Y)[1].flat)
    assert_near_differences(products[network.hvp][1], slopes)


def test_blocks_of_rows_add_up():
    network = Network([5, 12, 3], "tanh", "cross_entropy", dtype="float64", seed=2)
    rows, rng = 2 * rows_of_block(network.engine.plan) + 77, np.random.default_rng(1)
    X, y, T = rng.normal(size=(rows, 5)), rng.integers(0, 3, rows), rng.normal(size=(rows, 5))
    v = rng.normal(size=network.parameters.size)
    half = rows // 2
    for product in (network.hvp, network.gauss_newton_product):
        parts = half * product(X[:half], y[:half], v) + (rows - half) * product(
            X[half:], y[half:], v
        )
        np.testing.assert_allclose(product(X, y, v), parts / rows, rtol=1e-11, atol=1e-15)
    assert np.array_equal(network.jvp(X, T, v)[half:], network.jvp(X[half:], T[half:], v))


THREADS = """
import hashlib, json
import numba
import numpy as np
from fastbp import Dense, Network

def digest(*arrays):
    return [hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for a in arrays]

def results(dtype, sizes, rows, threads):
    net = Network(sizes, "gelu", "cross_entropy", dtype=dtype, seed=3)
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(rows, sizes[0])), rng.integers(0, sizes[-1], rows)
    weight = rng.uniform(0.1, 2, rows)
    t, c = rng.normal(size=X.shape), rng.normal(size=(rows, sizes[-1]))
    v, n = rng.normal(size=net.parameters.size), {"n_threads": threads}
    gradients, dX = net.vjp(X, c, **n)
    return digest(
        gradients.flat, dX, net.jacobian(X, **n), net.jacobian(X[:50], wrt="parameters", **n),
        net.input_gradient(X, y, weight, **n), net.per_sample_gradients(X, y, **n),
        net.per_sample_norms(X, y, **n),
        net.jvp(X, t, v, **n), net.hvp(X, y, v, weight, **n),
        net.gauss_newton_product(X, y, v, weight, **n)
    )

numba.get_num_threads()
found = [
    [results(dtype, sizes, rows, n) for n in (1, 2, 3)]
    for dtype in ("float32", "float64") for sizes in ([5, 19, 40, 3], [33, 7, 4])
    for rows in (37, 1500)
]
print(json.dumps({"layer": numba.threading_layer(), "found": found}))
"""


@pytest.mark.slow
def test_all_derivatives_have_the_same_bits_on_any_number_of_threads(run_python):
    done = json.loads(run_python(THREADS, NUMBA_NUM_THREADS="3"))
    assert done["layer"] in ("omp", "tbb")
    assert len(done["found"]) == 8
    for one, two, three in done["found"]:
        assert one == two == three


def test_bad_arguments_are_refused_before_any_work():
    network = Network([3, 4, 2])
    X, Y, v = np.ones((5, 3)), np.ones((5, 2)), np.ones(26)
    for call, error, words in (
        (lambda: network.jvp(X), TypeError, "give tangents"),
        (lambda: network.jvp(X, X[:4]), ValueError, r"tangents has shape \(4, 3\) but X has"),
        (lambda: network.jvp(X, X[:, :2]), ValueError, r"tangents has shape \(5, 2\)"),
        (lambda: network.jvp(X, parameters=v[:25]), ValueError, "parameters has 25 numbers"),
        (lambda: network.jvp(X, X, of="loss"), ValueError, "of='loss'"),
        (lambda: network.hvp(X, Y, v[:25]), ValueError, "v has 25 numbers but the network 26"),
        (lambda: network.hvp(X, Y, v[:, None]), ValueError, "expected 1 dimensions"),
        (lambda: network.hvp(X, Y, v * np.nan), ValueError, r"v\[0\] is nan"),
        (lambda: network.hvp(X, Y[:4], v), ValueError, "y has 4 rows but X has 5"),
        (lambda: network.hvp(X, Y, v, 0 * Y[:, 0]), ValueError, "not all 0"),
        (lambda: network.gauss_newton_product(X, Y, "v"), TypeError, "expected real numbers"),
    ):
        with pytest.raises(error, match=words):
            call()
