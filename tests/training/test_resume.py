"""A run that was saved and goes on elsewhere has the bits of the run that never stopped."""

import hashlib

import numpy as np
import pytest

from fastbp import (
    SGD,
    Adam,
    AdamW,
    Cosine,
    Dense,
    Dropout,
    Exponential,
    Network,
    OneCycle,
    RMSprop,
    Step,
    WarmUp,
)

ROWS, BATCH = 103, 16  # the last batch is ragged
OPTIMIZERS = {
    "adam, cosine": lambda: Adam(1e-2, schedule=Cosine(20)),
    "adamw, one cycle, clipped": lambda: AdamW(1e-2, schedule=OneCycle(20), clip_norm=0.5),
    "nesterov, warm-up": lambda: SGD(
        1e-2, momentum=0.9, nesterov=True, schedule=WarmUp(5, Exponential(0.9)), l1=1e-4
    ),
    "rmsprop, steps": lambda: RMSprop(1e-2, schedule=Step(2, 0.5)),
}


def data(n_out=3):
    rng = np.random.default_rng(11)
    X = rng.normal(size=(ROWS, 9))
    return X, rng.integers(0, n_out, ROWS), rng.uniform(0.1, 2, ROWS)


def network(dtype="float32", seed=5, optimizer=None):
    layers = [Dropout(0.1), Dense(33, "relu"), Dropout(0.3), Dense(7, "gelu"), Dense(3)]
    return Network(
        inputs=9,
        layers=layers,
        loss="cross_entropy",
        dtype=dtype,
        seed=seed,
        optimizer=optimizer or Adam(1e-2, schedule=Cosine(20)),
    )


def train(net, epochs, **options):
    X, y, weight = data()
    return net.fit(X, y, epochs=epochs, batch_size=BATCH, sample_weight=weight, **options)


def digest(net):
    return hashlib.sha256(net.parameters.tobytes()).hexdigest()


_GO_ON = """
import hashlib
import numpy as np
from fastbp import Network
net = Network.load({model!r})
data = np.load({data!r})
net.fit(data["X"], data["y"], epochs=10, batch_size={batch}, sample_weight=data["weight"])
print(hashlib.sha256(net.parameters.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_new_process_goes_on_with_the_same_bits(run_python, tmp_path, dtype):
    whole, first = network(dtype), network(dtype)
    train(whole, 20)
    train(first, 10)
    model, arrays = str(tmp_path / "half.safetensors"), str(tmp_path / "data.npz")
    first.save(model)
    X, y, weight = data()
    np.savez(arrays, X=X, y=y, weight=weight)
    assert digest(first) != digest(whole)
    resumed = run_python(_GO_ON.format(model=model, data=arrays, batch=BATCH)).strip()
    assert resumed == digest(whole)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_optimizer_and_schedule_resumes(tmp_path, name, shuffle):
    whole, first = (network(optimizer=OPTIMIZERS[name]()) for _ in range(2))
    train(whole, 8, shuffle=shuffle)
    train(first, 3, shuffle=shuffle)
    first.save(tmp_path / "m.safetensors")
    second = Network.load(tmp_path / "m.safetensors")
    train(second, 5, shuffle=shuffle)
    assert digest(second) == digest(whole)


def test_a_second_fit_continues_the_epochs():
    whole, parts = network(), network()
    long = train(whole, 9)
    rates = [rate for n in (4, 2, 3) for rate in train(parts, n)["learning_rate"]]
    assert digest(parts) == digest(whole)
    # the schedule went on too: a cosine never repeats a rate on its way down
    assert rates == long["learning_rate"]
    assert len(set(rates)) == len(rates)


def test_what_happens_between_two_fits_leaves_no_trace():
    whole, parts = network(), network()
    train(whole, 6)
    train(parts, 3)
    X, y, weight = data()
    parts.forward(X[:5])
    parts.evaluate(X, y)
    parts.backward(X[:50], y[:50], weight[:50])
    train(parts, 3, validation_data=(X[:20], y[:20]))
    assert digest(parts) == digest(whole)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    nets = [network(seed=seed) for seed in (5, 5, 6)]
    assert digest(nets[0]) == digest(nets[1]) != digest(nets[2])
    for net in nets:
        train(net, 3)
    assert digest(nets[0]) == digest(nets[1]) != digest(nets[2])


@pytest.mark.parametrize("purpose", ["shuffle", "dropout"])
def test_the_seed_reaches_shuffles_and_dropout(purpose):
    # from the same weights, the seed shows only in the purpose that is left on
    nets = []
    for seed in (1, 2):
        layers = [Dense(12, "tanh"), *([Dropout(0.4)] if purpose == "dropout" else []), Dense(3)]
        net = Network(inputs=9, layers=layers, loss="cross_entropy", seed=seed)
        net.parameters[:] = np.linspace(-0.5, 0.5, net.parameters.size)
        train(net, 2, shuffle=purpose == "shuffle")
        nets.append(net)
    assert digest(nets[0]) != digest(nets[1])


def test_every_epoch_has_an_order_and_a_dropout_of_its_own():
    # with a rate of almost 0 the weights stay, so that the loss of an epoch varies only
    # with what is dropped
    net = network(dtype="float64", optimizer=SGD(1e-300))
    losses = train(net, 4)["loss"]
    assert len(set(losses)) == len(losses)


def test_loading_changes_no_prediction(tmp_path):
    net = network()
    train(net, 2)
    net.save(tmp_path / "m.safetensors")
    X, y, _ = data()
    loaded = Network.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.forward(X), net.forward(X))
    assert loaded.evaluate(X, y) == net.evaluate(X, y)
