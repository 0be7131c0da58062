"""The model file: everything comes back, and nothing else is ever read for a model."""

import copy
import json
import os
import pickle
import sys

import numpy as np
import pytest
from safetensors import safe_open

from fastbp import (
    INITIALIZERS,
    LOSSES,
    OPTIMIZERS,
    Adam,
    Constant,
    Cosine,
    Dense,
    Dropout,
    Exponential,
    Network,
    OneCycle,
    Step,
    WarmUp,
)
from fastbp.components.optimizers import Optimizer

SCHEDULES = [
    Constant(),
    Step(3, 0.5),
    Exponential(0.7),
    Cosine(7, end=0.1),
    OneCycle(9, warm=0.2, start=0.1, end=0.01),
    WarmUp(2, WarmUp(3, Cosine(5))),
]
rng = np.random.default_rng(8)
X = rng.normal(size=(30, 4))
LABELS, COUNTS = rng.integers(0, 3, 30), rng.integers(0, 2, (30, 3))


def trained(loss="cross_entropy", epochs=2, **options):
    net = Network([4, 5, 3], "tanh", loss, **options)
    net.fit(X, LABELS if loss == "cross_entropy" else COUNTS, epochs=epochs, batch_size=8)
    return net


def assert_same(one, two):
    """Assert that two networks are equal now and in what they do next."""
    assert repr(one) == repr(two)
    assert one.summary() == two.summary()
    assert one.dtype == two.dtype
    np.testing.assert_array_equal(one.forward(X), two.forward(X))
    y = LABELS if one.loss == "cross_entropy" else COUNTS
    for net in (one, two):
        net.fit(X, y, epochs=2, batch_size=8)
    assert one.history["learning_rate"] == two.history["learning_rate"]
    np.testing.assert_array_equal(one.parameters, two.parameters)


@pytest.fixture
def again(tmp_path):
    """Return a function that saves a network and loads it."""

    def save_and_load(net):
        net.save(tmp_path / "m.safetensors")
        return Network.load(tmp_path / "m.safetensors")

    return save_and_load


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_comes_back(again, name, dtype):
    # no number is a default, to see that each was read from the file
    hyper = {key: 0.7 * value for key, value in OPTIMIZERS[name].defaults.items()}
    hyper.update(l1=1e-3, l2=2e-3, weight_decay=0.03, clip_norm=0.9)
    net = trained(optimizer=Optimizer(name, **hyper), dtype=dtype, seed=9)
    assert_same(again(net), net)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_every_schedule_comes_back(again, schedule):
    net = trained(optimizer=Adam(0.01, schedule=schedule))
    loaded = again(net)
    assert loaded.optimizer.schedule == schedule
    assert_same(loaded, net)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_comes_back(again, name):
    parameter = None if LOSSES[name].parameter is None else 0.3
    net = trained(name, loss_parameter=parameter)
    assert_same(again(net), net)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_every_option_of_a_layer_comes_back(again, initializer):
    layers = [
        Dropout(0.1),
        Dense(5, "leaky_relu", alpha=0.3, initializer=initializer, bias=False),
        Dropout(0.2),
        Dropout(0.5),
        Dense(4, "gelu_tanh"),
        Dense(3, "hard_tanh", bias=False),
    ]
    net = Network(inputs=4, layers=layers, seed=2**63 - 1)
    net.fit(X, COUNTS, epochs=2, batch_size=8)
    assert_same(again(net), net)


def test_numpy_numbers_can_be_saved(again):
    layers = [Dense(np.int64(5), "elu", alpha=np.float32(0.5)), Dropout(np.float32(0.25)), Dense(3)]
    optimizer = Adam(np.float64(0.01), schedule=Cosine(np.float32(8), end=np.float64(0.5)))
    net = Network(inputs=np.int64(4), layers=layers, optimizer=optimizer, seed=np.int64(3))
    net.fit(X, COUNTS, epochs=2, batch_size=8)
    assert_same(again(net), net)


def test_an_untrained_network_comes_back(again):
    net = Network([4, 5, 3])
    assert_same(again(net), net)


def test_pickle_and_copy_give_the_network_back():
    net = trained()
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        other.fit(X, LABELS, epochs=1)  # a copy shares no buffer
    assert_same(pickle.loads(pickle.dumps(net)), net)


class Mine(Network):
    """A network of the caller's own class, with something of its own."""

    label = ""


class Halved:
    """A schedule of the caller."""

    def factors(self, t):
        return np.full(len(t), 0.5)


def test_copies_keep_the_class_its_attributes_and_the_callers_schedule():
    net = Mine([4, 3], optimizer=Adam(1e-2, schedule=Halved()))
    net.label = "mine"
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), copy.copy(net)):
        assert type(other) is Mine and other.label == "mine"
        other.fit(np.ones((5, 4)), np.ones((5, 3)), epochs=1)
        assert (other.weights[0] != net.weights[0]).any()  # it shares no buffer


def test_saving_through_a_link_writes_what_it_points_to(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    net = trained()
    net.save(link)
    assert link.is_symlink()
    assert_same(Network.load(target), net)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_folder_is_not_replaced_by_a_model(tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(OSError, match="not a regular file"):
            trained().save(path)
    assert pipe.is_fifo() and list(folder.iterdir()) == []


def test_a_schedule_of_the_caller_cannot_be_saved_and_says_so(tmp_path):
    class Mine:
        def factors(self, t):
            return 1 / (1 + t)

    net = trained(optimizer=Adam(0.01, schedule=Mine()))
    with pytest.raises(ValueError, match=r"schedule=.*Mine"):
        net.save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the format


def test_safetensors_and_numpy_alone_can_read_it(tmp_path):
    net = trained()
    net.save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="numpy") as file:
        parameters, moments = file.get_tensor("parameters"), file.get_tensor("moments")
        description = json.loads(file.metadata()["fastbp"])
    flat = np.concatenate(
        [part.ravel() for pair in zip(net.weights, net.biases, strict=True) for part in pair]
    )
    np.testing.assert_array_equal(parameters, flat)
    assert moments.shape == (2, flat.size)
    assert [(layer["n_in"], layer["n_out"]) for layer in description["layers"]] == [(4, 5), (5, 3)]
    # 30 rows in batches of 8, twice
    assert (description["epochs"], description["steps"]) == (2, 8)


def test_saving_replaces_a_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "m.safetensors"
    trained(epochs=1).save(path)
    net = trained(epochs=3)
    net.save(str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]
    assert_same(Network.load(str(path)), net)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failure_to_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failing):
    path = tmp_path / "m.safetensors"
    trained(epochs=1).save(path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        trained(epochs=3).save(path)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        trained().save(tmp_path / "missing" / "m.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        trained().save(tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_has_the_mode_that_any_new_file_gets(tmp_path):
    # a temporary file is made for its owner alone; a model is shared as the umask allows
    (tmp_path / "plain").write_bytes(b"")
    trained().save(tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
