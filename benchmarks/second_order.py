"""Levenberg and Marquardt beside Adam and scipy.optimize.least_squares: errors in the same time.

    python benchmarks/second_order.py

Five functions, 1,000 rows each, standardized targets, a net of one hidden layer of tanh in
float64, one thread. Each seed draws the rows and the initial weights, which all methods share.
SciPy gets the residuals and the exact Jacobian of the same net in NumPy, and stops by its own
rules. LevenbergMarquardt trains for a tenth of SciPy's time, and Adam as long as it, with the
better of two learning rates. Printed are medians over the seeds, and of how many of them
LevenbergMarquardt ends lower than SciPy.
"""

import argparse
import time
from statistics import median

import numpy as np

from fastbp import Adam, LevenbergMarquardt, Network

ROWS = 1000
RATES = (1e-2, 3e-3)


def sine(rng):
    """Three half waves to each side."""
    X = rng.uniform(-1, 1, (ROWS, 1))
    return X, np.sin(3 * np.pi * X[:, 0])


def nguyen_widrow(rng):
    """Nguyen and Widrow, IJCNN 1990, section 5."""
    X = rng.uniform(-1, 1, (ROWS, 2))
    return X, 0.5 * np.sin(np.pi * X[:, 0] ** 2) * np.sin(2 * np.pi * X[:, 1])


def friedman(number):
    """Return what draws one of Friedman's three functions, with standardized inputs."""

    def draw(rng):
        from sklearn.datasets import make_friedman1, make_friedman2, make_friedman3

        make = (make_friedman1, make_friedman2, make_friedman3)[number - 1]
        options = {"n_features": 5} if number == 1 else {}
        X, y = make(ROWS, random_state=int(rng.integers(2**31)), **options)
        return (X - X.mean(0)) / X.std(0), y

    return draw


#: by name: what draws (X, y), and the hidden units
PROBLEMS = {
    "sine": (sine, 15),
    "Nguyen-Widrow": (nguyen_widrow, 20),
    "Friedman 1": (friedman(1), 15),
    "Friedman 2": (friedman(2), 10),
    "Friedman 3": (friedman(3), 10),
}


def by_scipy(X, y, weights, units):
    """Return the mean squared error of `least_squares` from some weights, and its seconds."""
    from scipy.optimize import least_squares

    n_in = X.shape[1]
    cut = n_in * units

    def parts(w):
        return w[:cut].reshape(n_in, units), w[cut : cut + units], w[cut + units : -1], w[-1]

    def errors(w):
        W, b, v, c = parts(w)
        return np.tanh(X @ W + b) @ v + c - y

    def jacobian(w):
        W, b, v, _ = parts(w)
        A = np.tanh(X @ W + b)
        D = (1 - A * A) * v
        first = (X[:, :, None] * D[:, None, :]).reshape(len(X), -1)
        return np.hstack([first, D, A, np.ones((len(X), 1))])

    began = time.perf_counter()
    found = least_squares(errors, weights, jacobian, method="lm", max_nfev=2000)
    return float(np.mean(found.fun**2)), time.perf_counter() - began


def by_fastbp(X, y, seed, units, optimizer, seconds):
    """Return the mean squared error of a training of so many seconds."""
    net = Network([X.shape[1], units, 1], "tanh", optimizer=optimizer, dtype="float64", seed=seed)
    net.fit(X, y, epochs=10**6, batch_size=32, n_threads=1, max_time=seconds)
    return float(np.mean((net.predict(X) - y) ** 2))


def measured(name, seed):
    """Return the errors of SciPy, LevenbergMarquardt and Adam, and SciPy's seconds."""
    draw, units = PROBLEMS[name]
    X, y = draw(np.random.default_rng(seed))
    y = (y - y.mean()) / y.std()
    start = Network([X.shape[1], units, 1], "tanh", dtype="float64", seed=seed).parameters
    theirs, seconds = by_scipy(X, y, start.copy(), units)
    ours = by_fastbp(X, y, seed, units, LevenbergMarquardt(), seconds / 10)
    same_time = min(by_fastbp(X, y, seed, units, Adam(rate), seconds / 10) for rate in RATES)
    return theirs, ours, same_time, seconds


def parse(arguments=None):
    """Return the options of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each problem")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Print the table."""
    seeds = parse(arguments).seeds
    for optimizer in (LevenbergMarquardt(), Adam()):  # compile
        by_fastbp(np.zeros((9, 1)), np.zeros(9), 0, 2, optimizer, 0.1)
    print("mean squared error  least_squares  LM in 1/10    Adam  Adam / LM  SciPy's time  lower")
    for name in PROBLEMS:
        found = [measured(name, seed) for seed in range(seeds)]
        theirs, ours, adam, seconds = map(median, zip(*found, strict=True))
        lower = sum(own <= other for other, own, *_ in found)
        print(
            f"{name:18}  {theirs:13.2e}  {ours:10.2e}  {adam:6.0e}  {adam / ours:9.1f}"
            f"  {seconds:10.2f} s  {lower:2d} of {seeds}",
            flush=True,
        )


if __name__ == "__main__":
    main()
