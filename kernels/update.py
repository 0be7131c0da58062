"""One step of an optimizer, in one pass over flat parameters, gradients and moments.

    W <- W - rate dL/dW        b <- b - rate dL/db

The optimizers' formulas are in `formulas.optimizers`.
"""

import numpy as np
from numba import prange, types

from .compiler.jit import Task, inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .formulas.optimizers import NOTHING, OPTIMIZERS, RATE_AND_EPSILON, checked
from .simd.dispatch import by_address
from .simd.elementary import sign
from .simd.intrinsics import lane_sum, load_part, pointer, store_part, width
from .simd.reduce import least_squares_sum, scaled_squares
from .simd.vector import Pointer
from .support import arrays
from .support.scalars import a_number, a_whole_number
from .tuning import UPDATE_FLOPS

# floats per partial sum of squares: few, so that float32 sums stay accurate
_CHUNK = 512


def _update_task(record):
    formula = inner(record.update)

    def update_range(count, w, g, m, v, numbers):
        rate, decay, step_rate, beta1, beta2, epsilon, l1, l2, clip = numbers
        shared = clip != 1 or l1 > 0 or l2 != 0 or decay > 0
        for i in range(0, count, width(w)):
            left = count - i
            old, slope = load_part(w + i, left), load_part(g + i, left)
            if shared:
                slope = slope * clip + l2 * old + l1 * sign(old)
                old = old * (1 - rate * decay)
            first, second = load_part(m + i, left), load_part(v + i, left)
            new = formula(old, slope, first, second, step_rate, beta1, beta2, epsilon)
            store_part(w + i, new[0], left)
            store_part(m + i, new[1], left)
            store_part(v + i, new[2], left)

    update_range.__name__ = f"update_{record.name}"
    numbers = types.UniTuple(types.float64, 9)
    return Task(update_range, lambda kind: (types.intp, *[Pointer(kind)] * 4, numbers))


# update `count` parameters in place from their gradients, all four pointers; the numbers are
# (rate, decay, step_rate, beta1, beta2, epsilon, l1, l2, clip): `rate` is the learning rate,
# `step_rate` and `epsilon` include the corrections of the moments' bias (`corrected`)
UPDATES = {record.name: _update_task(record) for record in OPTIMIZERS.values()}
run_update = by_address(UPDATES["sgd"])


@inner
def corrected(corrects, rate, beta1, beta2, epsilon, step):
    """Return the rate and the epsilon that correct the moments' bias at `step`, from 1.

    ``rate (m / c1) / (sqrt(v / c2) + e) = (rate sqrt(c2) / c1) m / (sqrt(v) + e sqrt(c2))``
    """
    if corrects != NOTHING:
        root = (1 - beta2**step) ** 0.5
        rate = rate * root / (1 - beta1**step)
        if corrects == RATE_AND_EPSILON:
            epsilon = epsilon * root
    return rate, epsilon


@inner
def sum_of_squares(count, g):
    """Return the float64 sum of squares of `count` floats, added in a fixed order."""
    total = 0.0
    for start in range(0, count, _CHUNK):
        end = min(start + _CHUNK, count)
        part = load_part(g + start, end - start)
        squares = part * part
        for i in range(start + width(g), end, width(g)):
            part = load_part(g + i, end - i)
            squares = squares + part * part
        total += lane_sum(squares)
    return total


@inner
def clip_factor(count, g, clip_norm):
    """Return ``min(1, clip_norm / |g|)`` of `count` floats; 1 where `clip_norm` is 0."""
    if clip_norm > 0:
        top, squares = 1.0, sum_of_squares(count, g)
        if not least_squares_sum(g, count) <= squares < np.inf:
            top, squares = scaled_squares(count, g)
        norm = squares**0.5
        if top * norm > clip_norm:
            return clip_norm / top / norm
    return 1.0


@kernel
def update_flat(
    loop, w, g, moments, rate, decay, step_rate, beta1, beta2, epsilon, l1, l2, clip_norm, tasks
):
    """Update flat parameters in place, ranges shared by the tasks; `moments` is (2 n,)."""
    clip = clip_factor(g.size, pointer(g), clip_norm)
    for task in prange(tasks):
        lo, hi = task * w.size // tasks, (task + 1) * w.size // tasks
        x, slope, m = pointer(w) + lo, pointer(g) + lo, pointer(moments) + lo
        numbers = (rate, decay, step_rate, beta1, beta2, epsilon, l1, l2, clip)
        run_update(loop, hi - lo, x, slope, m, m + w.size, numbers)


def update(
    name: str,
    w: arrays.Floats,
    g: arrays.Floats,
    moments: arrays.Floats,
    step: int,
    *,
    clip_norm: float | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    n_threads: Threads = "auto",
    **hyper: float,
) -> None:
    """Apply one step of an optimizer to flat parameters, in place.

    Parameters
    ----------
    name : str
        A name in ``OPTIMIZERS``.
    w, g : array (n,)
        The parameters, written, and their gradient: float32 or float64, contiguous.
    moments : array (2, n)
        The first and second moments, written; zeros before the first step.
    step : int
        The number of this step, from 1.
    clip_norm : float, optional
        The gradient is scaled down to this norm if its norm is larger.
    l1, l2 : float
        Penalties: ``l1 sign(w) + l2 w`` is added to the gradient.
    n_threads : int or "auto"
        Threads to share the parameters.
    **hyper : float
        learning_rate, beta1, beta2, epsilon, weight_decay; default: those of the table.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, a number is out of range, or an array has another dtype, rank or
        shape, cannot be written or overlaps another; g may be w itself.
    """
    record = OPTIMIZERS.find(name)
    h = dict.fromkeys(("beta1", "beta2", "epsilon"), 0.0)
    h |= checked(record, {**hyper, "l1": l1, "l2": l2})
    clip_norm = 0.0 if clip_norm is None else a_number("clip_norm", clip_norm, above=0)
    step = a_whole_number("step", step, least=1, below=2**63)
    arrays.floats("w", w, 1)
    w = arrays.output("w", w, np.shape(w), np.asarray(w).dtype)
    g = np.ascontiguousarray(arrays.floats("g", g, 1, like=w))
    arrays.expect("g", g, w.shape)
    moments = arrays.output("moments", moments, (2, w.size), w.dtype)
    arrays.apart_or_equal(w, "w", g=g)
    arrays.apart(w, "w", moments=moments)
    arrays.apart(moments, "moments", g=g)
    rate, decay, betas = h["learning_rate"], h["weight_decay"], (h["beta1"], h["beta2"])
    step_rate, epsilon = corrected.py_func(record.corrects, rate, *betas, h["epsilon"], step)
    tasks = choose_threads(n_threads, UPDATE_FLOPS * w.size, 1)
    numbers = (rate, decay, step_rate, *betas, epsilon, h["l1"], h["l2"], clip_norm)
    loop = UPDATES[record.name].address(w.dtype)
    flat_moments = moments.reshape(-1)
    twin(update_flat, tasks)(loop, w, g, flat_moments, *numbers, tasks)
