"""Single steps of training beside those inside a fit: ``python benchmarks/steps.py``.

All run in turn in one process, on one thread, so that what else the machine does slows all of
them; the ratio to a step of a fit is the median over rounds. First steps are those of networks that
were not used before.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.bench_steps import BATCH, SIZES, STEPS, FirstStep, PartialFit, Step
from fastbp import Network

_FIT_ROWS = 1000 * BATCH


def ways():
    """Return what is measured by name: a function, the steps that it makes, and the calls."""
    own = Step()
    own.setup()
    X, y = (np.resize(array, (_FIT_ROWS, array.shape[1])) for array in (own.X, own.y))
    net = Network(SIZES, seed=0)
    options = {"epochs": 1, "batch_size": BATCH, "n_threads": 1, "shuffle": False}
    found = {
        "inside fit": (lambda: net.fit(X, y, **options), 1000, 1),
        "`train_step` in compiled code": (own.time_100_steps_in_compiled_code, STEPS, 5),
        "`step`": (own.time_step, 1, 200),
        "`backward` and `update`": (own.time_backward_and_update, 1, 200),
    }
    for target in PartialFit.params[0]:
        fit = PartialFit()
        fit.setup(target)
        found[f"`partial_fit`, {target}"] = (lambda f=fit, t=target: f.time_partial_fit(t), 1, 20)
    return found


def measure(rounds):
    """Return the times (rounds,) of a step in microseconds, by name."""
    measured, functions = {}, ways()
    for _ in range(rounds):
        for name, (function, steps, calls) in functions.items():
            begin = time.perf_counter()
            for _ in range(calls):
                function()
            seconds = time.perf_counter() - begin
            measured.setdefault(name, []).append(seconds / calls / steps * 1e6)
        for kind in FirstStep.params[0]:
            first = FirstStep()
            first.setup(kind)
            begin = time.perf_counter()
            first.time_backward(kind)
            seconds = time.perf_counter() - begin
            measured.setdefault(f"the first `backward`, {kind}", []).append(seconds * 1e6)
    return measured


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    return parser.parse_args(arguments)


def main() -> None:
    """Print a table."""
    measured = measure(parse().rounds)
    fit = measured["inside fit"]
    print("| a step | shortest, us | times a step inside fit |\n|---|---|---|")
    for name, times in measured.items():
        ratio = median(t / f for t, f in zip(times, fit, strict=True))
        print(f"| {name} | {min(times):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
