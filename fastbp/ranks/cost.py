"""What steps and sums over ranks cost: the model behind ``fastbp plan`` and ``sync="auto"``.

A sum takes so many messages, one after the other, and moves so many bytes through each rank:

    seconds = messages * latency + bytes / bandwidth

Reference: Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in
MPICH, IJHPCA 2005, section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from ..engine.plan import Plan
from .local import averaged
from .reduction import LONGEST_SHORT

# the most steps between two averages that the model chooses, and the share of the time that it
# lets averages take
_MOST_LOCAL, _SHARE_OF_AVERAGES = 32, 0.1
# what `sync="auto"` supposes of any machine, so that the same training makes the same choice
# everywhere: the floating-point operations a second of a thread, and the seconds of a step of none
_RATE, _EMPTY_STEP = 4e10, 2e-5
_BETWEEN = 2e-5  # seconds of Python between the kernels of a joint step
# an exchange of objects: messages to a round, as measured beside a barrier, and seconds of Python
_OBJECT, _PICKLING = 6, 2e-5


@dataclass(frozen=True)
class Link:
    """The way between two ranks: the seconds of an empty message, and bytes per second."""

    latency: float
    bandwidth: float

    def seconds(self, work: Work) -> float:
        """Return the time of some work."""
        return work.messages * self.latency + work.moved / self.bandwidth


@dataclass(frozen=True)
class Work:
    """What a sum costs: messages one after the other, and bytes moved through each rank."""

    messages: float
    moved: float


#: Objects that ranks tell each other at the end of a slice, or at an average.
EXCHANGES = 2
#: Links where none was measured or given: within one machine, and 10 Gbit/s Ethernet.
SHARED, NETWORK = Link(4e-6, 6e9), Link(3e-5, 1.25e9)


def work_of_sum(size: int, itemsize: int, ranks: int, per_machine: int) -> Work:
    """Return the work of `reduction`'s sum of `size` numbers over ranks.

    In the memory of one machine each rank waits twice for all, reads its piece of each part,
    writes its sum and reads those of the others. By messages, of the ranks of a machine each has
    its share of the network.
    """
    if ranks == 1:
        return Work(0, 0)
    rounds, moved = math.ceil(math.log2(ranks)), size * itemsize
    if ranks <= per_machine:
        return Work(2 * rounds, 2 * moved)
    if size <= LONGEST_SHORT:
        return Work(rounds, moved * (ranks - 1) * per_machine)
    return Work(2 * rounds + ranks - 1, 2 * moved * (ranks - 1) / ranks * per_machine)


def seconds_of_exchange(link: Link, ranks: int) -> float:
    """Return the time in which all ranks tell each other an object, as after each slice."""
    rounds = math.ceil(math.log2(ranks))
    return _OBJECT * rounds * link.latency + _PICKLING if rounds else 0.0


def rows_of_slowest(batch: int, ranks: int) -> int:
    """Return the expected rows of the rank that has the most of a shuffled batch.

    A rank has ``batch / ranks`` on average, and the largest of n normal numbers lies about
    ``Phi^-1((n - 0.375) / (n + 0.25))`` deviations above. Reference: Blom, Statistical Estimates
    and Transformed Beta-Variables, 1958.
    """
    if ranks == 1:
        return batch
    mean = batch / ranks
    deviation = math.sqrt(mean * (1 - 1 / ranks))
    above = NormalDist().inv_cdf((ranks - 0.375) / (ranks + 0.25))
    return max(1, min(batch, round(mean + above * deviation)))


@dataclass(frozen=True)
class Costs:
    """Seconds of a rank's own step, of what a joint step takes beside it, and of an average."""

    own_step: float
    joining: float
    average: float

    @property
    def averaging_pays(self) -> bool:
        """Whether a step is shorter than what joins it with those of the others."""
        return self.own_step < self.joining

    @property
    def steps_between(self) -> int:
        """After how many steps ranks should average.

        That is a power of two from 4 to 32, the first with which averages take a tenth of the
        time.
        """
        steps = self.average / self.own_step * (1 / _SHARE_OF_AVERAGES - 1)
        return min(_MOST_LOCAL, max(4, 2 ** math.ceil(math.log2(max(steps, 1)))))


def supposed(plan: Plan, optimizer: Any, batch: int, ranks: int, one_machine: bool) -> Costs:
    """Return the costs on a supposed machine, with one thread to a rank; nothing is measured."""
    flops = plan.flops_per_row * batch / ranks * plan.dtype.itemsize / 4
    link, per_machine = (SHARED, ranks) if one_machine else (NETWORK, 1)
    each = (plan.dtype.itemsize, ranks, per_machine)
    sums = [work_of_sum(size, *each) for size in (plan.size, averaged(plan, optimizer))]
    of_sum, of_average = map(link.seconds, sums)
    average = of_average + EXCHANGES * seconds_of_exchange(link, ranks)
    return Costs(_EMPTY_STEP + flops / _RATE, _BETWEEN + of_sum, average)
