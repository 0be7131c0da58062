"""Training from sources as a share of its speed in memory; the full table: ``streams.py``."""

import tempfile

from .bench_training import make_network
from .common import best_in_turn, shortest_seconds
from .streams import KINDS, make_source
from .workloads import WORKLOADS, make_data

# of a window: a source of the workloads' rows has several
_PARTS = 5


class Streams:
    """One epoch from a source, whose windows are read while the one before is trained on."""

    params = (("tabular", "mnist"), KINDS)
    param_names = ("workload", "source")
    timeout = 300

    def setup(self, name, kind):
        workload = WORKLOADS[name]
        X, y = make_data(workload)
        self.folder = tempfile.TemporaryDirectory()
        try:
            source = make_source(kind, self.folder.name, X, y, len(X) // _PARTS)
        except ImportError:
            raise NotImplementedError("pyarrow is not installed") from None
        network = make_network(workload)
        options = {"epochs": 4, "batch_size": workload.batch, "n_threads": 1}
        self.streamed = lambda: network.fit(source, **options)
        self.in_memory = lambda: network.fit(X, y, **options)
        self.streamed(), self.in_memory()

    def teardown(self, name, kind):
        self.folder.cleanup()

    def track_share_of_memory(self, name, kind):
        rate = lambda: 1 / shortest_seconds(self.in_memory, 0.05)  # noqa: E731
        seconds, in_memory = best_in_turn(self.streamed, rate, 4)
        return 1 / seconds / in_memory
