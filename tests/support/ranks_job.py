"""A training on ranks that continues from its checkpoints: a program for `mpi_ranks.started`."""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from fastbp import Adam, Checkpoints, Dense, Dropout, Network

comm = MPI.COMM_WORLD
rng = np.random.default_rng(1)
X = rng.normal(size=(500, 8))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])


def main(epochs, folder, *options):
    cuts = np.linspace(0, 1, comm.size + 1) ** 1.5 * len(X)  # uneven, and the same for all
    mine = slice(*cuts.astype(int)[comm.rank : comm.rank + 2])
    layers = [Dense(24, "tanh"), Dropout(0.1), Dense(2)]
    net = Network(inputs=8, layers=layers, optimizer=Adam(1e-3), dtype="float64", seed=2)
    Path(f"rank-{comm.rank}").write_text(str(os.getpid()))
    net.fit(
        X[mine],
        Y[mine],
        epochs=int(epochs),
        batch_size=64,
        validation_data=(X[mine][:20], Y[mine][:20]),
        checkpoints=Checkpoints(folder, every=0),
        resume=True,
        comm=comm,
        **dict(eval(option) for option in options),
    )
    if comm.rank == 0:
        history = repr([net.history["loss"], net.history["val_loss"]])
        state = net.parameters.tobytes() + net.engine.moments.tobytes() + history.encode()
        np.save(Path(folder) / "parameters.npy", net.parameters)
        print(net.steps, net.history.stopped, hashlib.sha256(state).hexdigest())


main(*sys.argv[1:])
