"""Training from sources beside training in memory; the full table: ``streams.py``."""

import numpy as np

from fastbp import data

from .bench_files import new_folder
from .bench_training import make_network
from .common import FIRST_FIT, best_in_turn, needs, run_python, shortest_seconds
from .streams import KINDS, make_source
from .workloads import WORKLOADS, make_data

# windows per source
_PARTS = 5
WRITE = """
for name, columns in (("X", 32), ("y", 1)):
    np.save(rf"{folder}/{{name}}.npy", rng.standard_normal((1 << 20, columns), dtype="float32"))
"""


class Streams:
    """Training from a source: a thread reads a window while the one before is trained on."""

    params = (("tabular", "mnist"), KINDS)
    param_names = ("workload", "source")
    timeout = 300

    def setup(self, name, kind):
        needs(data, "ArraySource")
        workload = WORKLOADS[name]
        X, y = make_data(workload)
        folder = new_folder(self)
        try:
            source = make_source(kind, folder, X, y, len(X) // _PARTS)
        except ImportError:
            raise NotImplementedError("pyarrow is not installed") from None
        network = make_network(workload)
        options = {"epochs": 4, "batch_size": workload.batch, "n_threads": 1}
        self.streamed = lambda: network.fit(source, **options)
        self.in_memory = lambda: network.fit(X, y, **options)
        self.streamed(), self.in_memory()

    def track_times_memory(self, name, kind):
        rate = lambda: 1 / shortest_seconds(self.in_memory, 0.05)  # noqa: E731
        seconds, in_memory = best_in_turn(self.streamed, rate, 4)
        return seconds * in_memory

    track_times_memory.unit = "times in memory"


class StreamMemory:
    """The peak resident memory of a training on 128 MiB of rows, in windows of 8 MiB."""

    params = (("memory", "map"),)
    param_names = ("source",)
    timeout = 300

    def setup(self, kind):
        needs(data, "ArraySource")
        self.folder = new_folder(self)
        # in another process: this one's peak is measured
        run_python(FIRST_FIT + WRITE.format(folder=self.folder))

    def peakmem_fit(self, kind):
        files = self.folder / "X.npy", self.folder / "y.npy"
        fit = make_network(WORKLOADS["tabular"]).fit
        if kind == "memory":
            fit(*map(np.load, files), epochs=1)
        else:
            fit(data.ArraySource(*files, window_rows=1 << 16), epochs=1)
