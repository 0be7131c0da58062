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

from ...quoted import quoted
from ..simd.intrinsics import fma, square_root
from ..support.scalars import a_number
from .registry import Registry

NOTHING, RATE, RATE_AND_EPSILON = 0, 1, 2
# the hyper-parameters that the kernels hand to a formula, or apply themselves
_READ = {"learning_rate", "beta1", "beta2", "epsilon", "weight_decay"}


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
        Which numbers include the bias correction of the moments by ``1 - beta^t``.
    beta_may_be_one : bool
        Whether beta1 may be 1 itself, as in scikit-learn: a velocity is never lost.
    """

    name: str
    formula: str
    update: object
    defaults: dict = field(default_factory=dict)
    corrects: int = NOTHING
    beta_may_be_one: bool = False

    def __post_init__(self):
        unknown = self.defaults.keys() - _READ
        if unknown:
            raise ValueError(f"optimizer {quoted(self.name)}: no kernel reads {sorted(unknown)}")


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

OPTIMIZERS = Registry(
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
            raise TypeError(f"{record.name} has no parameter {quoted(name)}; it has {[*known]}")
        bounds = _BOUNDS.get(name, _BETAS[record.beta_may_be_one])
        known[name] = a_number(name, value, **bounds)
    return known
