"""Local steps: ranks train by themselves and average their weights."""

import json

import pytest

from mpi_ranks import needs_mpi, run_ranks

pytestmark = [pytest.mark.slow, needs_mpi]

SCRIPT = """
import json
import numpy as np
from mpi4py import MPI
from fastbp import SGD, Adam, Dense, Dropout, Network
from fastbp.ranks.reduction import SharedMemory

comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)
ROWS, BATCH, EVERY = 96, 8, 4  # rows of a rank, and its rows in a step
n = ROWS * comm.size
X, Y = rng.normal(size=(n, 5)), rng.normal(size=(n, 2))
mine = slice(comm.rank * ROWS, (comm.rank + 1) * ROWS)

def tell(name, value):
    found = comm.gather(value)
    if comm.rank == 0:
        print(json.dumps([name, found]))

def net(optimizer=None):
    optimizer = optimizer or SGD(0.05, momentum=0.9)
    return Network([5, 7, 2], "tanh", optimizer=optimizer, dtype="float64", seed=1)

def trained(network, epochs=2, shuffle=False, rows=mine, **more):
    options = {"sync": "local", "average_every": EVERY, "n_threads": 1, **more}
    network.fit(X[rows], Y[rows], epochs=epochs, batch_size=BATCH * comm.size, shuffle=shuffle,
                comm=comm, **options)
    return network

def averaged_by_hand():
    # each rank's network by itself for some steps, as epochs of its own; then the averages
    nets = [net() for _ in range(comm.size)]
    for _ in range(2):
        for start in range(0, ROWS, EVERY * BATCH):
            for k, each in enumerate(nets):
                rows = slice(k * ROWS + start, k * ROWS + start + EVERY * BATCH)
                each.fit(X[rows], Y[rows], epochs=1, batch_size=BATCH, shuffle=False)
            for array in (lambda m: m.parameters, lambda m: m.engine.moments):
                mean = np.mean([array(each) for each in nets], axis=0)
                for each in nets:
                    array(each)[:] = mean
    return nets[0].parameters

sums, add = [0], SharedMemory.add
def counted(self, loss):
    sums[0] += 1
    return add(self, loss)
SharedMemory.add = counted
tell("by hand", float(np.abs(trained(net()).parameters - averaged_by_hand()).max()))
tell("sums", sums[0])

def deep():
    layers = [Dropout(0.1), Dense(9), Dense(2)]
    return Network(inputs=5, layers=layers, optimizer=Adam(), seed=4)

uneven = slice(comm.rank * 40, n if comm.rank == comm.size - 1 else comm.rank * 40 + 40)
two = [trained(deep(), 4, True, uneven) for _ in range(2)]
kept = {"checkpoints": "kept", "resume": True}
trained(deep(), 2, True, uneven, **kept)
two.append(trained(deep(), 4, True, uneven, **kept))
tell("bits", [one.parameters.tobytes().hex() + repr(one.history["loss"]) for one in two])
# other ranks, which may average after other steps, go on: here, all is done
other = trained(deep(), 4, True, uneven, **{**kept, "average_every": EVERY + 1})
tell("went on", other.parameters.tobytes() == two[0].parameters.tobytes())
tell("steps", [two[0].steps, 4 * -(-n // (BATCH * comm.size))])
for given in ({"sync": "never"}, {"average_every": 0}, {"sync": "step"}):
    try:
        trained(net(), **given)
    except ValueError as error:
        tell(str(given), str(error))
"""


def test_weights_and_moments_are_those_averaged_by_hand_in_a_quarter_of_the_sums(tmp_path):
    found = dict(map(json.loads, run_ranks(3, SCRIPT, tmp_path).splitlines()))
    assert max(found["by hand"]) < 1e-12
    assert found["sums"] == [2 * 96 // 8 // 4] * 3
    assert len({bits for each in found["bits"] for bits in each}) == 1
    assert all(found["went on"])
    assert all(steps == expected for steps, expected in found["steps"])
    assert set(found["{'sync': 'never'}"]) == {'sync=\'never\': expected "step", "local" or "auto"'}
    assert set(found["{'average_every': 0}"]) == {"average_every=0: expected at least 1"}
    (said,) = set(found["{'sync': 'step'}"])  # which has no averages
    assert said.startswith("average_every=4: with sync=step all add their gradients at every step")
