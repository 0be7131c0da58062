"""Sums over ranks: in the order of the ranks, to the same bits by messages and in shared memory."""

import json

import pytest

from mpi_ranks import needs_mpi, run_ranks

pytestmark = [pytest.mark.slow, needs_mpi]

SCRIPT = """
import json
from pathlib import Path
import numpy as np
from mpi4py import MPI
from fastbp import Dense, Dropout, Network
from fastbp.ranks.comm import Ranks
from fastbp.ranks.reduction import Messages, SharedMemory

comm = MPI.COMM_WORLD
left = set(Path("/dev/shm").glob("fastbp-*"))

def tell(name, value):
    found = comm.gather(value)
    if comm.rank == 0:
        print(json.dumps([name, found]))

for dtype in ("float32", "float64"):
    for size in (1, 2, 7, 8192, 8193, 30_001):
        shared = SharedMemory.between(Ranks(comm), comm, size, dtype)
        wrong = [] if shared else ["no shared memory"]
        for way in (shared, Messages(comm, size, dtype)):
            for trial in range(3):
                parts = [np.random.default_rng([trial, rank]).normal(size=size).astype(dtype)
                         for rank in range(comm.size)]
                # added from the first on: another order has other bits
                expected = parts[0].copy()
                for part in parts[1:]:
                    expected = expected + part
                way.grads[:] = parts[comm.rank]
                loss = way.add(0.1 * (comm.rank + 1))
                if way.total.tobytes() != expected.tobytes():
                    wrong.append([type(way).__name__, trial])
                if loss != 0.1 + 0.2 + 0.1 * 3:
                    wrong.append(["loss", loss])
        tell(f"{dtype} {size}", wrong)

def bits(sync):
    net = Network(inputs=4, layers=[Dropout(0.2), Dense(9), Dense(1)], dtype="float64", seed=0)
    rng = np.random.default_rng(comm.rank)
    X = rng.normal(size=(50 + comm.rank, 4))
    net.fit(X, X[:, 0], epochs=3, batch_size=16, comm=comm, sync=sync)
    return net.parameters.tobytes().hex()

here = [bits("step"), bits("local")]
SharedMemory.between = classmethod(lambda *arguments: None)  # as where ranks have two machines
tell("trained", here == [bits("step"), bits("local")])
tell("left", sorted(map(str, set(Path("/dev/shm").glob("fastbp-*")) - left)))
"""


def test_both_ways_add_in_the_order_of_the_ranks(tmp_path):
    found = dict(map(json.loads, run_ranks(3, SCRIPT, tmp_path).splitlines()))
    sums = {name: wrong for name, wrong in found.items() if name.startswith("float")}
    assert len(sums) == 12
    assert {name: wrong for name, wrong in sums.items() if any(wrong)} == {}
    assert found["trained"] == [True] * 3
    assert found["left"][0] == []
