"""How fast kernels and training steps run here, beside the peak measured in the same run.

All cases are measured in turn, round after round, each between two measurements of what it is
held against: what slows the machine for a moment slows both. Results are medians over rounds.
Products and nets are held against the peak of fused multiply-add, the rest against a copy:
the better of NumPy's and of the identity, which reads and writes as much and computes nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from ..engine.plan import step_flops
from ..kernels import activation, matmul, measure_peak, outer, update
from ..kernels.compiler.threads import choose_threads
from ..network import Network
from ..training.interrupt import unless_interrupted

# how long a case runs at a time, and how many times at most
_TURN_SECONDS = 0.02
_MOST_ROUNDS = 25
# a case is left out where one turn of it would take so much of all the time
_MOST_SHARE = 0.3


@dataclass(frozen=True)
class Workload:
    """A net to train: layer sizes, samples a step, samples in all, and the loss."""

    sizes: tuple[int, ...]
    batch: int
    rows: int
    loss: str

    @property
    def flops(self):
        """Floating-point operations of one epoch."""
        return self.rows * step_flops([a * b for a, b in pairwise(self.sizes)])


WORKLOADS = {
    "tiny": Workload((4, 32, 16, 4), 128, 12_800, "squared_error"),
    "tabular": Workload((32, 64, 64, 1), 64, 12_800, "squared_error"),
    "digits": Workload((64, 100, 10), 200, 1_800, "cross_entropy"),
    "mnist": Workload((784, 128, 10), 128, 2_560, "cross_entropy"),
    "mnist2": Workload((784, 512, 512, 10), 256, 2_560, "cross_entropy"),
    "wide": Workload((1024, 2048, 2048, 1000), 1024, 1_024, "cross_entropy"),
}
# M x K x N of C (M, N) = A (M, K) B (K, N)
SHAPES = ((128, 784, 128), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024))
# of arrays that lie in a core's cache, and of such that do not
ELEMENTS = (1 << 17, 1 << 23)


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes
    ----------
    kind : {"kernel", "training"}
        What it is.
    name, size : str
        Of the kernel or workload, and what it is measured at.
    work : float
        Operations of one call, or bytes that it reads and writes where it is held against a copy.
    prepare : callable
        ``prepare()`` returns the call to time.
    copies : int or None
        The numbers in the array whose copy it is held against; None: the peak.
    """

    kind: str
    name: str
    size: str
    work: float
    prepare: Callable[[], Callable[[], object]]
    copies: int | None = None


@dataclass(frozen=True)
class Measure:
    """What a case gave.

    Attributes
    ----------
    kind, name, size : str
        Of the case.
    rate : float
        Operations, or bytes, a second: the median over rounds.
    unit : {"FLOP/s", "B/s"}
        Of the rate.
    share : float
        Of the peak, or of a copy's speed, measured beside each round: the median.
    of : {"peak", "copy"}
        What the share refers to.
    seconds : float
        Of one call: the median.
    rounds : int
        How many there were; 0 where it would have taken too long, and the rest is NaN.
    """

    kind: str
    name: str
    size: str
    rate: float
    unit: str
    share: float
    of: str
    seconds: float
    rounds: int


@dataclass(frozen=True)
class Results:
    """What `run` measured.

    Attributes
    ----------
    dtype : str
        What was computed in.
    threads : int
        How many could be used; the peak is that of as many.
    peak : float
        FLOP/s, the median over rounds.
    lowest, highest : float
        The extremes of it: where they lie far apart, other processes took part of the time.
    measures : tuple of Measure
        One for each case, in order.
    seconds : float
        That it all took, compiling included.
    """

    dtype: str
    threads: int
    peak: float
    lowest: float
    highest: float
    measures: tuple[Measure, ...]
    seconds: float


def cases(dtype, n_threads):
    """Return all there is to measure, kernels before nets."""
    options = {"n_threads": n_threads}
    return [
        *(_product("matmul", shape, dtype, options) for shape in SHAPES),
        *(_product("outer", shape, dtype, options) for shape in SHAPES),
        *(_elementwise(name, n, dtype, options) for name in ("tanh", "relu") for n in ELEMENTS),
        *(_adam(n, dtype, options) for n in ELEMENTS),
        *(_training(name, load, dtype, options) for name, load in WORKLOADS.items()),
    ]


def _product(name, shape, dtype, options):
    M, K, N = shape

    def prepare():
        rng = np.random.default_rng(0)
        a = rng.standard_normal((K, M) if name == "outer" else (M, K)).astype(dtype)
        b = rng.standard_normal((K, N)).astype(dtype)
        out = np.empty((M, N), dtype)
        kernel = outer if name == "outer" else matmul
        return lambda: kernel(a, b, out=out, **options)

    return Case("kernel", name, f"{M} x {K} x {N}", 2.0 * M * K * N, prepare)


def _elementwise(name, count, dtype, options):
    def prepare():
        z = np.random.default_rng(0).standard_normal((128, count // 128)).astype(dtype)
        out = np.empty_like(z)
        return lambda: activation(z, name, out=out, **options)

    moved = 2.0 * count * np.dtype(dtype).itemsize
    return Case("kernel", name, f"{count:,}", moved, prepare, count)


def _adam(count, dtype, options):
    def prepare():
        w, g = np.random.default_rng(0).standard_normal((2, count)).astype(dtype)
        moments = np.zeros((2, count), dtype)
        return lambda: update("adam", w, g, moments, 1, **options)

    moved = 7.0 * count * np.dtype(dtype).itemsize  # four arrays are read, three written
    return Case("kernel", "adam", f"{count:,}", moved, prepare, count)


def _training(name, workload, dtype, options):
    def prepare():
        rng = np.random.default_rng(0)
        X = rng.standard_normal((workload.rows, workload.sizes[0]), "float32").astype(dtype)
        if workload.loss == "cross_entropy":
            y = rng.integers(0, workload.sizes[-1], workload.rows)
        else:
            y = rng.standard_normal((workload.rows, workload.sizes[-1])).astype(dtype)
        net = Network(list(workload.sizes), loss=workload.loss, optimizer="adam", dtype=dtype)

        def epoch():
            unless_interrupted(net.fit(X, y, epochs=1, batch_size=workload.batch, **options))

        return epoch

    size = f"{'-'.join(map(str, workload.sizes))}, batch {workload.batch}"
    return Case("training", name, size, workload.flops, prepare)


def run(dtype="float32", n_threads="auto", seconds=12.0, on_turn=None):
    """Measure all cases in turn for about so many `seconds`; return `Results`.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        What to compute in.
    n_threads : int or "auto"
        Threads for all, as for `Network.fit`.
    seconds : float
        For all rounds together; every case gets one at least, unless it would take far too
        long. Compiling, where kernels are not cached, comes on top.
    on_turn : callable, optional
        Called with the share of the time that is spent, after each turn.

    Raises
    ------
    ValueError
        If `dtype` or `n_threads` is not of this form.
    """
    started = time.perf_counter()
    threads = choose_threads(n_threads, np.inf, 1)
    _compile(dtype, n_threads)
    begun = time.perf_counter()
    peak = max(measure_peak(dtype, n_threads) for _ in range(3))
    turns = [_Turns(case, dtype, n_threads) for case in cases(dtype, n_threads)]
    active = [each for each in turns if each.case.work / peak < _MOST_SHARE * seconds]
    for number in range(_MOST_ROUNDS):
        for each in active:
            spent = time.perf_counter() - begun
            if number == 0 or spent + each.last < seconds:
                each.take()
            if on_turn:
                on_turn(min(1.0, spent / seconds))
    peaks = [rate for each in active for rate in each.peaks]
    measures = tuple(each.result() for each in turns)
    took = time.perf_counter() - started
    return Results(dtype, threads, median(peaks), min(peaks), max(peaks), measures, took)


def _compile(dtype, n_threads):
    """Run each kernel once, on little, and for one thread as `fit` may choose it."""
    for threads in {1, n_threads}:
        x = np.ones((2, 2), dtype)
        flat, options = np.ones(2, dtype), {"n_threads": threads}
        matmul(x, x, **options)
        outer(x, x, **options)
        activation(x, "tanh", **options)
        update("adam", flat, flat.copy(), np.zeros((2, 2), dtype), 1, **options)
        for loss in ("squared_error", "cross_entropy"):
            net = Network([2, 2], loss=loss, optimizer="adam", dtype=dtype)
            y = x if loss == "squared_error" else np.array([0, 1])
            unless_interrupted(net.fit(x, y, epochs=1, **options))


class _Turns:
    """The rounds of one case, its data made at the first."""

    def __init__(self, case, dtype, n_threads):
        self.case, self._dtype, self._n_threads = case, dtype, n_threads
        self._call = None
        self._copies: list[Callable[[], object]] = []
        self.peaks: list[float] = []
        self._seconds: list[float] = []
        self._shares: list[float] = []
        self.last = 0.0

    def take(self):
        """Time the case for a while, between two looks at what it is held against."""
        started = time.perf_counter()
        if self._call is None:
            self._call = self.case.prepare()
            self._prepare_copies()
            self._call()
        best = self._best()
        shortest = _shortest(self._call)
        best = max(best, self._best())
        if self.case.copies is None:
            self.peaks.append(best)
        self._seconds.append(shortest)
        self._shares.append(self.case.work / shortest / best)
        self.last = time.perf_counter() - started

    def _prepare_copies(self):
        if self.case.copies is not None:
            source, target = np.ones((2, 128, self.case.copies // 128), self._dtype)
            threads = self._n_threads
            self._copies = [
                lambda: np.copyto(target, source),
                lambda: activation(source, "identity", out=target, n_threads=threads),
            ]

    def _best(self):
        """Return the highest rate that the case could have now."""
        if self.case.copies is None:
            return measure_peak(self._dtype, self._n_threads)
        moved = 2 * self.case.copies * np.dtype(self._dtype).itemsize
        return moved / min(_shortest(copy, _TURN_SECONDS / 4) for copy in self._copies)

    def result(self):
        """Return the `Measure`."""
        case, rounds = self.case, len(self._seconds)
        seconds = median(self._seconds) if rounds else float("nan")
        share = median(self._shares) if rounds else float("nan")
        unit, of = ("FLOP/s", "peak") if case.copies is None else ("B/s", "copy")
        rate = case.work / seconds
        return Measure(case.kind, case.name, case.size, rate, unit, share, of, seconds, rounds)


def _shortest(call, seconds=_TURN_SECONDS):
    """Return the shortest time of calls for so many `seconds`, one at least."""
    shortest, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        shortest = min(shortest, now - start)
        if now >= end:
            return shortest
