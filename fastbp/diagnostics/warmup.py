"""Compiling ahead of time: for the image of a container, or a node of a cluster."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..components.optimizers import Adam
from ..kernels.compiler.cache import cache_folder
from ..kernels.peak import measure_peak
from ..kernels.random import fill_normal, fill_permutation
from ..network import Network
from ..training.interrupt import unless_interrupted


@dataclass(frozen=True)
class WarmUpReport:
    """What a warm-up did.

    Attributes
    ----------
    folder : pathlib.Path
        Where compiled kernels are kept.
    compiled : tuple of str
        The kernels that were not there before, one name for each signature.
    kept : int
        How many files the folder holds now for these sources; 0 if it cannot be written.
    seconds : float
        The time it took.
    """

    folder: Path
    compiled: tuple
    kept: int
    seconds: float


def warm_up(dtypes=("float32",)):
    """Compile, or load, all that training and prediction run; return a `WarmUpReport`.

    Parameters
    ----------
    dtypes : sequence of {"float32", "float64"}
        What networks will compute in.
    """
    folder, started = cache_folder(), time.perf_counter()
    before = _files(folder)
    fill_normal.serial(0, 0, 0, np.empty(1))
    fill_permutation.serial(0, 0, 0, np.arange(1))
    for dtype in dtypes:
        for threads in (1, 2):
            _use_everything(dtype, threads)
        measure_peak(dtype)
    after = _files(folder)
    names = sorted(name.rpartition("-")[0] for name in after - before)
    return WarmUpReport(folder, tuple(names), len(after), time.perf_counter() - started)


def _files(folder):
    return {path.name for path in folder.glob("*.bin")}


def _use_everything(dtype, threads):
    """Run every method of a network that runs a kernel."""
    X = np.ones((8, 2), dtype)
    net = Network([2, 2], optimizer=Adam(1e-3, clip_norm=1.0), dtype=dtype)
    options = {"n_threads": threads}
    unless_interrupted(net.fit(X, X, epochs=1, validation_data=(X, X), **options))
    net.update(net.backward(X, X, **options)[1], **options)
    net.predict(X, **options)
