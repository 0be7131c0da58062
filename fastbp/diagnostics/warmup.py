"""Compiling ahead of time, for a container image or a cluster node."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..components.optimizers import Adam
from ..kernels.activation import ACTIVATE
from ..kernels.compiler.cache import unkept
from ..kernels.compiler.cache_folder import (
    DIGEST,
    cache_folder,
    make_folder,
    share_folder,
    why_refused,
)
from ..kernels.compiler.cache_prune import prune as remove_old
from ..kernels.compiler.target import LEVELS, missing_features
from ..kernels.hadamard import SCALE
from ..kernels.loss import LOGITS_VALUES, SLOPES, VALUES
from ..kernels.peak import measure_peak
from ..kernels.ramp_matmul import ramp_product
from ..kernels.ramp_outer import ramp_outer_rows
from ..kernels.random import draw_normal, draw_uniform, fill_permutation
from ..kernels.sparse_matmul import sparse_product
from ..kernels.sparse_outer import sparse_outer_rows
from ..kernels.update import UPDATES
from ..many.fitting import fit_many
from ..network import Network
from ..training.interrupt import unless_interrupted

_steps = logging.getLogger("fastbp.steps")


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
    pruned : tuple of pathlib.Path
        Folders of other versions that were removed.
    unkept : str
        Why some kernels of this process could not be kept; "" if all were.
    """

    folder: Path | None
    compiled: tuple[str, ...]
    kept: int
    seconds: float
    pruned: tuple[Path, ...] = ()
    unkept: str = ""


def warm_up(
    dtypes: Iterable[str] = ("float32",),
    *,
    to: str | Path | None = None,
    cpu: str | None = None,
    prune: bool = False,
) -> WarmUpReport:
    """Compile or load all kernels of training and prediction; return a `WarmUpReport`.

    Parameters
    ----------
    dtypes : iterable of {"float32", "float64"}
        Dtypes of the networks.
    to : path, optional
        A folder to fill in the place of the user's cache, in a process of its own: all users can
        read it, as in the image of a container. Processes use it where ``FASTBP_CACHE_DIR`` names
        it.
    cpu : {"x86-64-v3", "x86-64-v4"}, optional
        The level of processors that `to` is made for; default: this processor alone.
    prune : bool
        Whether to remove kernels of other versions, but the last two that were used in 90 days.

    Raises
    ------
    ValueError
        If there is no such level, this processor lacks some of it, `to` is missing, or is a folder
        that a process would not trust.
    OSError
        If `to` cannot be written, or not all of it, as where its disk is full.
    """
    started = time.perf_counter()
    if to is None:
        if cpu is not None:
            raise ValueError(f"cpu={cpu!r}: name the folder to fill, to=")
        report = _warm_up(dtypes)
    else:
        report = _fill(Path(to), tuple(dtypes), cpu)
    folder = report.folder
    pruned = tuple(remove_old(folder.parent)) if prune and folder else ()
    return replace(report, pruned=pruned, seconds=time.perf_counter() - started)


def _warm_up(dtypes: Iterable[str]) -> WarmUpReport:
    folder = cache_folder()
    before = _files(folder)
    fill_permutation.serial(0, 0, 0, np.arange(1))
    for dtype in dtypes:
        for threads in (1, 2):
            _use_everything(dtype, threads)
        _compile_formulas(np.dtype(dtype))
        _train_together(dtype)
        measure_peak(dtype)
    after = _files(folder)
    names = sorted(name.rpartition("-")[0] for name in after - before)
    return WarmUpReport(folder, tuple(names), len(after), 0.0, unkept=str(unkept))


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
    net.evaluate(X, X, X)  # with weights of outputs


def _train_together(dtype: str) -> None:
    """Train small networks in one pack, as ensembles and the models of tables do."""
    X = np.ones((8, 2), dtype)
    nets = [Network([2, 2], dtype=dtype, seed=seed) for seed in range(2)]
    for _ in fit_many(nets, X, X, epochs=1, validation_data=(X, X), n_threads=1):
        pass


# ---------------------------------------------------------------- another folder


def _fill(root: Path, dtypes: tuple[str, ...], cpu: str | None) -> WarmUpReport:
    """Warm up in a process whose cache is `root`, and let all users read what is there."""
    variables = {"FASTBP_CACHE_DIR": str(root.absolute()), **_processor(cpu)}
    make_folder(root.absolute(), 0o755)
    if why := why_refused(root.absolute()):
        raise ValueError(f"to={str(root)!r}: {why}, so that no process would trust it")
    _steps.info("compiling kernels for another folder: about 20 s")
    # with the path of this process, where the working folder need not be
    words = [sys.executable, "-c", _SCRIPT, json.dumps([sys.path, dtypes, cpu is not None])]
    env = {**os.environ, **variables}
    # Ctrl-C in a terminal is for this process alone, which then ends that one
    more: dict[str, Any] = {"env": env, "start_new_session": True, "check": False}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, **more)
    if done.returncode:
        raise ChildProcessError(f"the process that compiles ended with status {done.returncode}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if why := answer["refused"]:
        raise ValueError(why)
    folder = root.absolute() / DIGEST
    if answer["kept"]:
        share_folder(folder)
    if why := answer["unkept"]:
        raise OSError(f"to={str(root)!r} is not complete: {why}")
    return WarmUpReport(folder, tuple(answer["compiled"]), answer["kept"], 0.0)


_SCRIPT = """
import json, sys
sys.path[:], dtypes, for_level = json.loads(sys.argv[1])
from fastbp import warm_up
from fastbp.kernels.compiler.target import host, set_level_of_cache
answer = {"compiled": [], "kept": 0, "refused": "", "unkept": ""}
try:
    report = warm_up(dtypes)
    answer.update(compiled=report.compiled, kept=report.kept, unkept=report.unkept)
    if for_level and report.kept:
        set_level_of_cache(host())
except ValueError as error:
    answer["refused"] = str(error)
except OSError as error:
    answer["unkept"] = answer["unkept"] or str(error)
print(json.dumps(answer))
"""


def _processor(cpu: str | None) -> dict[str, str]:
    """Return the variables that make Numba compile for a level."""
    if cpu is None:
        return {}
    if cpu not in LEVELS:
        raise ValueError(f"cpu={cpu!r}: expected {', '.join(LEVELS)}")
    if missing := missing_features(LEVELS[cpu]):
        raise ValueError(f"cpu={cpu!r}: this processor lacks {', '.join(missing)}")
    return {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": LEVELS[cpu]}
