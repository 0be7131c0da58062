"""The two processes of the guard: each measures the fastbp that is installed for it, in turn."""

import importlib
import inspect
import itertools
import sys
import time

from benchmarks.process import Process, ProcessError, serve

# what a commit may not slow down; workloads first, in case time runs out
MODULES = ("bench_training", "bench_kernels", "bench_formulas")
TURN_SECONDS, FEWEST_ROUNDS = 0.02, 3
# the longest time of a request; the first ones compile
LIMIT_SECONDS = 120


class GuardError(Exception):
    """Why there is no answer, in one line."""


class NothingToCompareError(Exception):
    """Why there is nothing to compare, in one line."""


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
        """Return the answer to a request; a benchmark that fails ends the process."""
        try:
            return getattr(self, request)(**arguments)
        except NotImplementedError:
            return {"error": ""}


class Pair:
    """Both commits, each in a fresh process."""

    def __init__(self, variables):
        self.sides = [
            Process("benchmarks.guard_process", (), each, LIMIT_SECONDS) for each in variables
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for side in self.sides:
            side.close()

    def names(self):
        """Return the names of the cases of the new commit."""
        try:
            answers = [self.sides[0].ask("names")]
        except ProcessError as error:
            why = f"the old commit cannot run these benchmarks ({error})"
            raise NothingToCompareError(why) from None
        answers.append(self.sides[1].ask("names"))
        for side, answer in zip(self.sides, answers, strict=True):
            site = side.environment["PYTHONPATH"]
            if not answer["fastbp"].startswith(site):
                raise GuardError(f"{answer['fastbp']} would be measured, not that in {site}")
        return answers[1]["names"]

    def load(self, name):
        """Prepare a case on both sides at once; return why each failed: None if it did not."""
        for side in self.sides:
            side.send("load", name=name)
        return [_failure(side) for side in self.sides]

    def rounds(self, seconds):
        """Return the times of both sides: at least three rounds, the first side in turn."""
        times, end = ([], []), time.monotonic() + seconds
        while len(times[0]) < FEWEST_ROUNDS or time.monotonic() < end:
            for n in (0, 1) if len(times[0]) % 2 == 0 else (1, 0):
                times[n].append(self.sides[n].ask("turn", seconds=TURN_SECONDS)["seconds"])
        return times


def _failure(side):
    try:
        side.receive("load")
    except ProcessError as error:
        return str(error)
    return None


if __name__ == "__main__":
    # `-m` put the checkout on the path, where fastbp/ lies without its kernels
    del sys.path[0]
    serve(Server().answer)
