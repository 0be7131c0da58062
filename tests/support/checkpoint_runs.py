"""A small training to stop and to resume, in memory and streamed, for the tests of checkpoints."""

import signal

import numpy as np

from fastbp import SGD, Adam, AdamW, Checkpoints, Cosine, Dense, Dropout, Network, OneCycle
from fastbp.data import ArraySource
from fastbp.training.loop import Loop

ROWS, BATCH, EPOCHS = 103, 16, 4  # the last batch is ragged
rng = np.random.default_rng(3)
X, LABELS, WEIGHT = rng.normal(size=(ROWS, 9)), rng.integers(0, 3, ROWS), rng.uniform(0, 2, ROWS)
VALID = rng.normal(size=(40, 9)), rng.integers(0, 3, 40)
OPTIMIZERS = {
    "adam, cosine": lambda: Adam(1e-2, schedule=Cosine(EPOCHS)),
    "adamw, one cycle, clipped": lambda: AdamW(
        1e-2, schedule=OneCycle(EPOCHS), clip_norm=0.5, weight_decay=0.01
    ),
    "nesterov": lambda: SGD(1e-2, momentum=0.9, nesterov=True, l1=1e-4, l2=1e-3),
}
# what the data come from: each gives what `fit` takes
DATA = {
    "memory": lambda: {"X": X, "y": LABELS, "sample_weight": WEIGHT},
    "source": lambda: {"X": ArraySource(X, LABELS, WEIGHT, window_rows=40, block_rows=7)},
    "iterator": lambda: {
        "X": iter([(X[:50], LABELS[:50], WEIGHT[:50]), (X[50:], LABELS[50:], WEIGHT[50:])])
    },
}
TIMES = {"seconds", "samples_per_second", "gflops"}


def network(optimizer="adam, cosine", dtype="float32", **changes):
    layers = [Dropout(0.1), Dense(11, "relu"), Dropout(0.3), Dense(7, "gelu"), Dense(3)]
    settings = {"loss": "cross_entropy", "dtype": dtype, "seed": 5, **changes}
    return Network(inputs=9, layers=layers, optimizer=OPTIMIZERS[optimizer](), **settings)


def train(net, data="memory", **options):
    options = {"epochs": EPOCHS, "batch_size": BATCH, "n_threads": 1, **options}
    return net.fit(**{**DATA[data](), **options})


def facts(net):
    """Return all that must not depend on whether a training was stopped."""
    history, engine = net.history, net.engine
    entries = [{k: v for k, v in e.items() if k not in TIMES} for e in history.epochs]
    return {
        "parameters": net.parameters.tobytes(),
        "moments": engine.moments.tobytes(),
        "steps": (engine.steps, engine.epochs),
        "history": entries,
        "ended": (history.stopped, history.best_epoch),
    }


class Killed(BaseException):
    """What ends a training as a signal that nothing can handle does."""


class StopsAfter(Checkpoints):
    """Checkpoints after every slice; after so many of them the process dies."""

    def __init__(self, folder, left):
        super().__init__(folder, every=0)
        self.left = left

    def write(self, model):
        path = super().write(model)
        self.left -= 1
        if not self.left:
            raise Killed
        return path


def short_slices(monkeypatch):
    """Let every slice be one step."""
    init = Loop.__init__

    def one_step(self, *arguments):
        init(self, *arguments)
        self._pace.next_slice = lambda: (1, self.threads)

    monkeypatch.setattr(Loop, "__init__", one_step)


def stopped(monkeypatch, after, make=network, **options):
    """Train a new net until it is told to stop after so many steps; return it."""
    told = []
    with monkeypatch.context() as patch:
        must_end = Loop._must_end

        def end(self):
            # while the next rows are read it is asked more than once a step
            if self.engine.steps >= after and not told:
                told.append(after)
                self.interrupt.note(signal.SIGTERM, None)
            return must_end(self)

        patch.setattr(Loop, "_must_end", end)
        net = make()
        train(net, **options)
    return net
