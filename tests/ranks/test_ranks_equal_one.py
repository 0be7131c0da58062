"""Training on several ranks is training of one process on all their rows."""

import pytest

from mpi_ranks import needs_mpi, run_ranks

pytestmark = [pytest.mark.slow, needs_mpi]

# each line printed is a case with its largest difference, and the number of different results
CASES = """
import numpy as np
from mpi4py import MPI
from fastbp import SGD, Adam, Dense, Dropout, Network
comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)
n = 301
X, labels = rng.normal(size=(n, 6)), rng.integers(0, 3, n)
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
weight = rng.random(n)
weight[100:103] = weight[:20] = 0  # all that rank 0 validates on, and most that it trains on
cuts = [0, *[(n * k * k) // comm.size**2 + 3 for k in range(1, comm.size)], n]  # uneven
mine, held = slice(*cuts[comm.rank : comm.rank + 2]), slice(comm.rank * 9, comm.rank * 9 + 20)

def deep(loss="mse", dtype="float64"):
    layers = [Dropout(0.1), Dense(20, "gelu"), Dropout(0.2), Dense(3 if "entropy" in loss else 2)]
    optimizer = Adam(1e-2, l2=1e-3, clip_norm=1.0)
    return Network(inputs=6, layers=layers, loss=loss, optimizer=optimizer, dtype=dtype, seed=3)

def plain(loss="mse", dtype="float64"):
    return Network([6, 5, 2], loss=loss, optimizer=SGD(0.05), dtype=dtype, seed=1)

def compare(name, make, y, weight=None, batch_size=32, **more):
    held_rows = np.concatenate([np.arange(n)[s] for s in comm.allgather(held)])
    w = lambda rows: () if weight is None else (weight[rows],)
    one, several = make(), make()
    options = {"epochs": 4, "batch_size": batch_size, "n_threads": 1, **more}
    h = one.fit(X, y, sample_weight=weight, **options,
                validation_data=(X[held_rows], y[held_rows], *w(held_rows)))
    k = several.fit(X[mine], y[mine], sample_weight=None if weight is None else weight[mine],
                    validation_data=(X[held], y[held], *w(held)), comm=comm, **options)
    names = [name for name in h.epochs[0] if name.startswith("val_") or name == "loss"]
    apart = [np.abs(one.parameters - several.parameters).max(), abs(one.steps - several.steps)]
    apart += [np.abs(np.subtract(h[each], k[each])).max() for each in names]
    assert k.stopped == h.stopped and k.best_epoch == h.best_epoch
    bits = comm.allgather((several.parameters.tobytes(), k["loss"], k["val_loss"], k["seconds"]))
    if comm.rank == 0:
        print(name, max(apart), len(set(map(repr, bits))))

compare("deep", deep, Y)
compare("weights", deep, Y, weight)
compare("classes", lambda: deep("cross_entropy"), labels, weight)
compare("in_order", plain, Y, batch_size=50, shuffle=False)
compare("small_batches", plain, Y, batch_size=2)
compare("one_batch", plain, Y, batch_size=1000)
compare("early", plain, Y, epochs=60, early_stopping=2)
"""
NAMES = ["deep", "weights", "classes", "in_order", "small_batches", "one_batch", "early"]


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_result_is_that_of_one_process_and_the_same_on_every_rank(tmp_path, ranks):
    lines = [line.split() for line in run_ranks(ranks, CASES, tmp_path).splitlines()]
    assert [name for name, _, _ in lines] == NAMES
    assert {name: float(apart) for name, apart, _ in lines if float(apart) > 1e-10} == {}
    assert {different for _, _, different in lines} == {"1"}
