"""Training from sources as a share of its speed in memory; the full table: ``streams.py``."""

import shutil
import tempfile
from weakref import finalize

from .bench_training import make_network
from .common import best_in_turn, shortest_seconds
from .streams import KINDS, make_source
from .workloads import WORKLOADS, make_data

# windows per source
_PARTS = 5


class Streams:
    """Training from a source: a thread reads a window while the one before is trained on."""

    params = (("tabular", "mnist"), KINDS)
    param_names = ("workload", "source")
    timeout = 300

    def setup(self, name, kind):
        workload = WORKLOADS[name]
        X, y = make_data(workload)
        folder = tempfile.mkdtemp()
        finalize(self, shutil.rmtree, folder)
        try:
            source = make_source(kind, folder, X, y, len(X) // _PARTS)
        except ImportError:
            raise NotImplementedError("pyarrow is not installed") from None
        network = make_network(workload)
        options = {"epochs": 4, "batch_size": workload.batch, "n_threads": 1}
        self.streamed = lambda: network.fit(source, **options)
        self.in_memory = lambda: network.fit(X, y, **options)
        self.streamed(), self.in_memory()

    def track_speed_beside_memory(self, name, kind):
        rate = lambda: 1 / shortest_seconds(self.in_memory, 0.05)  # noqa: E731
        seconds, in_memory = best_in_turn(self.streamed, rate, 4)
        return 1 / seconds / in_memory
