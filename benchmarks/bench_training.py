"""One epoch of each workload, and prediction."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

from fastbp import Dense, Dropout, Network

from .common import best_in_turn, shortest_seconds, times_ideal
from .workloads import WORKLOADS, Workload, make_data

# a turn of each of two commits takes a fraction of a second
EPOCH_FLOPS = 1e10
# widths that are no multiple of a register's, and the nearest that are
RAGGED = {
    "54-256-128-7": ((54, 256, 128, 7), (48, 256, 128, 16)),
    "4-120-84-2": ((4, 120, 84, 2), (16, 128, 80, 16)),
    "10-45-45-10": ((10, 45, 45, 10), (16, 48, 48, 16)),
    "200-33-1": ((200, 33, 1), (208, 32, 16)),
}

# sizes and batch of nets with dropout in every hidden layer
DROPOUT = {"256x3": ((64, 256, 256, 256, 10), 256), "256x2": ((64, 256, 256, 10), 64)}


def make_network(workload, dtype="float32"):
    """Return a new network of a workload, with Adam."""
    return Network(list(workload.sizes), loss=workload.loss, optimizer="adam", dtype=dtype, seed=0)


def short(workload):
    """Return the workload with as many full batches as `EPOCH_FLOPS` allow, at least one."""
    flops_per_batch = workload.flops_per_epoch / workload.rows * workload.batch
    batches = min(workload.rows // workload.batch, EPOCH_FLOPS // flops_per_batch)
    return replace(workload, rows=workload.batch * max(1, int(batches)))


class Epoch:
    """One call of `fit` for a short epoch: checks, gather, all passes, loss and Adam."""

    dtype, budget = "float32", 3
    params = (tuple(WORKLOADS), (1, "auto"))
    param_names = ("workload", "threads")
    warmup_time, repeat, timeout = 0, (2, 10, 4.0), 300

    def setup(self, name, threads):
        workload = short(WORKLOADS[name])
        data = make_data(workload, dtype=self.dtype)
        network = make_network(workload, self.dtype)
        self.flops = workload.flops_per_epoch
        self.run = lambda: network.fit(
            *data, epochs=1, batch_size=workload.batch, n_threads=threads
        )
        self.run()

    def time_epoch(self, name, threads):
        self.run()

    def track_times_ideal(self, name, threads):
        return times_ideal(self.flops, self.run, self.dtype, threads, self.budget)

    track_times_ideal.unit = "times the ideal"


class EpochFloat64(Epoch):
    """The same in double precision."""

    dtype = "float64"
    params = (("digits", "mnist"), (1, "auto"))


class DropoutEpoch:
    """The same for a net with dropout, and its time over that of the net without."""

    params = (tuple(DROPOUT),)
    param_names = ("net",)

    def setup(self, name):
        sizes, batch = DROPOUT[name]
        data = make_data(Workload(name, sizes, batch, 8 * batch, "squared_error"))
        self.runs = []
        for dropout in ((Dropout(0.2),), ()):
            hidden = [layer for n in sizes[1:-1] for layer in (Dense(n, "relu"), *dropout)]
            network = Network(inputs=sizes[0], layers=[*hidden, Dense(sizes[-1])], seed=0)
            self.runs.append(partial(network.fit, *data, epochs=1, batch_size=batch, n_threads=1))
            self.runs[-1]()

    def time_epoch(self, name):
        self.runs[0]()

    def track_times_without(self, name):
        rate = lambda: 1 / shortest_seconds(self.runs[1], 0.02)  # noqa: E731
        seconds, without = best_in_turn(self.runs[0], rate, 1)
        return seconds * without

    track_times_without.unit = "times without"


class Ragged:
    """The time per operation of a ragged net in small batches, over that of the nearest even."""

    params = (tuple(RAGGED), (1, 8, 32))
    param_names = ("net", "batch")

    def setup(self, name, batch):
        self.runs = []
        for sizes in RAGGED[name]:
            workload = Workload(name, sizes, batch, 4096, "squared_error")
            data, network = make_data(workload), make_network(workload)
            run = partial(network.fit, *data, epochs=1, batch_size=batch, n_threads=1)
            run()
            self.runs.append((run, workload.flops_per_epoch))

    def track_times_nearest(self, name, batch):
        (run, flops), (nearest, its_flops) = self.runs
        seconds, rate = best_in_turn(run, lambda: its_flops / shortest_seconds(nearest, 0.05), 1)
        return seconds * rate / flops

    track_times_nearest.unit = "times the nearest"


class Predict:
    """`predict` for one row, where the overhead of a call dominates, and for many."""

    params = (("digits", "mnist"), (1, 10_000))
    param_names = ("workload", "rows")

    def setup(self, name, rows):
        self.X, _ = make_data(WORKLOADS[name], rows)
        self.network = make_network(WORKLOADS[name])
        self.network.predict(self.X)

    def time_predict(self, name, rows):
        self.network.predict(self.X)


class PredictWide:
    """The outputs of many rows of the largest net, one thread."""

    def setup(self):
        workload = WORKLOADS["wide"]
        X, _ = make_data(workload, 8192)
        products = sum(a * b for a, b in pairwise(workload.sizes))
        self.run, self.flops = partial(make_network(workload).forward, X, 1), 2 * products * len(X)
        self.run()

    def time_forward(self):
        self.run()

    def track_times_ideal(self):
        return times_ideal(self.flops, self.run, "float32", 1, budget=6)

    track_times_ideal.unit = "times the ideal"
