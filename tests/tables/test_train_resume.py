"""`fastbp.train` with checkpoints: it goes on with the same bits, or says why not."""

import signal

import numpy as np
import pytest

from fastbp import Checkpoints, DataError, ModelFileError, Network, model_file, train
from table_makers import people

RUN = {"preset": "fast", "epochs": 12, "hidden": 16, "dropout": 0.1, "patience": 0}


class Stopped(Exception):
    """What a callback raises."""


def breaks_off(entry):
    if entry["epoch"] == 5:
        raise Stopped


def signals(number):
    def callback(entry):
        if entry["epoch"] == 5:
            signal.raise_signal(number)

    return callback


@pytest.mark.parametrize("memory", [None, 4000])
@pytest.mark.parametrize("valid", ["share", "table"])
def test_a_training_that_an_error_ended_goes_on_with_the_same_bits(tmp_path, memory, valid):
    options = {**RUN, "memory": memory}
    if valid == "table":
        options["valid"] = people(50, seed=1)
    whole = train(people(), "y", **options)
    assert whole.record["streamed"] == (memory is not None)
    kept = Checkpoints(tmp_path, every=0)
    with pytest.raises(Stopped):
        train(people(), "y", checkpoints=kept, callbacks=breaks_off, **options)
    assert kept.files()
    epochs = []
    model = train(
        people(),
        "y",
        checkpoints=kept,
        resume=True,
        callbacks=lambda entry: epochs.append(entry["epoch"]),
        **options,
    )
    assert 0 < epochs[0] <= 6  # it did not begin anew
    assert epochs[-1] == 11
    assert model.fingerprint == whole.fingerprint
    assert model.history["loss"] == whole.history["loss"]
    assert model.record["metrics"] == whole.record["metrics"]


@pytest.mark.parametrize(
    "number, stopped", [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_training_that_a_signal_ended_goes_on_with_the_same_bits(tmp_path, number, stopped):
    whole = train(people(), "y", **RUN)
    first = train(people(), "y", checkpoints=tmp_path, callbacks=signals(number), **RUN)
    assert first.record["stopped"] == stopped
    assert len(first.history["loss"]) == 6
    assert len(first.predict(people())) == 200
    model = train(people(), "y", checkpoints=tmp_path, resume=True, **RUN)
    assert model.record["stopped"] == "epochs"
    assert model.fingerprint == whole.fingerprint
    assert model.history["val_loss"] == whole.history["val_loss"]


def test_ctrl_c_without_checkpoints_gives_the_model_so_far():
    model = train(people(), "y", callbacks=signals(signal.SIGINT), **RUN)
    assert model.record["stopped"] == "interrupted"
    assert len(model.history["loss"]) == 6


def test_a_training_that_is_over_can_be_resumed_for_its_model(tmp_path):
    first = train(people(), "y", checkpoints=tmp_path, **RUN)
    again = train(people(), "y", checkpoints=tmp_path, resume=True, **RUN)
    assert again.fingerprint == first.fingerprint
    assert again.history["loss"] == first.history["loss"]


def test_where_there_is_no_checkpoint_resuming_begins(tmp_path):
    model = train(people(), "y", checkpoints=tmp_path / "new", resume=True, **RUN)
    assert model.fingerprint == train(people(), "y", **RUN).fingerprint


def test_more_epochs_may_be_asked_for_and_other_threads(tmp_path):
    train(people(), "y", checkpoints=tmp_path, n_threads=1, **RUN)
    longer = {**RUN, "epochs": 20}
    model = train(people(), "y", checkpoints=tmp_path, resume=True, n_threads=2, **longer)
    assert model.fingerprint == train(people(), "y", **longer).fingerprint


OTHERS = {
    "task": "classification",
    "ids": ("age",),
    "drop": ("age",),
    "categorical": ("visits",),
    "missing": ("nix",),
    "valid_share": 0.3,
    "hidden": (17,),
    "activation": "tanh",
    "dropout": 0.2,
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "schedule": "cosine",
    "l2": 0.1,
    "clip_norm": 1.0,
    "class_weight": "balanced",
    "batch_size": 16,
    "seed": 1,
    "ensemble": 2,
    "dtype": "float64",
    "target": "paid",
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Return the folder of checkpoints of a training that has begun."""
    folder = tmp_path_factory.mktemp("begun")
    train(people(), "y", checkpoints=folder, callbacks=lambda entry: entry["epoch"] == 3, **RUN)
    return folder


@pytest.mark.parametrize("name", OTHERS)
def test_another_training_does_not_go_on_from_a_checkpoint(begun, name):
    before = {path.name: path.read_bytes() for path in begun.iterdir()}
    options = {"target": "y", **RUN, name: OTHERS[name]}
    with pytest.raises(ValueError, match=f"resume: {name} was .*begin anew"):
        train(people(), checkpoints=begun, resume=True, **options)
    assert {path.name: path.read_bytes() for path in begun.iterdir()} == before


@pytest.mark.parametrize("other", ["a value", "a row", "the order", "valid", "another column"])
def test_other_rows_do_not_go_on_from_a_checkpoint(begun, other):
    frame, valid = people(), None
    if other == "a value":
        frame = frame.with_columns(age=frame["age"].scatter(7, 40.5))
    elif other == "a row":
        frame = frame[:-1]
    elif other == "the order":
        frame = frame.reverse()
    elif other == "valid":
        valid = people(50, seed=1)
    else:
        frame = frame.drop("age")
    with pytest.raises(DataError, match=r"resume: .*does not hold the rows|'age'"):
        train(frame, "y", valid=valid, checkpoints=begun, resume=True, **RUN)


def test_checkpoints_of_a_network_alone_are_refused(tmp_path):
    X = np.zeros((20, 3), np.float32)
    Network([3, 4, 1]).fit(X, X[:, 0], epochs=1, checkpoints=tmp_path)
    with pytest.raises(ModelFileError, match="no training on a table"):
        train(people(), "y", checkpoints=tmp_path, resume=True, **RUN)


def test_a_folder_that_cannot_be_written_is_an_error_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        train(people(), "y", checkpoints=tmp_path / "file", **RUN)


def test_limits_that_are_given_no_more_end_no_more(tmp_path):
    run = {**RUN, "epochs": 400, "n_threads": 1}
    first = train(people(), "y", checkpoints=tmp_path, max_time=1e-3, calibrate=False, **run)
    assert first.record["stopped"] == "time"
    resumed = train(people(), "y", checkpoints=tmp_path, resume=True, **run)
    whole = train(people(), "y", **run)
    assert resumed.record["stopped"] == "epochs"
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.record["options"] == whole.record["options"]
    assert resumed.record["temperature"] == whole.record["temperature"]


def _without_settled(job):
    del job["settled"]


def _with_a_short_hash(job):
    job["data"] = job["data"][:32]


@pytest.mark.parametrize("as_before", [_without_settled, _with_a_short_hash])
def test_checkpoints_of_an_earlier_version_are_named(tmp_path, as_before):
    train(people(), "y", checkpoints=tmp_path, **RUN)
    (newest, *_) = sorted(tmp_path.iterdir(), reverse=True)
    model = model_file.load(newest)
    as_before(model.sections["job"])
    for path in tmp_path.iterdir():
        path.unlink()
    model_file.save(newest, model)
    with pytest.raises(ModelFileError, match=r"checkpoints of an earlier fastbp.*begin anew"):
        train(people(), "y", checkpoints=tmp_path, resume=True, **RUN)
