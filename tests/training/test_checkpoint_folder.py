"""The folder of checkpoints: what is kept, damaged, or of another training; and the file."""

import json
import logging
import os

import numpy as np
import pytest
from safetensors import safe_open

from checkpoint_runs import (
    BATCH,
    EPOCHS,
    LABELS,
    ROWS,
    WEIGHT,
    X,
    facts,
    network,
    short_slices,
    stopped,
    train,
)
from fastbp import Adam, Checkpoints, ModelFileError, Network
from fastbp.data import ArraySource

STEPS = EPOCHS * -(-ROWS // BATCH)
pytestmark = pytest.mark.usefixtures("one_step_slices")


@pytest.fixture
def one_step_slices(monkeypatch):
    short_slices(monkeypatch)


# ---------------------------------------------------------------- the folder


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_checkpoints_are_kept(tmp_path, keep):
    train(network(), checkpoints=Checkpoints(tmp_path, every=0, keep=keep))
    names = sorted(path.name for path in tmp_path.iterdir())
    last = STEPS + 1  # one after each slice, and one at the end
    assert names == [f"checkpoint-{n:08d}.safetensors" for n in range(last - keep + 1, last + 1)]


def test_they_are_as_far_apart_as_was_asked(tmp_path):
    train(network(), checkpoints=Checkpoints(tmp_path, every=3600))
    # the first, which shows whether it can be written, and the last
    assert len(Checkpoints(tmp_path).files()) == 2
    assert Checkpoints(tmp_path).files()[0].name == "checkpoint-00000002.safetensors"


def damage(path, how):
    content = path.read_bytes()
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = b""
    else:
        place = {"head": 30, "middle": len(content) // 2, "end": len(content) - 1}[how]
        content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "empty", "head", "middle", "end"])
def test_the_one_before_a_damaged_checkpoint_is_taken_and_a_warning_logged(
    tmp_path, monkeypatch, caplog, how
):
    whole = network()
    train(whole)
    stopped(monkeypatch, 12, checkpoints=Checkpoints(tmp_path, every=0))
    newest, _ = Checkpoints(tmp_path).files()
    damage(newest, how)
    resumed = network()
    with caplog.at_level(logging.WARNING, "fastbp"):
        train(resumed, checkpoints=tmp_path, resume=True)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert newest.name in caplog.text and "the one before" in caplog.text
    assert facts(resumed) == facts(whole)
    for path in Checkpoints(tmp_path).files():
        damage(path, how)
    untouched = network()
    begin = untouched.parameters.copy()
    with pytest.raises(ModelFileError, match=r"checkpoint-\d+"):
        train(untouched, checkpoints=tmp_path, resume=True)
    np.testing.assert_array_equal(untouched.parameters, begin)


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / ".checkpoint-00000007.safetensors.0123456789abcdef"
    left.write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    train(network(), checkpoints=tmp_path)
    assert not left.exists() and (tmp_path / "notes.txt").exists()


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        net = network()
        begin = net.parameters.copy()
        with pytest.raises(OSError, match="file"):
            train(net, checkpoints=folder)
        np.testing.assert_array_equal(net.parameters, begin)


def test_a_folder_that_cannot_be_written_is_an_error_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(PermissionError, match="cannot be written"):
        train(network(), checkpoints=tmp_path)


@pytest.mark.skipif("sys.platform == 'win32'", reason="there are no limits to a file's size")
def test_a_full_disk_costs_no_training_that_comes_to_its_end(tmp_path, caplog):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole, net, entries = network(), network(), []
    train(whole)
    with caplog.at_level(logging.WARNING, "fastbp"):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            options = {"checkpoints": Checkpoints(tmp_path, every=0)}
            train(net, callbacks=entries.append, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(entries) == EPOCHS and facts(net) == facts(whole), "it was trained to its end"
    assert len(caplog.records) == STEPS + 1 and "training continues" in caplog.text
    assert caplog.messages[-1].endswith("training ended")
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_is_told_to_end_and_cannot_be_kept_is_an_error(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fastbp.model_file.save", full)
        with pytest.raises(OSError, match="No space left"):
            stopped(monkeypatch, 3, checkpoints=Checkpoints(tmp_path, every=0))


def test_a_disk_that_is_full_for_a_while_costs_nothing_but_checkpoints(
    tmp_path, monkeypatch, caplog
):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fastbp.model_file.write_whole", full)
        with caplog.at_level(logging.WARNING, "fastbp"), pytest.raises(OSError, match="No space"):
            stopped(monkeypatch, 5, checkpoints=tmp_path)
    whole, net = network(), network()
    train(whole)
    train(net, checkpoints=tmp_path, resume=True)
    assert facts(net) == facts(whole)


# ---------------------------------------------------------------- another training


OTHERS = {
    "batch_size was 16 and is 8": {"options": {"batch_size": 8}},
    "shuffle was True and is False": {"options": {"shuffle": False}},
    "rows was 103 and is 100": {
        "options": {"X": X[:100], "y": LABELS[:100], "sample_weight": WEIGHT[:100]}
    },
    "window_rows was None and is 40": {"data": "source"},
    "seed of the checkpoint is 5, but the network has 6": {"net": {"seed": 6}},
    "dtype of the checkpoint is 'float32'": {"net": {"dtype": "float64"}},
    "optimizer.name of the checkpoint is": {"net": {"optimizer": "nesterov"}},
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_another_training_is_refused_by_name(tmp_path, monkeypatch, what):
    stopped(monkeypatch, 5, checkpoints=tmp_path)
    other = OTHERS[what]
    net = network(**other.get("net", {}))
    begin = net.parameters.copy()
    with pytest.raises(ValueError, match=what):
        train(
            net,
            other.get("data", "memory"),
            checkpoints=tmp_path,
            resume=True,
            **other.get("options", {}),
        )
    np.testing.assert_array_equal(net.parameters, begin)


def test_other_layers_are_refused(tmp_path):
    train(network(), checkpoints=tmp_path)
    net = Network([9, 4, 3], loss="cross_entropy", seed=5)
    with pytest.raises(ValueError, match="layers of the checkpoint"):
        train(net, checkpoints=tmp_path, resume=True)


def test_blocks_of_other_lengths_are_refused(tmp_path):
    class Cut(ArraySource):
        """Blocks as long as one says."""

        def __init__(self, sizes):
            super().__init__(X, LABELS, block_rows=ROWS, window_rows=40)
            self.blocks, self._starts = sizes, [0, *np.cumsum(sizes)]

    net = network()
    options = {"y": None, "sample_weight": None, "checkpoints": tmp_path}
    train(net, X=Cut((40, 40, 23)), **options)
    with pytest.raises(ValueError, match="blocks was"):
        train(network(), X=Cut((40, 23, 40)), resume=True, **options)


def test_a_plain_model_is_no_checkpoint(tmp_path):
    network().save(tmp_path / "checkpoint-00000001.safetensors")
    with pytest.raises(ModelFileError, match="does not describe the state of a training"):
        train(network(), checkpoints=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (lambda folder: {"resume": True}, ValueError, "checkpoints="),
        (lambda folder: {"resume": 1, "checkpoints": folder}, TypeError, "resume"),
        (lambda folder: {"checkpoints": 3}, TypeError, "."),
        (lambda folder: {"checkpoints": Checkpoints(folder, every=-1)}, ValueError, "every"),
        (lambda folder: {"checkpoints": Checkpoints(folder, every=np.nan)}, ValueError, "every"),
        (lambda folder: {"checkpoints": Checkpoints(folder, every="1")}, TypeError, "every"),
        (lambda folder: {"checkpoints": Checkpoints(folder, keep=0)}, ValueError, "keep"),
        (lambda folder: {"checkpoints": Checkpoints(folder, keep=1.5)}, TypeError, "keep"),
    ],
)
def test_hostile_arguments_are_refused_by_name(tmp_path, arguments, error, words):
    with pytest.raises(error, match=words):
        train(network(), **arguments(tmp_path))


def test_a_schedule_of_ones_own_is_refused_before_training(tmp_path):
    class Mine:
        def factors(self, t):
            return np.ones_like(t)

    net = Network([9, 3], loss="cross_entropy", optimizer=Adam(schedule=Mine()))
    with pytest.raises(ModelFileError, match="schedule"):
        train(net, checkpoints=tmp_path)
    assert net.engine.steps == 0


# ---------------------------------------------------------------- the file


def test_a_checkpoint_is_read_with_safetensors_and_numpy_alone(tmp_path, monkeypatch):
    after = 7 + 3  # three steps into the second epoch
    net = stopped(
        monkeypatch, after, checkpoints=Checkpoints(tmp_path, sections={"mine": {"a": [1]}})
    )
    with safe_open(Checkpoints(tmp_path).files()[0], "np") as file:
        header = json.loads(file.metadata()["fastbp"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    place = header["sections"]["training"]
    assert header["sections"]["mine"] == {"a": [1]}
    assert (place["epoch"], place["done"], header["steps"], header["epochs"]) == (1, 3, after, 1)
    assert place["stopped"] == "terminated" and place["best_epoch"] == 0
    assert place["key"] == {"rows": ROWS, "batch_size": BATCH, "shuffle": True}
    assert [entry["loss"] for entry in place["entries"]] == net.history["loss"]
    assert place["best_loss"] == net.history["loss"][0]
    assert tensors["training.losses"].shape == (3,) and (tensors["training.losses"] > 0).all()
    np.testing.assert_array_equal(tensors["parameters"], net.parameters)
    np.testing.assert_array_equal(tensors["moments"].ravel(), net.engine.moments)
    assert tensors["training.best"].shape == net.parameters.shape
    loaded = Network.load(Checkpoints(tmp_path).files()[0])
    np.testing.assert_array_equal(loaded.parameters, net.parameters)


def test_a_wrong_number_of_threads_is_refused_before_the_net_takes_the_checkpoint(tmp_path):
    train(network(), checkpoints=tmp_path)
    net = network()
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="n_threads"):
        train(net, checkpoints=tmp_path, resume=True, n_threads=0)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("given", [3, True, b"folder", ["folder"]])
def test_what_is_no_folder_is_named(given):
    with pytest.raises(TypeError, match=r"checkpoints=.*: expected a folder, Checkpoints or None"):
        Network([1, 1]).fit([[0.0]], [0.0], epochs=1, checkpoints=given)
