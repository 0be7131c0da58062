"""Samples and targets, checked and in the form that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..annotations import Array, Floats
from ..checks import as_array, float_array, not_finite, same_rows
from ..kernels.formulas.losses import LOSSES, Loss
from ..kernels.support.ramp_rows import RampRows, ramp_rows
from ..kernels.support.sparse_rows import SparseRows, joined_rows, sparse_rows
from .source import joined
from .weights import Allowed, by_output, for_one_process, weights_of, without_missing

if TYPE_CHECKING:
    from ..engine.plan import Plan

Names: TypeAlias = tuple[str, str, str]
_NAMES = ("X", "y", "sample_weight")
_NOTHING_ELSE = Allowed()


@dataclass(frozen=True)
class Samples:
    """Checked arrays of one data set, kept alive while kernels read them."""

    x: Array | SparseRows | RampRows  # (n, n_in), C-contiguous, of the network's dtype
    y: Array | None = None  # (n, n_out) targets; None with `labels`
    labels: Array | None = None  # (n,) int64 classes
    weight: Array | None = None  # (n,) sample weights
    # (n, n_out), those of the outputs, of which `weight` is the mean in size
    output_weight: Array | None = None
    signed: bool = False  # whether weights may be negative
    has_gaps: bool = False  # whether targets are missing, of which `y` is 0

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.x)

    def head(self, count: int) -> Samples:
        """Return the first `count` samples."""
        return Samples(self.x[:count], *self._targets_of(slice(count)))

    def take(self, rows: Array) -> Samples:
        """Return a copy of the samples with the indices `rows`."""
        x = self.x.take(rows) if isinstance(self.x, SparseRows) else self.x[rows]
        return Samples(x, *self._targets_of(rows))

    def parted(self, count: int) -> tuple[Samples, Samples | None]:
        """Return the first `count` samples, and the others, None if there are none."""
        rest = slice(count, len(self))
        behind = Samples(self.x[rest], *self._targets_of(rest)) if count < len(self) else None
        return self.head(count), behind

    def _targets_of(self, rows: Any) -> list[Any]:
        arrays = (self.y, self.labels, self.weight, self.output_weight)
        return [*(a if a is None else a[rows] for a in arrays), self.signed]

    @property
    def is_plain(self) -> bool:
        """Whether X is dense, and outputs have no weights of their own."""
        return self.is_dense and self.output_weight is None

    @property
    def is_sparse(self) -> bool:
        """Whether `x` is a sparse matrix."""
        return isinstance(self.x, SparseRows)

    @property
    def is_dense(self) -> bool:
        """Whether `x` is an array."""
        return isinstance(self.x, np.ndarray)

    @property
    def total_weight(self) -> float:
        """Sum of the sample weights; the number of samples if the weights may be negative."""
        if self.weight is None or self.signed:
            return float(len(self))
        return float(self.weight.sum(dtype=np.float64))


def joined_samples(first: Samples, second: Samples) -> Samples:
    """Return samples one after the other; raise ValueError if they are of different kinds."""
    both = [replace(s, x=s.x.dense()) if isinstance(s.x, RampRows) else s for s in (first, second)]
    if first.is_sparse is not second.is_sparse:
        raise ValueError("X is sparse in some blocks, and dense in others: expected one of them")
    x = joined_rows([s.x for s in both]) if first.is_sparse else np.concatenate([s.x for s in both])
    if (first.output_weight is None) is not (second.output_weight is None):
        both = [_with_output_weights(s) for s in (first, second)]
    y, labels, weight, by_output = (
        joined([getattr(s, field) for s in both], name) for field, name in _COLUMNS.items()
    )
    return Samples(x, y, labels, weight, by_output, first.signed)


# the fields that blocks join, and how a user knows them
_COLUMNS = {
    "y": "y",
    "labels": "y as labels",
    "weight": "sample_weight",
    "output_weight": "sample_weight of outputs",
}


def _with_output_weights(data):
    """Return samples with a weight for each output: a block without NaN may have none."""
    if data.output_weight is not None:
        return data
    ones = np.ones_like(data.y)
    given = by_output(ones if data.weight is None else ones * data.weight[:, None])
    return replace(data, weight=given.weight, output_weight=given.output_weight)


def features(X: Any, plan: Plan, name: str = "X") -> Samples:
    """Check `X` against the inputs of a plan; return `Samples`."""
    if hasattr(X, "tocsr"):
        x = _sparse_rows(name, X, plan.dtype)
    elif isinstance(X, RampRows):
        x = _ramp_rows(name, X, plan)
    else:
        x = float_array(name, X, plan.dtype, rank=2)
    n_in = plan.specs[0].n_in
    if x.shape[1] != n_in:
        raise ValueError(f"{name} has {x.shape[1]} columns but the network has {n_in} inputs")
    return Samples(x)


def _sparse_rows(name, X, dtype):
    if 0 in X.shape:
        raise ValueError(f"{name} has shape {X.shape}: expected at least one sample and column")
    with np.errstate(over="ignore"):
        x = sparse_rows(name, X, dtype)
    finite = np.isfinite(x.data[: x.starts[-1]])
    if not finite.all():
        place = int(np.argmin(finite))
        row = int(np.searchsorted(x.starts, place, side="right")) - 1
        raise not_finite(name, (row, x.columns[place]), x.data[place])
    return x


def _ramp_rows(name, X, plan):
    """Return checked rows with ramps; dense ones if inputs drop out, each by itself."""
    values = float_array(name, X.values, plan.dtype, rank=2)
    x = ramp_rows(name, values, X.starts, X.height)
    return x.dense() if plan.input_drop else x


def samples(
    X: Any,
    y: Any,
    plan: Plan,
    loss: str,
    sample_weight: Any = None,
    names: Names = _NAMES,
    allowed: Allowed = _NOTHING_ELSE,
) -> Samples:
    """Check data against a plan and a loss; return `Samples`, or raise ValueError or TypeError."""
    x = features(X, plan, names[0]).x
    n_out = plan.specs[-1].n_out
    array, record = as_array(names[1], y), LOSSES[loss]
    shape = (len(x), n_out)
    given = weights_of(names[2], sample_weight, shape, plan.dtype, record, allowed)
    has_gaps = False
    if record.targets == "classes" and array.ndim == 1:
        targets = None
        labels = _labels(array, n_out, names[1])
        same_rows(names[1], labels, len(x), names[0])
    else:
        labels = None
        missing = allowed.missing if record.adds_outputs else None
        targets = _targets(array, n_out, plan.dtype, names[1], missing)
        same_rows(names[1], targets, len(x), names[0])
        if missing and (has_gaps := bool(np.isnan(targets).any())):
            targets, given = without_missing(names[1], targets, given, allowed)
        check_range(targets, record, names[1])
        if record.targets == "classes":
            targets = targets / targets.sum(axis=1, keepdims=True)
    weights = (given.weight, given.output_weight)
    return Samples(x, targets, labels, *weights, allowed.signed, has_gaps)


def validation_samples(
    validation_data: Any, plan: Plan, loss: str, is_part: bool = False, missing: bool = False
) -> Samples:
    """Return checked `Samples` of a tuple (X, y) or (X, y, sample_weight); see `samples`.

    Where it is a part of the data, its weights may all be 0. Targets may be `missing`.
    """
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError("validation_data: expected a tuple (X, y) or (X, y, sample_weight)")
    names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
    X, y, *given = validation_data
    allowed = Allowed(missing, zeros=is_part)
    data = samples(X, y, plan, loss, given[0] if given else None, names, allowed)
    if is_part:
        for_one_process(data.output_weight)
    return data


def _labels(array, n_out, name):
    labels = f"labels 0 to {n_out - 1}"
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.floor(array))
        if not whole.all():
            row = np.argmin(whole)
            raise ValueError(
                f"{name} holds {array[row]} in row {row}: expected whole class {labels}"
            )
    elif array.dtype.kind not in "iub":
        raise TypeError(f"{name} has dtype {array.dtype}: expected integer class {labels}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: expected at least one label")
    if array.min() < 0 or array.max() >= n_out:
        bad = array.min() if array.min() < 0 else array.max()
        raise ValueError(
            f"{name} holds the label {bad}: the network has {n_out} outputs, expected {labels}"
        )
    return np.ascontiguousarray(array, np.int64)


def _targets(array, n_out, dtype, name, missing):
    if array.ndim == 1 and n_out == 1:
        array = array[:, None]
    targets = float_array(name, array, dtype, 2, missing, "(n_samples, n_out)")
    if targets.shape[1] != n_out:
        raise ValueError(
            f"{name} has {targets.shape[1]} columns but the network has {n_out} outputs"
        )
    return targets


def check_range(targets: Floats, loss: Loss, name: str) -> None:
    """Raise ValueError unless the loss accepts targets (n, n_out) of this range."""
    low = float(targets.min())
    high = float(targets.max())
    if loss.targets == "nonnegative" and low < 0:
        raise ValueError(f"{name} holds {low}: {loss.name} expects targets of at least 0")
    if loss.targets in ("unit", "classes") and (low < 0 or high > 1):
        bad = low if low < 0 else high
        raise ValueError(f"{name} holds {bad}: {loss.name} expects targets from 0 to 1")
    if loss.targets == "classes":
        sums = targets.sum(axis=1)
        row = int(np.argmax(np.abs(sums - 1)))
        if abs(sums[row] - 1) > 1e-3:
            raise ValueError(
                f"{name}[{row}] adds up to {sums[row]}: {loss.name} expects integer labels (n,), "
                "or rows of probabilities that add up to 1"
            )
