"""One side of the guard: measures the fastbp that is installed for its process, turn by turn."""

import importlib
import inspect
import itertools
import sys

from benchmarks.process import serve

# what a commit may not slow down; workloads first, in case time runs out
MODULES = ("bench_training", "bench_kernels", "bench_formulas")


def cases():
    """Return (class, method, arguments) of each benchmark of time, by asv's name for it."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"benchmarks.{name}")
        for label, kind in vars(module).items():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__:
                continue
            for method in (each for each in dir(kind) if each.startswith("time_")):
                for arguments in itertools.product(*getattr(kind, "params", ())):
                    values = f"({', '.join(map(repr, arguments))})" if arguments else ""
                    found[f"{label}.{method}{values}"] = kind, method, arguments
    return found


class Server:
    """Answers requests in a process of its own: each method is a request."""

    def __init__(self):
        from benchmarks.common import shortest_seconds

        self.shortest, self.cases = shortest_seconds, cases()

    def names(self):
        """Return the names of all cases, and where the measured fastbp lies."""
        return {"names": list(self.cases), "fastbp": sys.modules["fastbp"].__file__}

    def load(self, name):
        """Prepare a case: make its data and compile its kernels."""
        self.call = None  # frees the memory of the previous one
        kind, method, arguments = self.cases[name]
        benchmark = kind()
        if hasattr(benchmark, "setup"):
            benchmark.setup(*arguments)
        self.call = lambda: getattr(benchmark, method)(*arguments)
        self.call()
        return {}

    def turn(self, seconds):
        """Call what was loaded for some seconds, at least once; return the shortest time."""
        return {"seconds": self.shortest(self.call, seconds)}

    def answer(self, request, arguments):
        """Return the answer to a request, or ``{"error": one line}``."""
        try:
            return getattr(self, request)(**arguments)
        except NotImplementedError:
            return {"error": ""}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


if __name__ == "__main__":
    # `-m` put the checkout on the path, where fastbp/ lies without its kernels
    del sys.path[0]
    serve(Server().answer)
