"""A DQN that balances a pole on a cart: physics, choices and steps of training in compiled code.

    python benchmarks/cartpole.py               # until 100 episodes last 490 steps of 500
    python benchmarks/cartpole.py --seed 3

Actions come from `forward_row`, targets from `forward_batch`, and `train_step` trains the network,
all inside one ``@njit`` function; Python is needed for the network alone.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numba import njit

from fastbp import Adam, Network
from fastbp.kernels import forward_batch, forward_row, train_step

BATCH, MEMORY, LONGEST = 64, 50_000, 500
DISCOUNT, FOLLOW = np.float32(0.99), np.float32(0.005)


@njit
def new_start(rng, s):
    """Put the cart and the pole near rest: position, speed, angle, angular speed."""
    for i in range(4):
        s[i] = 0.1 * rng.random() - 0.05


@njit
def push(s, action):
    """Push the cart for 0.02 s, to the right if the action is 1; return whether the pole fell.

    The equations are those of Barto, Sutton and Anderson, IEEE Trans. SMC 13, 1983: a cart of 1 kg,
    and a pole of 0.1 kg and 1 m.
    """
    force = 10.0 if action == 1 else -10.0
    cos, sin = np.cos(s[2]), np.sin(s[2])
    shared = (force + 0.05 * s[3] * s[3] * sin) / 1.1
    turn = (9.8 * sin - cos * shared) / (0.5 * (4 / 3 - 0.1 * cos * cos / 1.1))
    s[0] += 0.02 * s[1]
    s[1] += 0.02 * (shared - 0.05 * turn * cos / 1.1)
    s[2] += 0.02 * s[3]
    s[3] += 0.02 * turn
    return abs(s[0]) > 2.4 or abs(s[2]) > 0.2095


@njit
def act(rng, row, s, values, chance):
    """Return the action of the larger value, or with this chance any."""
    if rng.random() < chance:
        return int(2 * rng.random())
    forward_row(row, s, values)
    return int(values[1] > values[0])


@njit
def run(rng, row, episodes):
    """Return the mean number of steps for which the pole stands, 500 at most."""
    s, values, total = np.zeros(4, np.float32), np.zeros(2, np.float32), 0
    for _ in range(episodes):
        new_start(rng, s)
        for _ in range(LONGEST):
            total += 1
            if push(s, act(rng, row, s, values, 0.0)):
                break
    return total / episodes


@njit
def targets_of(rng, own, other, memory, batch):
    """Fill a batch with rows of the memory, and their values with targets (van Hasselt, 2016)."""
    before, after, actions, fell, length = memory
    rows, X, later, Q, ours, theirs = batch
    for b in range(BATCH):
        rows[b] = int(length * rng.random())
        X[b], later[b] = before[rows[b]], after[rows[b]]
    forward_batch(own, X, Q)
    forward_batch(own, later, ours)  # chooses
    forward_batch(other, later, theirs)  # values the choice
    for b in range(BATCH):
        next_value = theirs[b, int(ours[b, 1] > ours[b, 0])]
        Q[b, actions[rows[b]]] = 1 + (0 if fell[rows[b]] else DISCOUNT * next_value)


@njit
def learn(rng, most, row, own, other, parameters, followers):
    """Train until 100 episodes last 490 steps on average, or for `most` steps; return the steps."""
    before, after = np.zeros((MEMORY, 4), np.float32), np.zeros((MEMORY, 4), np.float32)
    actions, fell = np.zeros(MEMORY, np.int64), np.zeros(MEMORY, np.bool_)
    X, later = np.zeros((BATCH, 4), np.float32), np.zeros((BATCH, 4), np.float32)
    Q, ours = np.zeros((BATCH, 2), np.float32), np.zeros((BATCH, 2), np.float32)
    batch = np.zeros(BATCH, np.int64), X, later, Q, ours, ours.copy()
    s, values, length = np.zeros(4, np.float32), np.zeros(2, np.float32), 0
    new_start(rng, s)
    for t in range(most):
        i = t % MEMORY
        before[i], actions[i] = s, act(rng, row, s, values, max(0.02, 1 - t / 10_000))
        fell[i] = push(s, actions[i])
        after[i], length = s, length + 1
        if fell[i] or length == LONGEST:
            new_start(rng, s)
            length = 0
        if t >= 1000 and t % 2 == 0:
            memory = before, after, actions, fell, min(t + 1, MEMORY)
            targets_of(rng, own, other, memory, batch)
            train_step(own, X, Q)
            for n in range(parameters.size):
                followers[n] += FOLLOW * (parameters[n] - followers[n])
        if t % 2500 == 2499 and run(rng, row, 10) == LONGEST and run(rng, row, 100) >= 490:
            return t + 1
    return most


@dataclass
class Result:
    """What a training took, and the mean return of 100 new episodes."""

    seconds: float
    steps: int
    updates: int
    mean_return: float


def train(seed: int, most: int = 200_000) -> Result:
    """Train a network of this seed."""
    optimizer = Adam(1e-3, clip_norm=10.0)
    net = Network([4, 64, 64, 2], loss="huber", optimizer=optimizer, seed=seed)
    follower = net.with_seed(seed)
    states = net.row_state(), net.train_state(BATCH), follower.train_state(BATCH)
    rng, begin = np.random.default_rng(seed), time.perf_counter()
    steps = learn(rng, most, *states, net.parameters, follower.parameters)
    seconds = time.perf_counter() - begin
    return Result(seconds, steps, net.steps, run(rng, net.row_state(), 100))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main() -> None:
    """Train once to compile, and once more."""
    seed = parse().seed
    train(seed, most=2000)
    print(train(seed))


if __name__ == "__main__":
    main()
