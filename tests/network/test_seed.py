"""The seed of a network: drawn anew unless it is given, and told; and optimizers do not change."""

import copy
import pickle
import secrets

import numpy as np
import pytest

import fastbp.network
from checkpoint_runs import EPOCHS, facts, network, stopped, train
from fastbp import Adam, Dense, Dropout, Network
from fastbp import train as train_a_table


@pytest.fixture(autouse=True)
def draws(monkeypatch):
    """Let networks draw their seeds, as they do outside the tests."""
    monkeypatch.setattr(fastbp.network, "randbits", secrets.randbits)


X = np.random.default_rng(0).normal(size=(30, 4))
Y = X[:, 0]


def test_each_network_has_a_seed_of_its_own():
    nets = [Network([4, 8, 1]) for _ in range(20)]
    nets += [Network(inputs=4, layers=[Dense(8), Dropout(0.1), Dense(1)]) for _ in range(20)]
    assert len({net.seed for net in nets}) == 40
    assert len({net.parameters.tobytes() for net in nets}) == 40
    assert all(0 <= net.seed < 2**32 for net in nets)


def test_the_seed_that_was_drawn_repeats_the_training():
    layers = [Dense(8), Dropout(0.3), Dense(1)]
    first = Network(inputs=4, layers=layers)
    first.fit(X, Y, epochs=3, batch_size=7)
    again = Network(inputs=4, layers=layers, seed=first.seed)
    again.fit(X, Y, epochs=3, batch_size=7)
    assert np.array_equal(first.parameters, again.parameters)
    other = Network(inputs=4, layers=layers)
    other.fit(X, Y, epochs=3, batch_size=7)
    assert not np.array_equal(first.parameters, other.parameters)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_and_files_keep_the_seed(tmp_path, copied):
    net = Network([4, 8, 1])
    net.save(tmp_path / "net.safetensors")
    loaded = Network.load(tmp_path / "net.safetensors")
    nets = [net, loaded, copied(net)]
    assert {one.seed for one in nets} == {net.seed}
    for one in nets:
        one.fit(X, Y, epochs=2, batch_size=7)
    assert len({one.parameters.tobytes() for one in nets}) == 1


@pytest.mark.parametrize("data", ["memory", "source", "iterator"])
def test_a_training_is_resumed_by_a_program_that_gives_no_seed(monkeypatch, tmp_path, data):
    def drawn():
        return network(seed=None)

    net = stopped(monkeypatch, 3, drawn, data=data, checkpoints=tmp_path)
    assert net.history.stopped == "terminated"
    whole = network(seed=net.seed)
    train(whole, data)
    resumed = drawn()
    assert resumed.seed != net.seed
    train(resumed, data, checkpoints=tmp_path, resume=True)
    assert len(resumed.history) == EPOCHS
    assert resumed.seed == net.seed
    assert facts(resumed) == facts(whole)


def test_a_seed_that_is_given_must_be_that_of_the_checkpoint(monkeypatch, tmp_path):
    stopped(monkeypatch, 3, lambda: network(seed=5), checkpoints=tmp_path)
    other = network(seed=6)
    before = other.parameters.copy()
    with pytest.raises(ValueError, match="seed of the checkpoint is 5, but the network has 6"):
        train(other, checkpoints=tmp_path, resume=True)
    assert other.seed == 6 and np.array_equal(other.parameters, before)
    drawn = network(seed=None, optimizer="nesterov")
    seed = drawn.seed
    with pytest.raises(ValueError, match=r"optimizer\.name of the checkpoint"):
        train(drawn, checkpoints=tmp_path, resume=True)
    assert drawn.seed == seed, "a training that is refused changes nothing"


def test_the_job_of_a_table_keeps_its_seed_0(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "\n".join(f"{n % 7},{n % 7 * 2.5}" for n in range(60)))
    options = {"preset": "fast", "hidden": (4,), "epochs": 2}
    nets = [train_a_table(path, "y", **options).network for _ in range(2)]
    assert nets[0].seed == nets[1].seed == 0
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


# ---------------------------------------------------------------- optimizers do not change


def test_an_optimizer_does_not_change_once_it_is_made():
    net = Network([4, 8, 1], optimizer=Adam(0.1, clip_norm=1.0))
    names = ("learning_rate", "clip_norm", "schedule", "hyper_parameters", "record", "anything")
    for name in names:
        with pytest.raises(AttributeError, match=f"{name}=3: an optimizer does not change once"):
            setattr(net.optimizer, name, 3)
    with pytest.raises(TypeError, match="does not support item assignment"):
        net.optimizer.hyper_parameters["beta1"] = 0.0
    assert net.optimizer.hyper_parameters["learning_rate"] == 0.1
    for copied in (copy.deepcopy(net.optimizer), pickle.loads(pickle.dumps(net.optimizer))):
        assert repr(copied) == repr(net.optimizer)
        assert copied.hyper_parameters == net.optimizer.hyper_parameters
