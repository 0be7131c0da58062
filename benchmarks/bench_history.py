"""What the page of the history shows: the quick part of the suite, the same for every commit.

asv drops the results of a benchmark whose code changed, unless it has a `version`. Raise that of
a class only when its figures can no longer be compared with the old ones.
"""

from . import bench_formulas, bench_kernels, bench_process, bench_training
from .common import DTYPES, times_copy

# the class and the method that measure each formula
PASSES = {
    "relu": (bench_formulas.Activation, "time_activation"),
    "tanh": (bench_formulas.Activation, "time_activation"),
    "softmax": (bench_formulas.Activation, "time_activation"),
    "cross_entropy": (bench_formulas.Loss, "time_loss"),
    "adam": (bench_formulas.Optimizer, "time_update"),
}


class Products(bench_kernels.Products):
    """The products alone, one thread."""

    version = "1"
    params = (("matmul", "outer"), ("128x784x128", "256^3", "1024^3"), ("float32",))
    rounds = 1


class Passes:
    """One pass over an array for each kind of formula, one thread."""

    version = "1"
    params = (tuple(PASSES), DTYPES)
    param_names = ("formula", "dtype")

    def setup(self, formula, dtype):
        kind, method = PASSES[formula]
        benchmark = kind()
        try:
            benchmark.setup(formula, dtype)
        except TypeError as error:  # the first commits have other arguments
            raise NotImplementedError(error) from None
        self.array = next(vars(benchmark)[name] for name in "zaw" if name in vars(benchmark))
        self.run = lambda: getattr(benchmark, method)(formula, dtype)

    def track_times_copy(self, formula, dtype):
        return times_copy(self.array, self.run)

    track_times_copy.unit = "times a copy"


class Epoch(bench_training.Epoch):
    """A short epoch of each workload."""

    version = "1"
    repeat, rounds, budget = (2, 5, 1.0), 1, 1.5


class DropoutEpoch(bench_training.DropoutEpoch):
    """A short epoch with dropout."""

    version = "1"
    repeat, rounds = (2, 5, 1.0), 1


class Predict(bench_training.Predict):
    """One row, and many."""

    version = "1"
    params = (("digits",), (1, 10_000))
    rounds = 1


class Memory(bench_process.Memory):
    """The peak resident memory of a fit."""

    version = "1"


class Start(bench_process.Start):
    """The time from a bare interpreter to the end of some work."""

    version = "1"
    repeat, rounds = (3, 10, 2.0), 1


class ColdStart(bench_process.ColdStart):
    """A first fit that compiles."""

    version = "1"
