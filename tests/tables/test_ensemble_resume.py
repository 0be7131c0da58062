"""Ensembles with checkpoints: a killed training goes on where it was, with the same bits."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fastbp import Checkpoints, DataError, DivergenceError, Network, TableModel, train
from table_makers import people

RUN = {"preset": "fast", "epochs": 12, "hidden": 16, "dropout": 0.1, "patience": 0, "ensemble": 3}
EVERY = ({}, {"ensemble_by": "bags"}, {"ensemble_by": "folds"}, {"memory": 4000})
how = pytest.mark.parametrize("more", EVERY, ids=["seeds", "bags", "folds", "streamed"])


class Stopped(Exception):
    """What a callback raises."""


def breaks_off(entry):
    if entry["epoch"] == 5 and entry["member"] == 1:
        raise Stopped


def signals(number):
    def callback(entry):
        if entry["epoch"] == 5 and entry["member"] == 1:
            os.kill(os.getpid(), number)
            time.sleep(0.1)  # until the main thread has seen it, or all is done before

    return callback


@pytest.fixture(scope="module")
def whole():
    """Return the model of a training that nothing stopped, by its options."""
    made = {}

    def of(more):
        key = repr(more)
        made[key] = made.get(key) or train(people(), "y", **RUN, **more)
        return made[key]

    return of


def check_same(model, whole):
    """Hold a resumed model against one that nothing stopped."""
    assert model.fingerprint == whole.fingerprint
    assert model.history == whole.history
    assert model.record["metrics"] == whole.record["metrics"]
    both = zip(*(m.record["ensemble"]["members"] for m in (model, whole)), strict=True)
    for mine, theirs in both:
        assert mine["history"]["loss"] == theirs["history"]["loss"]
        assert mine["stopped"] == theirs["stopped"] == "epochs"


@how
def test_a_training_that_an_error_ended_goes_on_with_the_same_bits(tmp_path, more, whole):
    kept = Checkpoints(tmp_path, every=0)
    options = {**RUN, **more}
    with pytest.raises(Stopped):
        train(people(), "y", checkpoints=kept, callbacks=breaks_off, **options)
    begun = {part.folder.name: part.latest().epochs for part in kept.parts()}
    epochs = []
    model = train(
        people(),
        "y",
        checkpoints=kept,
        resume=True,
        callbacks=lambda entry: epochs.append((entry["member"], entry["epoch"])),
        **options,
    )
    check_same(model, whole(more))
    assert model.record["streamed"] == ("memory" in more)
    # no epoch is trained again that a checkpoint holds
    for name, done in begun.items():
        number = int(name.removeprefix("job-"))
        assert min((e for m, e in epochs if m == number), default=12) >= done
    assert begun


@how
@pytest.mark.parametrize("number, stopped", [(2, "interrupted"), (15, "terminated")])
def test_a_training_that_a_signal_ended_goes_on_with_the_same_bits(
    tmp_path, more, number, stopped, whole
):
    first = train(people(), "y", checkpoints=tmp_path, callbacks=signals(number), **RUN, **more)
    assert first.record["stopped"] == stopped
    assert first.record["metrics"] == {}
    assert len(first.predict(people())) == 200
    model = train(people(), "y", checkpoints=tmp_path, resume=True, **RUN, **more)
    check_same(model, whole(more))


def test_ctrl_c_without_checkpoints_gives_the_ensemble_so_far(caplog):
    run = {**RUN, "epochs": 100_000, "n_threads": 2}
    model = train(people(), "y", callbacks=signals(signal.SIGINT), **run)
    members = model.record["ensemble"]["members"]
    assert model.record["stopped"] == "interrupted"
    assert [member["stopped"] for member in members] == ["interrupted"] * 2
    assert model.record["metrics"]["valid"]["rows"] == 40
    assert "network 3 of 3, of seed 2, is left out" in caplog.text


def test_the_time_limit_ends_all(caplog):
    started = time.perf_counter()
    run = {**RUN, "epochs": 10**6, "n_threads": 2, "max_time": 0.3}
    model = train(people(), "y", **run)
    assert time.perf_counter() - started < 60  # of hours
    assert model.record["stopped"] == "time"
    assert len(model.record["ensemble"]["members"]) == 2
    (left_out,) = model.record["ensemble"]["left_out"]
    assert left_out["number"] == 3 and "had not begun" in left_out["why"]
    assert model.record["metrics"]["valid"]["rows"] == 40


def diverges(*numbers):
    def callback(entry):
        if entry["member"] in numbers and entry["epoch"] == 2:
            raise DivergenceError("the loss became not finite in epoch 3", 2, 0)

    return callback


@pytest.mark.parametrize("more", [{}, {"memory": 4000}], ids=["seeds", "streamed"])
def test_a_member_that_diverges_is_left_out_and_named(more, whole, caplog):
    model = train(people(), "y", callbacks=diverges(1), **RUN, **more)
    assert "network 2 of 3, of seed 1, is left out of the ensemble: the loss became" in caplog.text
    kept = [whole(more).network.members[n] for n in (0, 2)]
    assert [m.seed for m in model.network] == [0, 2]
    for mine, theirs in zip(model.network, kept, strict=True):
        assert mine.parameters.tobytes() == theirs.parameters.tobytes()
    assert model.record["ensemble"]["left_out"][0]["number"] == 2


def test_where_one_member_is_left_it_is_a_network(whole, tmp_path):
    model = train(people(), "y", callbacks=diverges(0, 2), **RUN)
    assert isinstance(model.network, Network)
    assert model.network.parameters.tobytes() == whole({}).network.members[1].parameters.tobytes()
    model.save(tmp_path / "model")
    assert TableModel.load(tmp_path / "model").fingerprint == model.fingerprint


def test_the_rows_of_a_fold_whose_member_diverges_have_no_prediction():
    model = train(people(), "y", ensemble_by="folds", callbacks=diverges(1), **RUN)
    found = model.out_of_fold
    assert sorted(found["fold"].unique()) == [1, 3]
    assert model.record["metrics"]["out_of_fold"]["rows"] == len(found) < 200


def test_where_all_members_diverge_there_is_no_model():
    with pytest.raises(DivergenceError, match="epoch 3"):
        train(people(), "y", callbacks=diverges(0, 1, 2), **RUN)


@pytest.mark.parametrize("begun, then", [(3, 1), (1, 3), (3, 2)])
def test_another_number_of_members_does_not_go_on(tmp_path, begun, then):
    train(people(), "y", checkpoints=tmp_path, **{**RUN, "ensemble": begun})
    with pytest.raises(ValueError, match=r"resume: ensemble was .*begin anew"):
        train(people(), "y", checkpoints=tmp_path, resume=True, **{**RUN, "ensemble": then})
    for count in (begun, then):
        with pytest.raises(ValueError, match="holds checkpoints of an earlier training"):
            train(people(), "y", checkpoints=tmp_path, **{**RUN, "ensemble": count})


def test_other_rows_do_not_go_on(tmp_path):
    train(people(), "y", checkpoints=tmp_path, callbacks=signals(signal.SIGINT), **RUN)
    with pytest.raises(DataError, match=r"resume: .*does not hold the rows"):
        train(people().reverse(), "y", checkpoints=tmp_path, resume=True, **RUN)


def test_epochs_of_an_ensemble_stay_as_they_were(tmp_path):
    train(people(), "y", checkpoints=tmp_path, **RUN)
    with pytest.raises(ValueError, match="resume: epochs was 12"):
        train(people(), "y", checkpoints=tmp_path, resume=True, **{**RUN, "epochs": 20})
    model = train(people(), "y", checkpoints=tmp_path, resume=True, **RUN, n_threads=1)
    assert model.record["stopped"] == "epochs"


JOB = """
import sys
from fastbp.cli import main
every = sys.argv[1]
sys.argv = ["fastbp", "train", "people.csv", "--target", "y", "--ensemble", "4", "--epochs", "400",
            "--patience", "0", "--hidden", "64,64", "--seed", "3", "-o", "model",
            "--checkpoint", "kept", "--every", every, "--resume", "--log", "json", "-q"]
main()
"""


@pytest.mark.slow
def test_a_command_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path):
    people(400).write_csv(tmp_path / "people.csv")
    ended = []
    for number in (signal.SIGKILL, signal.SIGTERM, None):
        every = "0s" if number else "1h"  # nobody kills the last
        process = subprocess.Popen([sys.executable, "-c", JOB, every], cwd=tmp_path)
        if number is not None:
            _wait_for_checkpoints(Checkpoints(tmp_path / "kept"), process, 4 * (1 + len(ended)))
            process.send_signal(number)
        ended.append(process.wait(60))
    assert ended == [-signal.SIGKILL, 75, 0]
    options = {"ensemble": 4, "epochs": 400, "patience": 0, "hidden": (64, 64), "seed": 3}
    whole = train(tmp_path / "people.csv", "y", **options)
    assert TableModel.load(tmp_path / "model").fingerprint == whole.fingerprint


def _wait_for_checkpoints(kept, process, count):
    """Wait until two networks have checkpoints, and one of them so many."""
    deadline = time.monotonic() + 60
    while len(kept.parts()) < 2 or max(map(_number, kept.parts())) < count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def _number(part):
    newest = part.files()[:1]
    return int(newest[0].stem.removeprefix("checkpoint-")) if newest else 0
