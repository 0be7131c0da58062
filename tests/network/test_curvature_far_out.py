"""Second derivatives of activations at numbers whose squares overflow."""

import numpy as np
import pytest

from fastbp import ACTIVATIONS, Network

LARGE = {"float32": (1e3, 1e10, 1e19, 1e20, 1e30), "float64": (1e3, 1e20, 1e155, 1e200)}
NAMES = [name for name, record in ACTIVATIONS.items() if not record.of_rows and name != "exp"]


@pytest.mark.parametrize("dtype", LARGE)
@pytest.mark.parametrize("name", NAMES)
def test_products_with_the_hessian_are_finite_and_flat_far_out(name, dtype):
    """Of (a(z + b) - a(z))^2 / 2 by b: a'^2 + (a - y) a'', and far out a'' is about 0."""
    network = Network([1, 1], output_activation=name, dtype=dtype, seed=0)
    network.weights[0][:], network.biases[0][:] = 1, 0
    for size in LARGE[dtype]:
        for z in (size, -size):
            X = np.array([[z]], dtype)
            y = network.forward(X) + 0.5
            slope = network.jacobian(X)[0, 0, -1]
            found = network.hvp(X, y, np.array([0, 1], dtype))
            np.testing.assert_allclose(found[-1], slope * slope, rtol=1e-5, atol=1e-8)
