"""The memory of a process, and the time to import and to a first fit."""

from .bench_training import make_network
from .common import FIRST_FIT, run_python
from .workloads import WORKLOADS, make_data


class Memory:
    """The peak resident memory with kernels loaded from the cache."""

    timeout = 300

    def setup_cache(self):
        # in another process: compiling takes more memory than training
        run_python(FIRST_FIT)

    def peakmem_fit_digits(self):
        self._fit(WORKLOADS["digits"])

    def peakmem_fit_wide(self):
        self._fit(WORKLOADS["wide"])

    def _fit(self, workload):
        X, y = make_data(workload, rows=workload.batch)
        make_network(workload).fit(X, y, epochs=1, batch_size=workload.batch)


class Start:
    """The time from a bare interpreter to the end of some work."""

    number, timeout = 1, 300

    def setup(self):
        run_python(FIRST_FIT)

    def timeraw_import(self):
        return "import fastbp"

    def timeraw_import_network(self):
        return "from fastbp import Network"

    def timeraw_first_fit_warm(self):
        return FIRST_FIT


class ColdStart:
    """The same with an empty cache: every kernel of a fit is compiled."""

    number, repeat, rounds, timeout = 1, 1, 1, 300

    def timeraw_first_fit_cold(self):
        lines = "\n    ".join(FIRST_FIT.strip().splitlines())
        return (
            "import os, tempfile\n"
            "with tempfile.TemporaryDirectory() as folder:\n"
            '    os.environ["FASTBP_CACHE_DIR"] = folder\n'
            f"    {lines}\n"
        )
