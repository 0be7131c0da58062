"""Speed of kernels and training steps, relative to the peak measured in the same run.

The cases take turns, round after round. Each turn runs between two measurements of a reference,
so that a temporary slowdown of the machine affects both. Results are medians over the rounds.
The reference of products and training is the peak of fused multiply-add; that of elementwise
kernels is the faster of NumPy's copy and the identity activation, which also reads and writes
two arrays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from ..annotations import Threads
from ..engine.plan import step_flops
from ..kernels import activation, matmul, measure_peak, outer, update
from ..kernels.compiler.threads import choose_threads
from ..network import Network
from ..training.interrupt import unless_interrupted

# duration of a turn, and maximum number of rounds
_TURN_SECONDS = 0.02
_MOST_ROUNDS = 25
# a case is skipped if one turn would take more than this share of the total time
_MOST_SHARE = 0.3


# M x K x N of C (M, N) = A (M, K) B (K, N)
SHAPES = ((128, 784, 128), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024))
# sizes of arrays that fit into a core's cache, and that do not
ELEMENTS = (1 << 17, 1 << 23)


@dataclass(frozen=True)
class Workload:
    """A network to train, and the size of its data."""

    sizes: tuple[int, ...]  # units of each layer, from input to output
    batch: int  # samples per step
    rows: int  # samples in total
    loss: str


WORKLOADS = {
    "tiny": Workload((4, 32, 16, 4), 128, 12_800, "squared_error"),
    "tabular": Workload((32, 64, 64, 1), 64, 12_800, "squared_error"),
    "digits": Workload((64, 100, 10), 200, 1_800, "cross_entropy"),
    "mnist": Workload((784, 128, 10), 128, 2_560, "cross_entropy"),
    "mnist2": Workload((784, 512, 512, 10), 256, 2_560, "cross_entropy"),
    "wide": Workload((1024, 2048, 2048, 1000), 1024, 1_024, "cross_entropy"),
}


@dataclass(frozen=True)
class Case:
    """One measurement to make."""

    kind: str  # "kernel" or "training"
    name: str  # of the kernel or workload
    size: str
    work: float  # operations of one call; bytes read and written if the reference is a copy
    prepare: Callable[[], Callable[[], object]]  # returns the call to time
    copies: int | None = None  # size of the array that the reference copies; None: the peak


@dataclass(frozen=True)
class Measure:
    """Result of a case; rate, share and seconds are medians over the rounds, NaN if skipped."""

    kind: str
    name: str
    size: str
    rate: float  # operations or bytes per second
    unit: str  # "FLOP/s" or "B/s"
    share: float  # rate relative to the reference
    of: str  # the reference: "peak" or "copy"
    seconds: float  # of one call
    rounds: int  # 0 if the case was skipped


@dataclass(frozen=True)
class Results:
    """Results of `run`; lowest and highest peak differ much if other processes interfered."""

    dtype: str
    threads: int  # maximum; the peak is that of this number
    peak: float  # FLOP/s, the median over rounds
    lowest: float
    highest: float
    measures: tuple[Measure, ...]  # one per case, in order
    seconds: float  # total, including compilation


def cases(dtype: str, n_threads: Threads) -> list[Case]:
    """Return all cases, kernels before training."""
    return [
        *(_product("matmul", shape, dtype, n_threads) for shape in SHAPES),
        *(_product("outer", shape, dtype, n_threads) for shape in SHAPES),
        *(_elementwise(name, n, dtype, n_threads) for name in ("tanh", "relu") for n in ELEMENTS),
        *(_adam(n, dtype, n_threads) for n in ELEMENTS),
        *(_training(name, workload, dtype, n_threads) for name, workload in WORKLOADS.items()),
    ]


def _product(name: str, shape: tuple[int, int, int], dtype: str, n_threads: Threads) -> Case:
    M, K, N = shape

    def prepare():
        rng = np.random.default_rng(0)
        a = rng.standard_normal((K, M) if name == "outer" else (M, K)).astype(dtype)
        b = rng.standard_normal((K, N)).astype(dtype)
        out = np.empty((M, N), dtype)
        kernel = outer if name == "outer" else matmul
        return lambda: kernel(a, b, out=out, n_threads=n_threads)

    return Case("kernel", name, f"{M} x {K} x {N}", 2.0 * M * K * N, prepare)


def _elementwise(name: str, count: int, dtype: str, n_threads: Threads) -> Case:
    def prepare():
        z = np.random.default_rng(0).standard_normal((128, count // 128)).astype(dtype)
        out = np.empty_like(z)
        return lambda: activation(z, name, out=out, n_threads=n_threads)

    moved = 2.0 * count * np.dtype(dtype).itemsize
    return Case("kernel", name, f"{count:,}", moved, prepare, count)


def _adam(count: int, dtype: str, n_threads: Threads) -> Case:
    def prepare():
        w, g = np.random.default_rng(0).standard_normal((2, count)).astype(dtype)
        moments = np.zeros((2, count), dtype)
        return lambda: update("adam", w, g, moments, 1, n_threads=n_threads)

    moved = 7.0 * count * np.dtype(dtype).itemsize  # four arrays are read, three written
    return Case("kernel", "adam", f"{count:,}", moved, prepare, count)


def _training(name: str, workload: Workload, dtype: str, n_threads: Threads) -> Case:
    def prepare():
        rng = np.random.default_rng(0)
        X = rng.standard_normal((workload.rows, workload.sizes[0]), "float32").astype(dtype)
        if workload.loss == "cross_entropy":
            y = rng.integers(0, workload.sizes[-1], workload.rows)
        else:
            y = rng.standard_normal((workload.rows, workload.sizes[-1])).astype(dtype)
        sizes, loss = list(workload.sizes), workload.loss
        net = Network(sizes, loss=loss, optimizer="adam", dtype=dtype, seed=0)

        def epoch():
            unless_interrupted(
                net.fit(X, y, epochs=1, batch_size=workload.batch, n_threads=n_threads)
            )

        return epoch

    size = f"{'-'.join(map(str, workload.sizes))}, batch {workload.batch}"
    flops = workload.rows * step_flops([a * b for a, b in pairwise(workload.sizes)])
    return Case("training", name, size, flops, prepare)


def run(
    dtype: str = "float32",
    n_threads: Threads = "auto",
    seconds: float = 12.0,
    on_turn: Callable[[float], object] | None = None,
) -> Results:
    """Measure all cases in about `seconds` seconds, compilation not included.

    Every case gets at least one round, unless it would take far too long. `on_turn` is called
    after each turn with the share of `seconds` that has passed. It raises ValueError if `dtype`
    or `n_threads` is invalid.
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


def _compile(dtype: str, n_threads: Threads) -> None:
    """Run each kernel once on small arrays; also on one thread, which `fit` may choose."""
    x = np.ones((2, 2), dtype)
    flat = np.ones(2, dtype)
    for threads in {1, n_threads}:
        matmul(x, x, n_threads=threads)
        outer(x, x, n_threads=threads)
        activation(x, "tanh", n_threads=threads)
        update("adam", flat, flat.copy(), np.zeros((2, 2), dtype), 1, n_threads=threads)
        for loss in ("squared_error", "cross_entropy"):
            net = Network([2, 2], loss=loss, optimizer="adam", dtype=dtype)
            y = x if loss == "squared_error" else np.array([0, 1])
            unless_interrupted(net.fit(x, y, epochs=1, n_threads=threads))


class _Turns:
    """The rounds of one case; the first makes its data."""

    def __init__(self, case: Case, dtype: str, n_threads: Threads) -> None:
        self.case = case
        self._arguments = (dtype, n_threads)
        self._call: Callable[[], object] | None = None
        self._reference: Callable[[], float] | None = None
        self.peaks: list[float] = []
        self._seconds: list[float] = []
        self._shares: list[float] = []
        self.last = 0.0

    def take(self) -> None:
        """Time the case between two measurements of its reference."""
        started = time.perf_counter()
        if self._call is None or self._reference is None:
            self._call = self.case.prepare()
            self._reference = _reference(self.case, *self._arguments)
            self._call()
        before = self._reference()
        shortest = _shortest(self._call)
        best = max(before, self._reference())
        if self.case.copies is None:
            self.peaks.append(best)
        self._seconds.append(shortest)
        self._shares.append(self.case.work / shortest / best)
        self.last = time.perf_counter() - started

    def result(self) -> Measure:
        """Return the `Measure`."""
        case = self.case
        rounds = len(self._seconds)
        seconds = median(self._seconds) if rounds else float("nan")
        share = median(self._shares) if rounds else float("nan")
        unit, of = ("FLOP/s", "peak") if case.copies is None else ("B/s", "copy")
        rate = case.work / seconds
        return Measure(case.kind, case.name, case.size, rate, unit, share, of, seconds, rounds)


def _reference(case: Case, dtype: str, n_threads: Threads) -> Callable[[], float]:
    """Return the function that measures the rate of the reference of a case."""
    if case.copies is None:
        return lambda: float(measure_peak(dtype, n_threads))
    source, target = np.ones((2, 128, case.copies // 128), dtype)
    copies = (
        lambda: np.copyto(target, source),
        lambda: activation(source, "identity", out=target, n_threads=n_threads),
    )
    moved = 2 * source.nbytes
    return lambda: moved / min(_shortest(copy, _TURN_SECONDS / 4) for copy in copies)


def _shortest(call: Callable[[], object], seconds: float = _TURN_SECONDS) -> float:
    """Call repeatedly for `seconds` seconds, at least once; return the shortest duration."""
    shortest = float("inf")
    end = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        shortest = min(shortest, now - start)
        if now >= end:
            return shortest
