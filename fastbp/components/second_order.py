"""Optimizers that see all rows at once: ``LevenbergMarquardt(damping=1e-3)``, ``LBFGS()``.

An epoch of `Network.fit` is one iteration of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ..checks import settle
from ..kernels.formulas.optimizers import Optimizer as Record
from ..kernels.support.scalars import a_number, a_whole_number
from .optimizers import Optimizer
from .schedules import Constant

if TYPE_CHECKING:
    from typing_extensions import Self

# what the engine reads of any optimizer: here all is done elsewhere
_OF_STEPS = {"l1": 0.0, "weight_decay": 0.0, "learning_rate": 1.0}


class WholeBatch(Optimizer):
    """An optimizer of `fit` alone: each iteration takes all rows, and finds its own step.

    `batch_size` and `shuffle` change nothing.
    """

    def __init__(self, name: str, formula: str, **numbers: float) -> None:
        settle(self, record=Record(name, formula, None), schedule=Constant())
        settle(self, clip_norm=None, clip_sample_norm=None)
        settle(self, _numbers=_OF_STEPS | numbers)

    def require_steps(self) -> NoReturn:
        """Raise TypeError: there are no single steps."""
        raise TypeError(
            f"optimizer={self!r}: it takes all rows at once: call fit, or make the network with an "
            "optimizer of single steps, such as Adam"
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that `with_parameters` changes: the arguments."""
        return {name: n for name, n in self._numbers.items() if name not in _OF_STEPS}

    def with_parameters(self, **changes: Any) -> Optimizer:
        """Return an optimizer like this one with some other `parameters`, which are checked."""
        return type(self)(**{**self.parameters, **changes})

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{type(self).__name__}({arguments})"

    def __str__(self) -> str:
        return repr(self)

    @classmethod
    def of(cls, numbers: Mapping[str, Any]) -> Self:
        """Return the optimizer with the hyper-parameters of another."""
        unknown = {name for name, value in _OF_STEPS.items() if numbers[name] != value}
        if unknown:
            raise ValueError(f"{cls.__name__} has no {', '.join(sorted(unknown))}")
        return cls(**{name: n for name, n in numbers.items() if name not in _OF_STEPS})


class LevenbergMarquardt(WholeBatch):
    """Damped Gauss-Newton steps, for the squared error of small networks.

    ``(J^T J + mu D) s = -g``: J (n n_out, n_parameters) are the derivatives of all outputs, each
    sample by its share of the weights, g is the gradient, and D the largest diagonal of J^T J so
    far. The network moves by s and half of how s turns where the outputs bend: one more pass finds
    that. If this lowers the loss by the share r of what the linear model predicts,
    ``mu *= max(1/3, 1 - (2 r - 1)^3)``; a step that does not, or turns by more than three quarters
    of its length, is tried again with mu times 2, 4, 8, ... J^T J is added up in blocks of rows:
    it takes some ``32 n_parameters^2`` bytes, and an iteration ``n n_out n_parameters^2``
    operations. Use dtype float64 to come close to a minimum; in float32 all of D are alike, and
    steps that turn more go straight on: rounding hides where they turn.

    References: Marquardt, An algorithm for least-squares estimation of nonlinear parameters, SIAM
    J. Appl. Math. 11, 1963; Moré, The Levenberg-Marquardt algorithm: implementation and theory,
    Lecture Notes in Mathematics 630, 1978 (D); Hagan and Menhaj, Training feedforward networks
    with the Marquardt algorithm, IEEE Trans. Neural Networks 5, 1994; Nielsen, Damping parameter
    in Marquardt's method, IMM-REP-1999-05, Technical University of Denmark (how mu changes);
    Transtrum and Sethna, Improvements to the Levenberg-Marquardt algorithm for nonlinear
    least-squares minimization, arXiv:1201.5885, 2012 (the turn).

    Parameters
    ----------
    damping : float, default 1e-2
        The first mu.
    l2 : float, default 0
        Penalty ``l2 / 2 sum W^2`` of the weights, not of the biases.
    tol : float, default 1e-10
        Training has converged when no element of the gradient is larger, or no step lowers the
        loss.
    """

    def __init__(self, damping: float = 1e-2, l2: float = 0.0, tol: float = 1e-10) -> None:
        super().__init__(
            "levenberg_marquardt",
            "(J^T J + mu D) s = -g; w += s if the loss is lower, else mu is larger",
            damping=a_number("damping", damping, above=0),
            l2=a_number("l2", l2, low=0),
            tol=a_number("tol", tol, low=0),
        )


class LBFGS(WholeBatch):
    """The quasi-Newton method of limited memory, with a line search.

    The direction is ``-H g``, H an approximate inverse of the Hessian from the last `memory`
    steps; the length of the step satisfies the strong Wolfe conditions.

    References: Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 35,
    1980; Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.5, 3.6 and 7.4.

    Parameters
    ----------
    memory : int, default 10
        Steps that are remembered.
    l2 : float, default 0
        Penalty ``l2 / 2 sum W^2`` of the weights, not of the biases.
    tol : float, default 1e-10
        Training has converged when no element of the gradient is larger, or no step lowers the
        loss.
    """

    def __init__(self, memory: int = 10, l2: float = 0.0, tol: float = 1e-10) -> None:
        super().__init__(
            "lbfgs",
            "w -= t H g, H of the last steps, t by the strong Wolfe conditions",
            memory=a_whole_number("memory", memory, least=1, below=10**6),
            l2=a_number("l2", l2, low=0),
            tol=a_number("tol", tol, low=0),
        )


#: The classes by the names of their optimizers, which model files have.
WHOLE_BATCH: dict[str, type[WholeBatch]] = {
    "levenberg_marquardt": LevenbergMarquardt,
    "lbfgs": LBFGS,
}
