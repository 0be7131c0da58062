"""Networks with all features, for the tests of exports, and their expected outputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import oracle
from fastbp import ACTIVATIONS, Dense, Dropout, Network

N_IN = 5
DTYPES = ("float32", "float64")
HIDDEN = [name for name, record in ACTIVATIONS.items() if not record.of_rows]
# a loss that an output in this range may have
LOSS = {
    "real": "squared_error",
    "positive": "poisson",
    "unit": "binary_cross_entropy",
    "simplex": "cross_entropy",
}
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def rows(count=40, n_in=N_IN):
    """Rows of all sizes, so that activations are met at both of their ends."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(count, n_in)) * np.linspace(0.01, 3, count)[:, None]


def filled(net, scale=1.0):
    """Give a network weights and biases that are not zero."""
    rng = np.random.default_rng(6)
    for weights, biases in zip(net.weights, net.biases, strict=True):
        weights[:] = rng.normal(size=weights.shape) * scale / np.sqrt(len(weights))
        biases[:] = rng.normal(size=biases.shape) / 4
    return net


def net_of(activation, dtype, n_out=3):
    """A net with an activation in its hidden layers, or at its end if it can only be there.

    With dropout of inputs and between layers, a layer without a bias, and alphas other than the
    default where there are any.
    """
    record = ACTIVATIONS[activation]
    hidden = activation if activation in HIDDEN else "tanh"
    alphas = (0.3, 0.2) if record.alpha is not None else (None, None)
    layers = [
        Dropout(0.25),
        Dense(7, hidden, alphas[0]),
        Dropout(0.5),
        Dense(6, hidden, alphas[1], bias=False),
        Dense(n_out, activation, alphas[0]),
    ]
    loss = LOSS[record.outputs]
    scale = 0.3 if activation == "exp" else 1  # of exponentials of exponentials, not too large
    return filled(Network(inputs=N_IN, layers=layers, loss=loss, dtype=dtype), scale)


def expected(net, X):
    """The outputs by the oracle, which go to float64 from the weights on."""
    specs = net.layers
    mlp = oracle.MLP.of(
        net, [s.activation for s in specs], net.loss, alphas=[s.alpha for s in specs]
    )
    return np.array([mlp.forward(x)[1][-1] for x in np.asarray(X, net.dtype).astype(float)])


def check(found, net, X, tolerance=None):
    """Hold outputs against those of the network itself and of the oracle.

    A number may be off by the tolerance, relative to the largest of them.
    """
    tolerance = tolerance or TOLERANCE[net.dtype.name]
    X = np.asarray(X, net.dtype)
    for right in (net.forward(X), expected(net, X)):
        assert found.shape == right.shape
        size = np.abs(right).max()
        assert (np.abs(found - right) <= tolerance * size).all(), np.abs(found - right).max()


def check_unwritable(export, tmp_path):
    """An export that cannot be written raises what the system says, and leaves nothing behind."""
    net = net_of("relu", "float32")
    with pytest.raises(FileNotFoundError):
        export(net, tmp_path / "no" / "such" / "folder")
    with pytest.raises(OSError, match="is not a regular file"):
        export(net, tmp_path)
    assert list(tmp_path.iterdir()) == []


def check_bad_networks(export, name):
    """What is no network is refused by name, as are weights that are not finite."""
    for bad in (None, "model.fastbp", {"weights": 1}, Network):
        with pytest.raises(TypeError, match=rf"fastbp\.{name}: .*expected a fastbp\.Network"):
            export(bad)
    net = net_of("relu", "float32")
    net.weights[1][2, 3] = np.nan
    with pytest.raises(ValueError, match=rf"fastbp\.{name}: the weights .* hold NaN or infinity"):
        export(net)


def written(path):
    """The only file in a folder: nothing else is left of the writing."""
    (found,) = Path(path).parent.iterdir()
    assert found == path
    return found


def of_one_share():
    """Return a net with a softmax of one output, as an old model file may hold it."""
    model = Network([N_IN, 1]).to_model()
    specs = (replace(model.specs[0], activation="softmax"),)
    return Network.from_model(replace(model, specs=specs, loss="cross_entropy"))
