"""Formulas of the user's own beside built-in ones: ``python benchmarks/custom.py``.

Each formula is written twice over: as a user would write it, with and without a derivative, and
by fastbp. Networks train with one and the other in turn on one thread; a speed is the median over
rounds of the built-in's processor time by that of the own formula, so that other processes do not
count. To make a formula is to check it, and to compile it for float64; its loops for float32 are
compiled when a network first has it.
"""

import argparse
import math
import sys
import time
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from fastbp import Network, custom_activation, custom_loss
from fastbp.machine import processor_name

NETS = {"tabular": ((32, 64, 64, 1), 64), "digits": ((64, 100, 10), 200)}
ROWS, EPOCHS = 20_000, 2


def logistic(z):
    """Return the logistic function of a number."""
    return 1 / (1 + math.exp(-z))


def leaky(z):
    """Return a leaky ReLU by a branch."""
    return z if z > 0 else 0.01 * z


def silu_slope(z):
    """Return the derivative of z logistic(z)."""
    s = logistic(z)
    return s * (1 + z * (1 - s))


def huber(a, y):
    """Return Huber's loss with the threshold 1."""
    e = abs(a - y)
    return np.where(e > 1, e - 0.5, 0.5 * e * e)


# how it is written, the built-in activation, f, and df or None
ACTIVATIONS = [
    ("f and df", "silu", lambda z: z * logistic(z), silu_slope),
    ("f", "silu", lambda z: z * logistic(z), None),
    ("f and df", "tanh", lambda z: math.tanh(z), lambda z: 1 - math.tanh(z) ** 2),
    ("f", "tanh", lambda z: math.tanh(z), None),
    ("f", "gelu", lambda z: 0.5 * z * (1 + math.erf(z * math.sqrt(0.5))), None),
    ("f by np.where", "leaky_relu", lambda z: np.where(z > 0, z, 0.01 * z), None),
    ("f by a branch", "leaky_relu", leaky, None),
    ("f by a branch", "elu", lambda z: z if z > 0 else math.exp(z) - 1, None),
]
LOSSES = [
    ("value and derivative", "squared_error", lambda a, y: 0.5 * (a - y) ** 2, lambda a, y: a - y),
    ("value", "huber", huber, None),
]


def data(sizes):
    """Return X (rows, n_in) and y (rows, n_out) as float32."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((ROWS, size)).astype("float32") for size in (sizes[0], sizes[-1])]


def seconds(function, *arguments):
    """Return the processor time of a call, and what it returns."""
    began = time.process_time()
    result = function(*arguments)
    return time.process_time() - began, result


def fitted(network, X, y, batch):
    """Train a network on one thread; return the processor time."""
    return seconds(lambda: network.fit(X, y, EPOCHS, batch, n_threads=1))[0]


def speed(built_in, own, net, rounds):
    """Return the speed of `own` settings of a network as a share of that of `built_in` ones."""
    sizes, batch = NETS[net]
    X, y = data(sizes)
    nets = [Network(sizes, seed=0, **settings) for settings in (built_in, own)]
    for network in nets:
        fitted(network, X[:1000], y[:1000], batch)
    ratios = []
    for _ in range(rounds):
        first, second = (fitted(network, X, y, batch) for network in nets)
        ratios.append(first / second)
    return median(ratios)


def compiled(make, key, function, derivative, number):
    """Return the formula, and the processor time that making it and its first network take."""
    made, formula = seconds(make, f"own_{number}", function, derivative)
    network = Network((4, 8, 1), seed=0, **{key: formula})
    X = np.ones((8, 4), "float32")
    same = Network((4, 8, 1), seed=0)
    same.fit(X, X[:, 0], epochs=1, n_threads=1)
    return formula, made, seconds(lambda: network.fit(X, X[:, 0], 1, n_threads=1))[0]


def parse(arguments=None):
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=NETS)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Print the speeds and the times of compiling as a table of Markdown."""
    options = parse(arguments)
    custom_activation("warm", lambda z: z * math.cos(z))  # which imports the compiler
    print(f"| built-in | own formula | {' | '.join(options.nets)} | to make | first network |")
    print("| --- | --- |" + " --- |" * (len(options.nets) + 2))
    tables = ((custom_activation, "activation", ACTIVATIONS), (custom_loss, "loss", LOSSES))
    number = 0
    for make, key, table in tables:
        for how, name, function, derivative in table:
            number += 1
            formula, made, first = compiled(make, key, function, derivative, number)
            speeds = [
                f"{speed({key: name}, {key: formula}, net, options.rounds):.2f}"
                for net in options.nets
            ]
            cells = [name, how, *speeds, f"{made:.2f} s", f"{first:.2f} s"]
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\nOn {processor_name()}, {date.today()}, {options.rounds} rounds.")


if __name__ == "__main__":
    main()
