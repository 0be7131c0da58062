"""`Gradients` that are copied or pickled are still one array with views of it."""

import copy
import pickle

import numpy as np
import pytest

from fastbp import SGD, Dense, Network

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 4)), RNG.normal(size=(30, 2))


def net():
    layers = [Dense(5, "tanh", bias=False), Dense(3, "tanh"), Dense(2)]
    return Network(inputs=4, layers=layers, optimizer=SGD(0.1), dtype="float64", seed=0)


@pytest.mark.parametrize(
    "travel", [copy.copy, copy.deepcopy, lambda grads: pickle.loads(pickle.dumps(grads))]
)
def test_layers_are_views_of_flat_after_a_journey(travel):
    network, twin = net(), net()
    grads = network.backward(X, Y)[1]
    there = travel(grads)
    for one, other in ((grads.weights, there.weights), (grads.biases, there.biases)):
        for mine, theirs in zip(one, other, strict=True):
            assert np.array_equal(mine, theirs) and mine.shape == theirs.shape
    there.weights[0][:] = 0
    there.biases[1][:] *= 2
    network.update(there)
    by_hand = twin.backward(X, Y)[1]
    by_hand.weights[0][:] = 0
    by_hand.biases[1][:] *= 2
    twin.update(by_hand)
    assert network.parameters.tobytes() == twin.parameters.tobytes()
    assert np.array_equal(network.weights[0], net().weights[0])
    there.weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="they hold NaN or infinity"):
        network.update(there)
