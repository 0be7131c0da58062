"""Checkpoints: a training that is stopped anywhere and resumed has the bits of one that is not."""

import itertools
import json
import signal

import numpy as np
import pytest
from safetensors import safe_open

from checkpoint_runs import (
    BATCH,
    DATA,
    EPOCHS,
    OPTIMIZERS,
    ROWS,
    VALID,
    Killed,
    StopsAfter,
    facts,
    network,
    short_slices,
    stopped,
    train,
)
from fastbp import Checkpoints, DivergenceError, EarlyStopping

STEPS = EPOCHS * -(-ROWS // BATCH)
pytestmark = pytest.mark.usefixtures("one_step_slices")


@pytest.fixture
def one_step_slices(monkeypatch):
    short_slices(monkeypatch)


@pytest.mark.parametrize("data", DATA)
def test_checkpoints_change_no_bit(tmp_path, data):
    plain, kept = network(), network()
    train(plain, data, validation_data=VALID)
    train(kept, data, validation_data=VALID, checkpoints=Checkpoints(tmp_path, every=0))
    assert facts(kept) == facts(plain)


@pytest.mark.parametrize("data", ["memory", "source"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("how", ["told", "killed"])
def test_stopped_after_any_step_it_ends_with_the_same_bits(
    tmp_path, monkeypatch, data, shuffle, how
):
    options = {"data": data, "shuffle": shuffle, "validation_data": VALID}
    whole = network()
    train(whole, **options)
    steps = whole.engine.steps
    assert steps >= STEPS
    for after in range(1, steps + 1):
        folder = tmp_path / str(after)
        if how == "told":
            net = stopped(monkeypatch, after, checkpoints=folder, **options)
            # a signal during the last step, or the last validation, may leave nothing to do
            assert net.history.stopped == "terminated"
            assert net.engine.steps == after
        else:
            with pytest.raises(Killed):
                train(network(), checkpoints=StopsAfter(folder, after), **options)
        resumed = network()
        train(resumed, checkpoints=folder, resume=True, **options)
        assert facts(resumed) == facts(whole), after
        assert all(p.suffix == ".safetensors" for p in folder.iterdir())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_dtype_survives_being_killed_at_every_step(tmp_path, optimizer, dtype):
    whole, net = network(optimizer, dtype), network(optimizer, dtype)
    train(whole, "source")
    for after in itertools.count(1):
        # each process makes one step, and dies while it writes the second checkpoint after it
        try:
            train(net, "source", checkpoints=StopsAfter(tmp_path, 2), resume=after > 1)
            break
        except Killed:
            net = network(optimizer, dtype)
    assert after > STEPS / 2
    assert facts(net) == facts(whole)


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("how", ["told", "killed"])
def test_early_stopping_waits_as_long_where_training_was_stopped(
    tmp_path, monkeypatch, restore, how
):
    noise = np.random.default_rng(0).integers(0, 3, len(VALID[1]))
    stopping = EarlyStopping(2, restore_best=restore)
    options = {"epochs": 50, "validation_data": (VALID[0], noise), "early_stopping": stopping}
    whole = network()
    train(whole, **options)
    assert whole.history.stopped == "early stopping" and len(whole.history) < 50
    for after in range(1, whole.engine.steps + 1, 1 if how == "told" else 3):
        folder = tmp_path / str(after)
        if how == "told":
            stopped(monkeypatch, after, checkpoints=folder, **options)
        else:
            with pytest.raises(Killed):
                train(network(), checkpoints=StopsAfter(folder, after), **options)
        resumed = network()
        train(resumed, checkpoints=folder, resume=True, **options)
        assert facts(resumed) == facts(whole), after


def test_a_signal_in_the_last_step_of_the_last_patient_epoch_is_early_stopping(
    tmp_path, monkeypatch
):
    # the training loss is monitored: nothing is left to do when the epoch ends
    options = {"epochs": 50, "early_stopping": EarlyStopping(1, min_delta=100.0)}
    whole = network()
    train(whole, **options)
    assert len(whole.history) == 2
    net = stopped(monkeypatch, whole.engine.steps, checkpoints=tmp_path, **options)
    assert facts(net) == facts(whole)


def test_max_time_leaves_a_place_to_go_on_from(tmp_path):
    whole, net = network(), network()
    train(whole)
    history = train(net, checkpoints=tmp_path, max_time=1e-9)
    assert history.stopped == "time" and net.engine.steps == 1
    resumed = network()
    train(resumed, checkpoints=tmp_path, resume=True)
    assert facts(resumed) == facts(whole)


def test_a_training_that_is_complete_is_not_trained_again(tmp_path):
    net, resumed = network(), network()
    history = train(net, checkpoints=tmp_path)
    again = train(resumed, checkpoints=tmp_path, resume=True)
    assert facts(resumed) == facts(net)
    assert again.epochs == history.epochs, "with the times of the first"


def test_more_epochs_go_on_from_where_it_ended(tmp_path):
    whole, net, resumed = network("nesterov"), network("nesterov"), network("nesterov")
    train(whole, epochs=2 * EPOCHS)
    train(net, checkpoints=tmp_path)
    train(resumed, checkpoints=tmp_path, resume=True, epochs=2 * EPOCHS)
    assert facts(resumed) == facts(whole)


@pytest.mark.parametrize("patience", [4, None])
def test_more_patience_goes_on_from_where_it_ended(tmp_path, patience):
    noise = np.random.default_rng(0).integers(0, 3, len(VALID[1]))
    options = {"epochs": 12, "validation_data": (VALID[0], noise)}
    whole, net, resumed = network(), network(), network()
    train(whole, early_stopping=patience, **options)
    train(net, early_stopping=2, checkpoints=tmp_path, **options)
    assert net.history.stopped == "early stopping" and len(net.history) < len(whole.history)
    train(resumed, early_stopping=patience, checkpoints=tmp_path, resume=True, **options)
    assert facts(resumed) == facts(whole)


def test_a_signal_while_a_training_that_is_over_is_kept_again_ends_nothing(tmp_path):
    class Told(Checkpoints):
        def write(self, model):
            signal.raise_signal(signal.SIGTERM)
            return super().write(model)

    def unwatched(number, frame):
        raise AssertionError("no training watches the signals")

    noise = np.random.default_rng(0).integers(0, 3, len(VALID[1]))
    options = {"epochs": 12, "validation_data": (VALID[0], noise), "early_stopping": 2}
    train(network(), checkpoints=tmp_path, **options)
    before = signal.signal(signal.SIGTERM, unwatched)
    try:
        again = network()
        train(again, checkpoints=Told(tmp_path), resume=True, **options)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert again.history.stopped == "early stopping"


def test_callbacks_cannot_change_what_a_checkpoint_holds(tmp_path):
    def notes(entry):
        entry.update(loss=np.float32(0), note="mine")

    plain, net, resumed = network(), network(), network()
    train(plain)
    train(net, checkpoints=Checkpoints(tmp_path, every=0), callbacks=notes)
    train(resumed, checkpoints=tmp_path, resume=True)
    assert facts(net) == facts(plain) == facts(resumed)


def test_no_checkpoint_is_written_of_a_net_that_is_not_finite(tmp_path):
    # the loss of the second step is finite, but what it leaves behind is not
    made = []

    class Kept(Checkpoints):
        def write(self, model):
            made.append(super().write(model))
            if len(made) == 2:
                net.parameters[0] = np.nan
            return made[-1]

    net = network()
    with pytest.raises(DivergenceError):
        train(net, checkpoints=Kept(tmp_path, every=0))
    whole, resumed = network(), network()
    train(whole)
    train(resumed, checkpoints=tmp_path, resume=True)
    assert facts(resumed) == facts(whole)


def test_resume_begins_where_there_is_no_checkpoint(tmp_path):
    whole, net = network(), network()
    train(whole)
    train(net, checkpoints=tmp_path / "new" / "folder", resume=True)
    assert facts(net) == facts(whole)


def test_the_time_of_an_epoch_counts_all_processes_it_took(tmp_path, monkeypatch):
    net = stopped(monkeypatch, 3, checkpoints=tmp_path)
    assert len(net.history) == 0
    with safe_open(Checkpoints(tmp_path).files()[0], "np") as file:
        before = json.loads(file.metadata()["fastbp"])["sections"]["training"]["seconds"]
    assert before > 0
    assert train(network(), checkpoints=tmp_path, resume=True)["seconds"][0] > before
