"""Trainings with `LevenbergMarquardt` and `LBFGS` that go on from checkpoints."""

import contextlib
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from fastbp import (
    LBFGS,
    Checkpoints,
    DivergenceError,
    LevenbergMarquardt,
    ModelFileError,
    Network,
    fit_many,
    model_file,
)

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (200, 2))
Y = np.column_stack([np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]])
both = pytest.mark.parametrize("optimizer", [LevenbergMarquardt(), LBFGS()], ids=repr)


def net(optimizer, dtype="float64"):
    return Network([2, 6, 2], "tanh", optimizer=optimizer, dtype=dtype, seed=0)


@both
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_training_goes_on_from_checkpoints_with_the_same_bits(optimizer, dtype, tmp_path):
    make = partial(net, type(optimizer)(l2=1e-6), dtype=dtype)
    whole, cuts = make(), (1, 5, 13, 15)  # the memory of LBFGS is full after ten
    history = whole.fit(X, Y, epochs=15)
    for n, epochs in enumerate(cuts):
        parts = make()
        found = parts.fit(X, Y, epochs=epochs, checkpoints=tmp_path, resume=n > 0)
    assert parts.parameters.tobytes() == whole.parameters.tobytes()
    assert found["loss"] == history["loss"] and len(found) == 15
    whole.fit(X, Y, epochs=3)  # and with the damping that it had
    assert whole.steps == 18


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept.pop("training.steps.pairs"),
        lambda kept: kept.update({"training.steps.pairs": np.ones((11, 2, 32))}),
        lambda kept: kept.update({"training.steps.end": np.ones((2, 31))}),
        lambda kept: kept.update({"training.steps.value": np.ones(1, np.float32)}),
    ],
)
def test_a_checkpoint_of_other_steps_is_refused(spoil, tmp_path):
    net(LBFGS()).fit(X, Y, epochs=3, checkpoints=tmp_path)
    for path in tmp_path.iterdir():
        model = model_file.from_bytes(path.read_bytes())
        if model.steps:
            spoil(model.tensors)
            path.write_bytes(model_file.to_bytes(model))
    network = net(LBFGS())
    before = network.parameters.copy()
    with pytest.raises(ModelFileError, match="does not hold the last steps of LBFGS"):
        network.fit(X, Y, epochs=5, checkpoints=tmp_path, resume=True)
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (LBFGS(memory=3), r"optimizer\.hyper_parameters\.memory of the checkpoint is 10, but .* 3"),
        (LevenbergMarquardt(), r"optimizer\.name of the checkpoint is 'lbfgs'"),
    ],
)
def test_what_differs_from_the_checkpoint_is_named(other, words, tmp_path):
    net(LBFGS()).fit(X, Y, epochs=3, checkpoints=tmp_path)
    with pytest.raises(ValueError, match=words):
        net(other).fit(X, Y, epochs=5, checkpoints=tmp_path, resume=True)


@both
@pytest.mark.parametrize("scale", [1e30, 1e100, 1e200])
def test_targets_far_out_warn_of_no_overflow(optimizer, scale):
    with contextlib.suppress(DivergenceError):  # pytest makes each warning an error
        net(optimizer).fit(X, Y * scale, epochs=5)


def test_a_first_step_is_not_lost_in_the_rounding_of_a_large_loss():
    rows = RNG.uniform(-1, 1, (80, 3))
    y = 1e8 * (np.sin(2 * rows[:, 0]) + rows[:, 1] ** 2)
    network = Network([3, 6, 1], "tanh", optimizer=LBFGS(), dtype="float32", seed=0)
    network.fit(rows, y, epochs=200)
    assert network.evaluate(rows, y)["r2"] > 0.3


KILLED = """
import os, signal, sys
import numpy as np
from fastbp import LBFGS, Checkpoints, Network

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (200, 2))
Y = np.column_stack([np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]])
net = Network([2, 6, 2], "tanh", optimizer=LBFGS(), dtype="float64", seed=0)

def end(entry):
    if entry["epoch"] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

kept = Checkpoints(sys.argv[1], every=0)
net.fit(X, Y, epochs=30, checkpoints=kept, resume=os.path.exists(sys.argv[1]), callbacks=end)
print(net.parameters.tobytes().hex())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_a_training_that_is_killed_goes_on_with_the_same_bits(tmp_path):
    for last in (4, 11, 23, 99):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "kept"), str(last)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == (0 if last == 99 else -signal.SIGKILL), done.stderr
    whole = net(LBFGS())
    whole.fit(X, Y, epochs=30)
    assert done.stdout.strip() == whole.parameters.tobytes().hex()


def test_many_of_them_go_on(tmp_path):
    jobs = [{"sizes": [2, 6, 2], "optimizer": LBFGS(), "seed": n} for n in range(3)]
    expected = [r.network.parameters.tobytes() for r in fit_many(jobs, X, Y, epochs=19).wait()]
    ends = [True]

    def end(entry):
        if ends and entry["epoch"] == 7:
            raise KeyboardInterrupt

    kept = Checkpoints(tmp_path / "kept", every=0)
    options = {"epochs": 19, "checkpoints": kept, "callbacks": end}
    halves = fit_many(jobs, X, Y, **options).wait()
    assert all(isinstance(each.error, KeyboardInterrupt) for each in halves)
    ends.clear()
    found = fit_many(jobs, X, Y, **options).wait()
    assert [each.network.parameters.tobytes() for each in found] == expected
    assert {len(each.history) for each in found} == {19}
