"""The cost model of ranks: its formulas beside counts and draws, and what it makes ranks do."""

import json
import math

import numpy as np
import pytest

from fastbp import SGD, Adam, Network
from fastbp.ranks.cost import NETWORK, SHARED, Costs, Link, rows_of_slowest, supposed, work_of_sum
from fastbp.ranks.reduction import LONGEST_SHORT, Messages
from mpi_ranks import needs_mpi, run_ranks


class Counting:
    """In place of a communicator: it counts messages one after the other, and bytes received."""

    def __init__(self, size):
        self.size, self.rank = size, 0
        self.messages = self.received = 0

    def Allgather(self, sent, received):
        """Count an exchange in which the ranks double what they have in each round."""
        assert received.nbytes >= self.size * sent.nbytes
        self.messages += math.ceil(math.log2(self.size))
        self.received += (self.size - 1) * sent.nbytes

    def Alltoall(self, sent, received):
        """Count an exchange in which each rank sends a piece to one other at a time."""
        assert received.nbytes == sent.nbytes
        self.messages += self.size - 1
        self.received += (self.size - 1) * sent.nbytes // self.size


@pytest.mark.parametrize("ranks", [2, 3, 8, 100])
@pytest.mark.parametrize("size", [LONGEST_SHORT, 10 * LONGEST_SHORT, 1_000_003])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sum_by_messages_takes_the_messages_and_bytes_of_the_model(ranks, size, dtype):
    comm = Counting(ranks)
    Messages(comm, size, dtype).add(0.5)
    work = work_of_sum(size, np.dtype(dtype).itemsize, ranks, per_machine=1)
    assert work.messages == comm.messages
    # a loss and the end of the last piece are sent as well
    assert work.moved == pytest.approx(comm.received, rel=0.02)


def test_ranks_of_a_machine_share_its_network_and_one_rank_adds_nothing():
    alone, eight = (work_of_sum(10**6, 4, 16, count) for count in (1, 8))
    assert (eight.messages, eight.moved) == (alone.messages, 8 * alone.moved)
    assert Link(1.0, 1.0).seconds(work_of_sum(10**6, 4, 1, 1)) == 0
    # two barriers of four rounds; a rank reads its piece of 16 parts, writes its sum, and reads
    # those of 15 others
    within = work_of_sum(10**6, 4, 16, 16)
    assert (within.messages, within.moved) == (8, 4 * 10**6 * (16 + 1 + 15) / 16)


@pytest.mark.parametrize(("batch", "ranks"), [(256, 2), (256, 16), (1024, 64), (64, 4)])
def test_the_slowest_rank_has_the_rows_that_draws_of_batches_give(batch, ranks):
    rng = np.random.default_rng(0)
    draws = rng.multinomial(batch, [1 / ranks] * ranks, size=20_000)
    assert rows_of_slowest(batch, ranks) == pytest.approx(draws.max(1).mean(), rel=0.06, abs=0.6)
    assert rows_of_slowest(batch, 1) == batch


@pytest.mark.parametrize("average", [1e-6, 1e-4, 1e-2, 10.0])
def test_averages_take_a_tenth_of_the_time_where_32_steps_allow_it(average):
    costs = Costs(own_step=1e-4, joining=1.0, average=average)
    steps = costs.steps_between
    assert steps in (4, 8, 16, 32)

    def share(count):
        return average / (average + count * costs.own_step)

    assert share(steps) <= 0.1 + 1e-9 or steps == 32
    assert steps == 4 or share(steps / 2) > 0.1
    assert costs.averaging_pays and not Costs(1.0, 1e-3, average).averaging_pays


def test_small_steps_had_better_be_local_and_large_ones_joint():
    small = Network([64, 100, 10], loss="cross_entropy", seed=0).engine.plan
    wide = Network([1024, 2048, 2048, 1000], loss="cross_entropy", seed=0).engine.plan
    assert supposed(small, Adam(), 32, 8, one_machine=False).averaging_pays
    assert not supposed(wide, Adam(), 1024, 2, one_machine=True).averaging_pays
    # moments are averaged too; and a network is slower than memory
    with_moments, without = (supposed(wide, o, 1024, 4, False) for o in (Adam(), SGD()))
    assert with_moments.average > 2.5 * without.average
    assert without.joining > 3 * supposed(wide, SGD(), 1024, 4, True).joining
    assert SHARED.latency < NETWORK.latency and SHARED.bandwidth > NETWORK.bandwidth


AUTO = """
import json
import numpy as np
from mpi4py import MPI
from fastbp import Adam, Network

comm = MPI.COMM_WORLD
rng = np.random.default_rng(0)

def trained(sizes, batch, **way):
    X = rng.standard_normal((96, sizes[0]))[comm.rank :: comm.size]
    net = Network(sizes, optimizer=Adam(1e-3), seed=1)
    net.fit(X, X[:, :1], epochs=2, batch_size=batch, comm=comm, n_threads=1, **way)
    return net.parameters.tobytes().hex()

for name, sizes, batch in (("small", [3, 8, 1], 4), ("large", [600, 600, 1], 96)):
    rng = np.random.default_rng(0)
    for sync in ("auto", "local", "step"):
        rng = np.random.default_rng(0)
        found = comm.gather(trained(sizes, batch, sync=sync))
        if comm.rank == 0:
            print(json.dumps([name, sync, found]))
rng = np.random.default_rng(0)
found = comm.gather(trained([3, 8, 1], 4, sync="auto", average_every=5))
if comm.rank == 0:
    print(json.dumps(["small", "every five", found]))
"""


@pytest.mark.slow
@needs_mpi
def test_auto_takes_local_steps_where_they_are_small_and_has_the_same_bits_on_all_ranks(tmp_path):
    rows = map(json.loads, run_ranks(2, AUTO, tmp_path).splitlines())
    found = {(name, sync): bits for name, sync, bits in rows}
    assert all(len(set(bits)) == 1 for bits in found.values())
    bits = {key: each[0] for key, each in found.items()}
    assert bits["small", "auto"] == bits["small", "local"] != bits["small", "step"]
    assert bits["large", "auto"] == bits["large", "step"] != bits["large", "local"]
    # steps that are given are those between averages
    assert bits["small", "every five"] != bits["small", "auto"]
