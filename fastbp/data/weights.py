"""Weights of samples and of their outputs, and targets that are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..annotations import Floats
from ..checks import as_array, float_array, same_rows
from ..kernels.formulas.losses import Loss
from ..kernels.support.scalars import a_flag


@dataclass(frozen=True)
class Allowed:
    """What is not an error: NaN for targets that are missing, and weights below 0.

    `zeros` says that all weights may be 0, as those of a part of the data may be.
    """

    missing: bool = False
    signed: bool = False
    zeros: bool = False


def allowed_of(missing_targets: Any = False, signed: Any = False) -> Allowed:
    """Return two arguments of `Network.fit`, checked."""
    return Allowed(a_flag("missing_targets", missing_targets), a_flag("signed", signed))


def for_one_process(output_weight: Floats | None) -> None:
    """Raise ValueError if outputs have weights, of data that are a part of those of all ranks."""
    if output_weight is not None:
        raise ValueError(
            "sample_weight: with comm, expected one weight per sample (n,), and no missing targets"
        )


@dataclass(frozen=True)
class Weighed:
    """Checked weights of samples, of their outputs, or None; see `Samples`."""

    weight: Floats | None = None
    output_weight: Floats | None = None


def weights_of(
    name: str, value: Any, shape: tuple[int, int], dtype: Any, loss: Loss, allowed: Allowed
) -> Weighed:
    """Return checked weights (n,) or (n, n_out) of targets of a `shape` (n, n_out)."""
    if value is None:
        return Weighed()
    array, (rows, outputs) = as_array(name, value), shape
    if array.ndim == 2 and not loss.adds_outputs:
        raise ValueError(
            f"{name} has shape {array.shape}: the outputs of {loss.name} depend on each other; "
            "expected one weight per sample (n,), or another loss, such as binary_cross_entropy"
        )
    weight = float_array(name, array, dtype, rank=2 if array.ndim == 2 else 1)
    same_rows(name, weight, rows)
    if array.ndim == 2 and weight.shape[1] != outputs:
        raise ValueError(
            f"{name} has {weight.shape[1]} columns but the network has {outputs} outputs: expected "
            "one weight per sample (n,), or one per output (n, n_out)"
        )
    low, high = weight.min(), weight.max()
    if not allowed.signed and (low < 0 or not (high or allowed.zeros)):
        way = "; fit, step and backward take negative ones to train on with signed=True"
        raise ValueError(
            f"{name} lies in [{low}, {high}]: expected weights of at least 0, not all 0"
            f"{way if low < 0 else ''}"
        )
    if weight.ndim == 1:
        return Weighed(weight)
    return Weighed(weight[:, 0].copy()) if outputs == 1 else by_output(weight)


def by_output(weight: Floats) -> Weighed:
    """Return weights (n, n_out), with the mean of each row, of their sizes if there are signs."""
    means = np.abs(weight).mean(axis=1, dtype=np.float64).astype(weight.dtype)
    return Weighed(means, np.ascontiguousarray(weight))


def without_missing(
    name: str, targets: Floats, given: Weighed, allowed: Allowed
) -> tuple[Floats, Weighed]:
    """Return targets with 0 for NaN, and weights that are 0 there."""
    is_missing = np.isnan(targets)
    weight: Any = given.output_weight
    if weight is None:
        weight = np.ones((), targets.dtype) if given.weight is None else given.weight[:, None]
    weight = np.where(is_missing, targets.dtype.type(0), weight)
    if not (weight.any() or allowed.zeros):
        raise ValueError(f"{name}: all targets are NaN, or weigh 0: expected one that counts")
    filled = np.where(is_missing, targets.dtype.type(0), targets)
    if weight.shape[1] == 1:
        return filled, Weighed(weight[:, 0].copy())
    return filled, by_output(weight)
