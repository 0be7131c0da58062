"""Layers that are not trained: they stay as they are, and all others train as by hand."""

import numpy as np
import pytest

from fastbp import LBFGS, SGD, Adam, AdamW, Dense, Dropout, LevenbergMarquardt, Network, fit_many
from fastbp.kernels import train_steps

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 5))
Y = np.tanh(X[:, :2])
FROZEN = [(0,), (1,), (2,), (0, 1), (0, 2), ()]


def net(frozen, optimizer=None, dtype="float64", drop=0.0, loss="squared_error"):
    layers = []
    for number, units in enumerate((7, 70, 2)):
        activation = "tanh" if number < 2 else None
        layers.append(Dense(units, activation, trainable=number not in frozen))
        if drop and number < 2:
            layers.append(Dropout(drop))
    return Network(
        inputs=5, layers=layers, optimizer=optimizer or Adam(1e-2), dtype=dtype, loss=loss, seed=0
    )


def parts(network):
    return [
        np.concatenate([w.ravel(), b]) for w, b in zip(network.weights, network.biases, strict=True)
    ]


OPTIMIZERS = [
    SGD(0.1, momentum=0.9, nesterov=True),
    Adam(1e-2),
    AdamW(1e-2, weight_decay=0.1, l1=1e-3, l2=1e-2),
    Adam(1e-2, clip_norm=0.05),
    Adam(1e-2, clip_sample_norm=0.05),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("frozen", FROZEN, ids=str)
def test_they_stay_and_the_others_train(frozen, optimizer):
    network = net(frozen, optimizer)
    before = [part.copy() for part in parts(network)]
    network.fit(X, Y, epochs=2, batch_size=32)
    network.step(X[:9], Y[:9])
    for number, (old, new) in enumerate(zip(before, parts(network), strict=True)):
        assert np.array_equal(old, new) == (number in frozen)
    assert [layer.trainable for layer in network.layers] == [n not in frozen for n in range(3)]


@pytest.mark.parametrize("frozen", FROZEN, ids=str)
def test_the_others_take_the_steps_of_gradients_that_are_zero_there(frozen):
    """Without penalties, that is how a layer stays: by a gradient of zeros and no moments."""
    network, twin = net(frozen), net(())
    for _ in range(5):
        loss, gradients = network.backward(X, Y)
        whole_loss, whole = twin.backward(X, Y)
        assert loss == whole_loss
        for number in range(3):
            if number in frozen:
                assert not gradients.weights[number].any() and not gradients.biases[number].any()
                whole.weights[number][:], whole.biases[number][:] = 0, 0
        np.testing.assert_array_equal(gradients.flat, whole.flat)
        network.update(gradients)
        twin.update(whole)
    assert network.parameters.tobytes() == twin.parameters.tobytes()


def test_norms_that_clip_are_those_of_what_is_trained():
    network = net((1,), SGD(0.1, clip_norm=1e-3))
    _, gradients = network.backward(X, Y)
    before = network.parameters.copy()
    network.update(gradients)
    scaled = gradients.flat * 1e-3 / np.linalg.norm(gradients.flat)
    np.testing.assert_allclose(network.parameters, before - 0.1 * scaled, atol=1e-15)
    network = net((1,), SGD(0.1, clip_sample_norm=1e-3))
    each = network.per_sample_gradients(X, Y)
    sizes = [6 * 7, 8 * 70, 71 * 2]  # weights and biases of each layer
    each[:, sizes[0] : sizes[0] + sizes[1]] = 0
    each *= np.minimum(1, 1e-3 / np.linalg.norm(each, axis=1))[:, None]
    before = network.parameters.copy()
    network.step(X, Y)
    np.testing.assert_allclose(network.parameters, before - 0.1 * each.mean(0), atol=1e-14)


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_from_elsewhere_take_the_steps_of_step(frozen, dtype):
    """Those of `vjp` and of samples are of all layers: what is not trained counts in no norm."""
    optimizer = SGD(0.1, momentum=0.9, clip_norm=0.05)
    twin, by_vjp, by_samples = (net(frozen, optimizer, dtype) for _ in range(3))
    for _ in range(3):
        twin.step(X, Y)
        gradients, _ = by_vjp.vjp(X, (by_vjp.forward(X) - Y) / len(X))
        given = gradients.flat.copy()
        by_vjp.update(gradients)
        np.testing.assert_array_equal(gradients.flat, given)  # the caller's stay as they are
        _, gradients = by_samples.backward(X, Y)
        gradients.flat[:] = by_samples.per_sample_gradients(X, Y).mean(0)
        by_samples.update(gradients)
    for other in (by_vjp, by_samples):
        np.testing.assert_allclose(
            other.parameters, twin.parameters, rtol=0, atol=1e-6 if dtype == "float32" else 1e-14
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_those_of_one_thread(dtype):
    found = set()
    for threads in (1, 2, 3):
        network = net((1,), Adam(1e-2, l2=0.1), dtype, drop=0.2)
        network.fit(X, Y, epochs=3, batch_size=64, n_threads=threads)
        found.add(network.parameters.tobytes())
    assert len(found) == 1


def test_it_may_change_between_two_trainings_and_is_saved(tmp_path):
    network = net(())
    network.fit(X, Y, epochs=1)
    network.set_trainable(0, False)
    network.set_trainable(1, False)
    before = [part.copy() for part in parts(network)]
    network.save(tmp_path / "net.safetensors")
    loaded = Network.load(tmp_path / "net.safetensors")
    for each in (network, loaded):
        each.fit(X, Y, epochs=2)
        kept = [np.array_equal(a, b) for a, b in zip(before, parts(each), strict=True)]
        assert kept == [True, True, False]
    assert network.parameters.tobytes() == loaded.parameters.tobytes()
    assert network.summary().count("not trained") == 2
    network.set_trainable(0, True)
    network.fit(X, Y, epochs=1)
    assert not np.array_equal(before[0], parts(network)[0])
    # a file of a network whose layers all train is what it was before there were others
    net(()).save(tmp_path / "all.safetensors")
    assert b"trainable" not in (tmp_path / "all.safetensors").read_bytes()


def test_compiled_code_packs_and_sparse_rows_leave_them_alone():
    network = net((0,))
    before = parts(network)[0].copy()
    train_steps(network.train_state(32), X, Y, np.arange(300))
    assert np.array_equal(before, parts(network)[0])
    jobs = [net((0,)), net(())]
    found = fit_many(jobs, X, Y, epochs=3).wait()
    assert not any(each.error for each in found)
    alone = net((0,))
    alone.fit(X, Y, epochs=3)
    assert jobs[0].parameters.tobytes() == alone.parameters.tobytes()
    scipy_sparse = pytest.importorskip("scipy.sparse")
    rows = scipy_sparse.csr_array(X * (X > 0.3))
    network = net((0,))
    network.fit(rows, Y, epochs=2)
    assert np.array_equal(before, parts(network)[0])
    _, gradients = network.backward(rows, Y)
    assert not gradients.weights[0].any() and gradients.weights[1].any()


def test_derivatives_are_of_all_layers_whatever_is_trained():
    network, other = net(()), net((0, 1))
    gradients = network.per_sample_gradients(X, Y)
    for each in (network, other):
        each.set_trainable(0, False)
        np.testing.assert_array_equal(each.per_sample_gradients(X, Y), gradients)
        norms = each.per_sample_norms(X, Y)
        np.testing.assert_allclose(norms, np.linalg.norm(gradients, axis=1), rtol=1e-12)


def test_what_is_wrong_is_named():
    network = net(())
    with pytest.raises(ValueError, match="layer=3"):
        network.set_trainable(3, False)
    with pytest.raises(TypeError, match="trainable='no'"):
        network.set_trainable(0, "no")
    with pytest.raises(AttributeError, match=r"trainable: a layer .* set_trainable\(layer, x\)"):
        network.layers[0].trainable = False
    with pytest.raises(AttributeError, match=r"n_out: a layer .*; make another network"):
        network.layers[0].n_out = 5
    with pytest.raises(TypeError, match="trainable=1"):
        Dense(3, trainable=1)
    for optimizer in (LevenbergMarquardt(), LBFGS()):
        with pytest.raises(ValueError, match="it trains all layers"):
            net((0,), optimizer).fit(X, Y, epochs=1)
