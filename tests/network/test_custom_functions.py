"""Functions of NumPy and ``math`` in formulas of one's own, by dual numbers."""

import math

import numpy as np
import pytest

from fastbp import Network, custom_activation, custom_loss

Z = np.linspace(-7.3, 7.1, 41)
FUNCTIONS = [
    lambda z: np.log10(z * z + 1),
    lambda z: math.log10(z * z + 1),
    lambda z: np.log2(z * z + 1) + math.log2(2.0),
    lambda z: np.hypot(z, 1.0) + math.hypot(2.0, z / 3),
    lambda z: (
        z * np.floor(z / 3 + 0.03) + np.ceil(z + 0.03) + np.trunc(z + 0.03) + np.rint(z + 0.03)
    ),
    lambda z: np.arcsinh(z) + math.asinh(z),
    lambda z: np.power(z * z + 1, 1.5) + math.pow(z * z + 1, 0.3),
    lambda z: np.power(2.0, z / 9) + np.power(z, 3),
    lambda z: np.exp2(z / 9),
    lambda z: np.cbrt(z * z + 1),
    lambda z: np.arctan2(z, 2.0) + math.atan2(1.0, z * z + 1),
    lambda z: np.arcsin(z / 30) + np.arccos(z / 25) + np.arctanh(z / 30),
    lambda z: np.arccosh(z * z + 2) + np.tan(z / 20) + math.erfc(z / 5),
    lambda z: np.add(np.multiply(z, 2.0), np.divide(1.0, z * z + 1)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_have_their_values_and_derivatives(function, dtype):
    name = custom_activation("own", function)
    network = Network([1, 1], name, output_activation=name, dtype=dtype, seed=0)
    network.weights[0][:], network.biases[0][:] = 1, 0
    points = Z.astype(dtype)
    values = np.array([function(float(z)) for z in points])
    off = {"float32": 2e-6, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(network.forward(points[:, None])[:, 0], values, off, off)
    slopes = [(function(float(z) + 1e-6) - function(float(z) - 1e-6)) / 2e-6 for z in points]
    found = network.jacobian(points[:, None], wrt="inputs")[:, 0, 0]
    np.testing.assert_allclose(found, slopes, rtol=1e-5, atol=1e-6)


def test_losses_call_them_too():
    loss = custom_loss("rounded", lambda a, y: np.hypot(a - y, 1.0) + np.log2(1 + (a - y) ** 2))
    network = Network([1, 1], loss=loss, dtype="float64", seed=0)
    assert network.fit(Z[:, None], Z, epochs=3).epochs[-1]["loss"] > 0


def test_what_is_not_known_is_named():
    with pytest.raises(ValueError, match=r"uses np\.float32: expected NumPy's functions of single"):
        custom_activation("own", lambda z: np.float32(0.1) * z)
    with pytest.raises(ValueError, match=r"derivative of lambda is not known: .*deg2rad.*give one"):
        custom_activation("own", lambda z: np.deg2rad(z))
    name = custom_activation("own", lambda z: np.deg2rad(z), lambda z: math.pi / 180)
    assert Network([1, 2, 1], name).layers[0].activation == "own"
