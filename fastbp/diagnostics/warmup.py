"""Compiling ahead of time, for a container image or a cluster node."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..components.optimizers import Adam
from ..kernels.activation import ACTIVATE
from ..kernels.compiler.cache_folder import cache_folder
from ..kernels.hadamard import SCALE
from ..kernels.loss import LOGITS_VALUES, SLOPES, VALUES
from ..kernels.peak import measure_peak
from ..kernels.ramp_matmul import ramp_product
from ..kernels.ramp_outer import ramp_outer_rows
from ..kernels.random import draw_normal, draw_uniform, fill_permutation
from ..kernels.sparse_matmul import sparse_product
from ..kernels.sparse_outer import sparse_outer_rows
from ..kernels.update import UPDATES
from ..network import Network
from ..training.interrupt import unless_interrupted


@dataclass(frozen=True)
class WarmUpReport:
    """Result of `warm_up`.

    Attributes
    ----------
    folder : pathlib.Path or None
        Folder of the compiled kernels; None if there is no place for one.
    compiled : tuple of str
        Kernels compiled now, one name per signature.
    kept : int
        Files in the folder; 0 if it cannot be written.
    seconds : float
        Duration.
    """

    folder: Path | None
    compiled: tuple[str, ...]
    kept: int
    seconds: float


def warm_up(dtypes: Iterable[str] = ("float32",)) -> WarmUpReport:
    """Compile or load all kernels of training and prediction; return a `WarmUpReport`.

    Parameters
    ----------
    dtypes : iterable of {"float32", "float64"}
        Dtypes of the networks.
    """
    started = time.perf_counter()
    folder = cache_folder()
    before = _files(folder)
    fill_permutation.serial(0, 0, 0, np.arange(1))
    for dtype in dtypes:
        for threads in (1, 2):
            _use_everything(dtype, threads)
        _compile_formulas(np.dtype(dtype))
        measure_peak(dtype)
    after = _files(folder)
    names = sorted(name.rpartition("-")[0] for name in after - before)
    return WarmUpReport(folder, tuple(names), len(after), time.perf_counter() - started)


def _files(folder: Path | None) -> set[str]:
    return {path.name for path in folder.glob("*.bin")} if folder else set()


def _compile_formulas(dtype: np.dtype[Any]) -> None:
    """Compile the loops of all formulas and the products of special rows.

    A network asks for its own.
    """
    loops = (ACTIVATE, SCALE, VALUES, LOGITS_VALUES, SLOPES, UPDATES)
    products = [sparse_product, sparse_outer_rows, ramp_product, ramp_outer_rows]
    tasks = itertools.chain(*(each.values() for each in loops), products)
    for task in tasks:
        task.address(dtype)
    for draw in (draw_normal, draw_uniform):
        draw.serial(0, 0, 1.0, np.empty(1, dtype))
    draw_normal.serial(0, 0, 1.0, np.empty(1))  # for orthogonal weights


def _use_everything(dtype: str, threads: int) -> None:
    """Run every method of a network that runs a kernel."""
    X = np.ones((8, 2), dtype)
    net = Network([2, 2], optimizer=Adam(1e-3, clip_norm=1.0), dtype=dtype)
    unless_interrupted(net.fit(X, X, epochs=1, validation_data=(X, X), n_threads=threads))
    net.update(net.backward(X, X, n_threads=threads)[1], n_threads=threads)
    net.predict(X, n_threads=threads)
