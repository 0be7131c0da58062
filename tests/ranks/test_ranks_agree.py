"""What one rank sees or does wrong, all ranks learn: the same error, the same end, no waiting."""

import json

import pytest

from mpi_ranks import needs_mpi, run_ranks

pytestmark = [pytest.mark.slow, needs_mpi]

BEGIN = """
import json, os, signal
import numpy as np
from mpi4py import MPI
from fastbp import LBFGS, SGD, Adam, LevenbergMarquardt, Network
comm = MPI.COMM_WORLD
me = comm.rank
rng = np.random.default_rng(me)
X = rng.normal(size=(40 + me, 4))
labels, Y = np.arange(40 + me) % 3, np.column_stack([X[:, 0], X[:, 1] * X[:, 2], X[:, 3]])

def on(rank, then, otherwise):
    return then if me == rank else otherwise

def tell(name, value):
    found = comm.gather(value)
    if me == 0:
        print(json.dumps([name, found]))
"""
REFUSED = (
    BEGIN
    + """
def refused(name, net=None, **given):
    net = net or Network([4, 5, 3], loss="cross_entropy", seed=0)
    before = net.parameters.copy()
    options = {"X": X, "y": labels, "epochs": 2, "comm": comm, **given}
    try:
        net.fit(**options)
    except (TypeError, ValueError, RuntimeError) as error:
        said = f"{type(error).__name__}: {error}"
    else:
        said = "no error"
    same = np.array_equal(net.parameters, before)
    tell(name, said if same else "it was trained")

def other(**changes):
    settings = {"sizes": [4, 5, 3], "loss": "cross_entropy", "seed": 0}
    return Network(**on(1, {**settings, **changes}, settings))

def moved():
    net = other()
    net.parameters[0] += on(2, 1, 0)
    return net

for kind in (LBFGS, LevenbergMarquardt):
    net = Network([4, 5, 3], loss="mse", optimizer=kind(), seed=0)
    refused(kind.__name__, net, y=Y)
refused("batch_size", batch_size=on(1, 64, 32))
refused("epochs", epochs=on(0, 3, 2))
refused("invalid_everywhere", epochs=0)
refused("invalid_somewhere", epochs=on(2, 0, 2))
refused("columns", X=on(2, X[:, :3], X))
refused("no_rows", X=on(1, X[:0], X), y=on(1, labels[:0], labels))
refused("labels", y=on(0, labels + 1, labels))
refused("nan", X=on(1, np.where(X > 2, np.nan, X) * np.nan, X))
refused("weights", sample_weight=on(1, None, np.ones(len(X))))
refused("no_weights", sample_weight=np.zeros(len(X)))
refused("no_validation", validation_data=(X, labels, np.zeros(len(X))))
gaps = {"net": Network([4, 5, 3], seed=0), "y": np.where(Y > 1, np.nan, Y)}
refused("missing", **gaps, missing_targets=True)
refused("signed", signed=on(1, True, False), sample_weight=np.ones(len(X)))
by_output = {"net": Network([4, 5, 3], seed=0), "y": Y}
refused("outputs", **by_output, sample_weight=on(2, np.ones(Y.shape), np.ones(len(Y))))
refused("outputs_to_score", **by_output, validation_data=(X, Y, np.ones(Y.shape)))
refused("kinds", y=on(1, np.eye(3)[labels], labels))
refused("validation", validation_data=on(1, None, (X, labels)))
refused("shuffle", shuffle=on(1, False, True))
refused("stopping", early_stopping=on(1, 3, 2))
refused("sizes", other(sizes=[4, 6, 3]))
refused("dtype", other(dtype="float64"))
refused("optimizer", other(optimizer=Adam(0.5)))
refused("seed", other(seed=9))
refused("drawn", other(seed=None))
refused("moved", moved())
refused("iterator", X=iter([(X, labels)]), y=None)
refused("steps_per_epoch", steps_per_epoch=3)
refused("resume", resume=True)
refused("folder", checkpoints=on(1, None, "here"))
def raises(entry):
    if me == 1:
        raise KeyError("no such key")
class Odd(Exception):
    pass
refused("null", comm=MPI.COMM_NULL)
refused("text", comm="world")
refused("number", comm=3)
half = comm.Split(me == 0)
both = half.Create_intercomm(0, comm, 1 if me == 0 else 0)
refused("two groups", comm=both)

net = Network([4, 5, 3], loss="cross_entropy", seed=0)
try:
    net.fit(X, labels, epochs=2, comm=comm, callbacks=raises)
except (KeyError, RuntimeError) as error:
    tell("callback", f"{type(error).__name__}: {error}")
from fastbp import DivergenceError
net = Network([4, 5, 3], optimizer=SGD(1e20), seed=0)
try:
    net.fit(X, on(1, Y * 1e4, Y), epochs=5, batch_size=16, comm=comm)
except DivergenceError as error:
    finite = bool(np.isfinite(net.parameters).all())
    tell("diverged", [str(error), error.epoch, error.step, finite, str(net.history.stopped)])
# and after all that
net = Network([4, 5, 3], loss="cross_entropy")
net.fit(X, labels, epochs=2, comm=comm)
tell("trained", [net.seed, net.parameters.tobytes().hex()])
"""
)
# of each error, what it says; {} is where
SAID = {
    "batch_size": "batch_size differs between the ranks: it is 32 on ranks 0 and 2, 64 on rank 1",
    "epochs": "epochs differs between the ranks: it is 3 on rank 0, 2 on ranks 1 and 2",
    "invalid_everywhere": "ValueError: epochs=0: expected at least 1",
    "invalid_somewhere": "ValueError: rank 2 of 3: epochs=0: expected at least 1",
    "columns": "ValueError: rank 2 of 3: X has 3 columns but the network has 4 inputs",
    "no_rows": "ValueError: rank 1 of 3: X has shape (0, 4)",
    "labels": "ValueError: rank 0 of 3: y holds the label 3",
    "nan": "ValueError: rank 1 of 3: X[0, 0] is nan",
    "weights": "sample_weight differs between the ranks: it is 'given' on ranks 0 and 2, None on",
    "no_weights": "ValueError: sample_weight: all weights are 0",
    "no_validation": "ValueError: validation_data[2]: all weights are 0; at least one must be",
    "missing": "ValueError: missing_targets=True is for one process; with comm, expected False",
    "signed": "ValueError: rank 1 of 3: signed=True is for one process; with comm, expected False",
    "outputs": "ValueError: rank 2 of 3: sample_weight: with comm, expected one weight per sample",
    "outputs_to_score": "ValueError: sample_weight: with comm, expected one weight per sample (n,)",
    "kinds": "y differs between the ranks: it is 'labels' on ranks 0 and 2, 'numbers' on rank 1",
    "validation": "validation_data differs between the ranks: it is 'given' on ranks 0 and 2",
    "shuffle": "shuffle differs between the ranks: it is True on ranks 0 and 2, False on rank 1",
    "stopping": "stopping differs between the ranks: it is EarlyStopping(patience=2",
    "sizes": "sizes differs between the ranks: it is [4, 5, 3] on ranks 0 and 2, [4, 6, 3] on",
    "dtype": "dtype differs between the ranks: it is 'float32' on ranks 0 and 2, 'float64' on",
    "optimizer": "optimizer differs between the ranks: it is Optimizer('adam', learning_rate=0.00",
    "seed": "seed differs between the ranks: it is 0 on ranks 0 and 2, 9 on rank 1",
    "drawn": "seed differs between the ranks: it is 0 on ranks 0 and 2, 'drawn' on rank 1",
    "moved": "the place in training (weights, steps, epochs) differs between the ranks",
    "iterator": "TypeError: X: a source or an iterator is for one process; with comm, expected",
    "steps_per_epoch": "TypeError: X: a source or an iterator is for one process",
    "resume": "ValueError: resume=True: checkpoints= must name the folder",
    "folder": "checkpoints differs between the ranks: it is 'given' on ranks 0 and 2, None on",
    "null": "ValueError: comm=MPI.COMM_NULL: expected a communicator that this process is in",
    "text": "TypeError: comm='world': expected a communicator, such as MPI.COMM_WORLD",
    "number": "TypeError: comm=3: expected a communicator, such as MPI.COMM_WORLD",
    "LBFGS": "ValueError: comm: LBFGS trains on one process; expected None",
    "LevenbergMarquardt": "ValueError: comm: LevenbergMarquardt trains on one process",
    "two groups": "TypeError: comm=<mpi4py.MPI.Intercomm",
    "callback": "RuntimeError: rank 1 of 3: KeyError: 'no such key'",
}


def test_a_mistake_of_one_rank_is_the_same_error_of_one_line_on_every_rank(tmp_path):
    found = dict(map(json.loads, run_ranks(3, REFUSED, tmp_path).splitlines()))
    assert {*SAID, "diverged", "trained"} == found.keys()
    wrong = {
        name: found[name]
        for name, said in SAID.items()
        if not all(said in each and "\n" not in each for each in found[name])
    }
    assert wrong == {}
    assert all(len(set(found[name])) == 1 for name in SAID if name != "two groups")
    told, *others = found["diverged"]
    assert [told] * 2 == others
    assert "y reaches 3.76e+04" in told[0] and "became not finite in epoch 1" in told[0]
    assert told[3:] == [True, "diverged"]
    assert len({json.dumps(each) for each in found["trained"]}) == 1


ENDED = (
    BEGIN
    + """
def ended(name, callback=None, **given):
    net = Network([4, 5, 3], loss="cross_entropy", seed=0)
    options = {"epochs": 100_000, "batch_size": 16, **given}
    history = net.fit(X, labels, comm=comm, callbacks=callback or (), **options)
    bits = net.parameters.tobytes().hex()
    tell(name, [str(history.stopped), len(history), net.steps, history["loss"], bits])

ended("callback", on(2, lambda entry: entry["epoch"] == 3, None))
ended("signal", on(1, lambda entry: os.kill(os.getpid(), signal.SIGINT), None))
ended("terminated", on(2, lambda entry: os.kill(os.getpid(), signal.SIGTERM), None),
      checkpoints="kept")
ended("time", max_time=on(1, 0.2, 1e6))
"""
)


def test_one_rank_ends_the_training_of_all(tmp_path):
    found = dict(map(json.loads, run_ranks(3, ENDED, tmp_path).splitlines()))
    why = {"callback": "callback", "signal": "interrupted", "terminated": "terminated"}
    assert {name: each[0][0] for name, each in found.items()} == {**why, "time": "time"}
    assert found["callback"][0][1] == 4
    for each in found.values():
        assert len({json.dumps(one) for one in each}) == 1


OWN = """
import json, math, tempfile
import numpy as np
from mpi4py import MPI
from fastbp import Network, custom_activation

comm = MPI.COMM_WORLD
wave = custom_activation("wave", lambda z: z * math.exp(-z * z))  # which no pickle takes
X = np.random.default_rng(comm.rank).normal(size=(40, 3))
folder = comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None)
found = []
for epochs, resume in ((2, False), (4, True), (4, True)):
    net = Network([3, 5, 1], wave, dtype="float64")
    net.fit(X, X[:, 0], epochs=epochs, comm=comm, checkpoints=folder, resume=resume)
    found.append(net.parameters.tobytes().hex())
found = comm.gather(found)
if comm.rank == 0:
    print(json.dumps(found))
"""


def test_ranks_train_and_resume_a_network_with_formulas_of_ones_own(tmp_path):
    one, other = json.loads(run_ranks(2, OWN, tmp_path))
    assert one == other and one[0] != one[1] == one[2]


UNWEIGHTED = (
    BEGIN
    + """
import warnings
warnings.simplefilter("error")
weights = np.ones(len(X)) * on(1, 0, 1)
net = Network([4, 5, 3], loss="cross_entropy", seed=0)
options = {"epochs": 2, "shuffle": False, "batch_size": 8, "comm": comm}
net.fit(X, labels, validation_data=(X, labels, weights), **options)
tell("val_loss", net.history["val_loss"])
"""
)


def test_a_rank_whose_validation_rows_have_no_weight_divides_nothing(tmp_path):
    _, found = json.loads(run_ranks(3, UNWEIGHTED, tmp_path))
    assert found[0] == found[1] == found[2] and all(0 < loss < 10 for loss in found[0])
