"""Optimizers: one pass over flat parameters, gradients and moments.

Each record's formula maps one vector of ``(w, g, m, v)`` to the new
``(w, m, v)``; the kernel adds what all of them share:

    g = clip g + l2 w + l1 sign(w)        w = w - rate decay w

with ``clip = min(1, clip_norm / |g|)`` over all parameters. The penalties act on
weights, not on biases.

References: Polyak, USSR Comput. Math. Math. Phys. 4(5), 1964 (momentum);
Sutskever et al., ICML 2013 (Nesterov's, in the form that needs no look-ahead;
velocities that hold the rate, eq. 1 to 4);
Kingma and Ba, Adam, ICLR 2015, algorithm 1, and section 2 for its epsilon hat;
Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019; Tieleman
and Hinton, lecture 6.5 of Neural networks for machine learning, 2012 (RMSprop);
Duchi, Hazan and Singer, JMLR 12, 2011 (AdaGrad); Pascanu, Mikolov and Bengio,
ICML 2013 (clipping).
"""

from dataclasses import dataclass, field

import numpy as np
from numba import prange

from . import arrays
from .elementary import sign
from .intrinsics import fma, lane_sum, load_part, pointer, square_root, store_part, width
from .jit import inner, kernel
from .scalars import a_number, a_whole_number
from .table import Table, by_code
from .threads import choose_threads, twin

NOTHING, RATE, RATE_AND_EPSILON = 0, 1, 2


@dataclass(frozen=True)
class Optimizer:
    """One optimizer.

    Attributes
    ----------
    name, formula : str
        The name in the API and the formula as a user reads it.
    update : callable
        ``update(w, g, m, v, rate, beta1, beta2, epsilon) -> (w, m, v)`` of vectors.
    defaults : dict
        The hyper-parameters it reads, with their defaults.
    corrects : {NOTHING, RATE, RATE_AND_EPSILON}
        What takes up the division of the moments by ``1 - beta^t``.
    beta_may_be_one : bool
        Whether beta1 may be 1 itself, as in scikit-learn: a velocity is never lost.
    """

    name: str
    formula: str
    update: object
    defaults: dict = field(default_factory=dict)
    corrects: int = NOTHING
    beta_may_be_one: bool = False


def _sgd(w, g, m, v, rate, beta1, beta2, epsilon):
    return w - rate * g, m, v


def _momentum(w, g, m, v, rate, beta1, beta2, epsilon):
    m = beta1 * m + g
    return w - rate * m, m, v


def _nesterov(w, g, m, v, rate, beta1, beta2, epsilon):
    m = beta1 * m + g
    return w - rate * (g + beta1 * m), m, v


def _velocity(w, g, m, v, rate, beta1, beta2, epsilon):
    m = beta1 * m - rate * g
    return w + m, m, v


def _velocity_nesterov(w, g, m, v, rate, beta1, beta2, epsilon):
    step = rate * g
    m = beta1 * m - step
    return w + (beta1 * m - step), m, v


def _adam(w, g, m, v, rate, beta1, beta2, epsilon):
    m = fma(1 - beta1, g, beta1 * m)
    v = fma((1 - beta2) * g, g, beta2 * v)
    return fma(-rate, m / (square_root(v) + epsilon), w), m, v


def _rmsprop(w, g, m, v, rate, beta1, beta2, epsilon):
    v = fma((1 - beta2) * g, g, beta2 * v)
    return fma(-rate, g / (square_root(v) + epsilon), w), m, v


def _adagrad(w, g, m, v, rate, beta1, beta2, epsilon):
    v = fma(g, g, v)
    return fma(-rate, g / (square_root(v) + epsilon), w), m, v


_ADAM_DEFAULTS = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}

OPTIMIZERS = Table(
    "optimizer",
    [
        Optimizer("sgd", "w -= rate g", _sgd, {"learning_rate": 1e-2}),
        Optimizer(
            "momentum",
            "m = beta1 m + g; w -= rate m",
            _momentum,
            {"learning_rate": 1e-2, "beta1": 0.9},
        ),
        Optimizer(
            "nesterov",
            "m = beta1 m + g; w -= rate (g + beta1 m)",
            _nesterov,
            {"learning_rate": 1e-2, "beta1": 0.9},
        ),
        Optimizer(
            "adam",
            "m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; "
            "w -= rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)",
            _adam,
            _ADAM_DEFAULTS,
            corrects=RATE_AND_EPSILON,
        ),
        Optimizer(
            "adamw",
            "adam, and w -= rate weight_decay w",
            _adam,
            {**_ADAM_DEFAULTS, "weight_decay": 1e-2},
            corrects=RATE_AND_EPSILON,
        ),
        Optimizer(
            "rmsprop",
            "v = beta2 v + (1 - beta2) g^2; w -= rate g / (sqrt(v) + epsilon)",
            _rmsprop,
            {"learning_rate": 1e-3, "beta2": 0.9, "epsilon": 1e-8},
        ),
        Optimizer(
            "adagrad",
            "v = v + g^2; w -= rate g / (sqrt(v) + epsilon)",
            _adagrad,
            {"learning_rate": 1e-2, "epsilon": 1e-10},
        ),
        Optimizer(
            "velocity",
            "m = beta1 m - rate g; w += m",
            _velocity,
            {"learning_rate": 1e-2, "beta1": 0.9},
            beta_may_be_one=True,
        ),
        Optimizer(
            "velocity_nesterov",
            "m = beta1 m - rate g; w += beta1 m - rate g",
            _velocity_nesterov,
            {"learning_rate": 1e-2, "beta1": 0.9},
            beta_may_be_one=True,
        ),
        Optimizer(
            "adam_hat",
            "m and v as adam; w -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)",
            _adam,
            _ADAM_DEFAULTS,
            corrects=RATE,
        ),
    ],
)

_update = by_code([record.update for record in OPTIMIZERS.values()])
# floats of a partial sum of squares, kept small so that float32 sums stay accurate
_CHUNK = 512
_BOUNDS = {
    "learning_rate": {"above": 0},
    "epsilon": {"above": 0},
    "l1": {"low": 0},
    "l2": {"low": 0},
    "weight_decay": {"low": 0},
}
_BETAS = {False: {"low": 0, "below": 1}, True: {"low": 0, "most": 1}}
_SHARED = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0}


def checked(record, hyper):
    """Return the hyper-parameters of a record: the dict `hyper`, and defaults for the rest.

    Raises
    ------
    TypeError, ValueError
        If the optimizer has no such parameter, or a number is out of its range.
    """
    known = {**_SHARED, **record.defaults}
    for name, value in hyper.items():
        if name not in known:
            raise TypeError(f"{record.name} has no parameter {name!r}; it has {[*known]}")
        bounds = _BOUNDS.get(name, _BETAS[record.beta_may_be_one])
        known[name] = a_number(name, value, **bounds)
    return known


@inner
def update_range(
    code, count, w, g, m, v, rate, decay, step_rate, beta1, beta2, epsilon, l1, l2, clip
):
    """Update `count` parameters in place from their gradients.

    `rate` is the learning rate; `step_rate` and `epsilon` include the bias
    corrections of the moments (`corrected`).
    """
    shared = clip != 1 or l1 > 0 or l2 != 0 or decay > 0
    for i in range(0, count, width(w)):
        left = count - i
        old, slope = load_part(w + i, left), load_part(g + i, left)
        if shared:
            slope = slope * clip + l2 * old + l1 * sign(old)
            old = old * (1 - rate * decay)
        first, second = load_part(m + i, left), load_part(v + i, left)
        new = _update(code, old, slope, first, second, step_rate, beta1, beta2, epsilon)
        store_part(w + i, new[0], left)
        store_part(m + i, new[1], left)
        store_part(v + i, new[2], left)


@inner
def corrected(corrects, rate, beta1, beta2, epsilon, step):
    """Return the rate and epsilon that correct the moments' bias at `step` >= 1.

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
        norm = sum_of_squares(count, g) ** 0.5
        if norm > clip_norm:
            return clip_norm / norm
    return 1.0


@kernel
def update_flat(
    code, w, g, moments, rate, decay, step_rate, beta1, beta2, epsilon, l1, l2, clip_norm, tasks
):
    """Update flat parameters in place, ranges shared by the tasks; moments is (2 n,)."""
    clip = clip_factor(g.size, pointer(g), clip_norm)
    for task in prange(tasks):
        lo, hi = task * w.size // tasks, (task + 1) * w.size // tasks
        update_range(
            code, hi - lo, pointer(w) + lo, pointer(g) + lo, pointer(moments) + lo,
            pointer(moments) + w.size + lo, rate, decay, step_rate, beta1, beta2, epsilon,
            l1, l2, clip,
        )  # fmt: skip


def update(name, w, g, moments, step, *, clip_norm=None, l1=0.0, l2=0.0, n_threads="auto", **hyper):
    """Apply one step of an optimizer to flat parameters, in place.

    Parameters
    ----------
    name : str
        A name in ``OPTIMIZERS``.
    w, g : array (n,)
        Parameters, written, and their gradient; float32 or float64, contiguous.
    moments : array (2, n)
        The first and second moments, zeros before the first step; written.
    step : int
        The number of this step, from 1.
    clip_norm : float, optional
        Scale the gradient down to this norm where it is larger.
    l1, l2 : float
        Penalties: ``l1 sign(w) + l2 w`` is added to the gradient.
    n_threads : int or "auto"
        Threads to share the parameters.
    **hyper : float
        learning_rate, beta1, beta2, epsilon, weight_decay; default: the table's.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, a number negative, or an array of another dtype, rank or shape.
    """
    record = OPTIMIZERS.find(name)
    h = {
        "beta1": 0.0,
        "beta2": 0.0,
        "epsilon": 0.0,
        **checked(record, {**hyper, "l1": l1, "l2": l2}),
    }
    clip_norm = 0.0 if clip_norm is None else a_number("clip_norm", clip_norm, above=0)
    step = a_whole_number("step", step, least=1)
    arrays.floats("w", w, 1)
    w = arrays.output("w", w, np.shape(w), np.asarray(w).dtype)
    g = np.ascontiguousarray(arrays.floats("g", g, 1, like=w))
    arrays.expect("g", g, w.shape)
    moments = arrays.output("moments", moments, (2, w.size), w.dtype)
    betas = h["beta1"], h["beta2"]
    rate, epsilon = corrected.py_func(
        record.corrects, h["learning_rate"], *betas, h["epsilon"], step
    )
    tasks = choose_threads(n_threads, 20.0 * w.size, 1)
    twin(update_flat, tasks)(
        OPTIMIZERS.code(name), w, g, moments.reshape(-1), h["learning_rate"], h["weight_decay"],
        rate, *betas, epsilon, h["l1"], h["l2"], clip_norm, tasks,
    )  # fmt: skip
