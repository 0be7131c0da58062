"""The solver "lbfgs": SciPy's L-BFGS-B over the flat parameters, the batch being all data.

Reference: Zhu, Byrd, Lu and Nocedal, Algorithm 778: L-BFGS-B, ACM TOMS 23(4), 1997.
"""

import time
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from ..training.pace import Pace

# the status of a result that a callback has ended
STOPPED = 99


@lru_cache(maxsize=1)
def _thread_pools():
    """Return the loaded libraries that have thread pools; the search takes 10 ms."""
    return ThreadpoolController()


def minimize_loss(
    engine, data, share, settings, n_threads, before_iteration, after_iteration, max_time
):
    """Minimize the loss of `data` over the parameters of an engine, in place.

    Parameters
    ----------
    engine : Engine
        The net; its `penalty` is part of the loss.
    data : Samples
        All data.
    share : float
        Factor of the samples' losses, not of the penalty: scikit-learn averages the squared
        error over the outputs, but not its gradient.
    settings : dict
        `max_iter`, `max_fun` and `tol` of the estimator.
    n_threads : int or "auto"
        Threads to run on.
    before_iteration : callable
        Called before every evaluation of the loss, of which an iteration has one or more.
    after_iteration : callable or None
        Called with the last loss after every iteration, the engine holding its parameters;
        True stops.
    max_time : float or None
        Seconds after which no further iteration begins.

    Returns
    -------
    scipy.optimize.OptimizeResult
        And in it `late`: whether `max_time` has ended it.
    """
    deadline = np.inf if max_time is None else time.perf_counter() + max_time
    most = engine.threads_of_step(n_threads, data, len(data))
    pace = Pace(1, most, n_threads == "auto")
    last, late, watched = np.inf, False, after_iteration is not None or max_time is not None

    def objective(parameters):
        nonlocal last
        before_iteration()
        engine.params[:] = parameters
        _, threads = pace.next_slice()
        started = time.perf_counter()
        loss, penalty = engine.gradient(data, threads, most)
        pace.took(1, threads, time.perf_counter() - started)
        last = loss * share + penalty
        return last, engine.grads.astype(np.float64)

    def iteration_ended(parameters):
        nonlocal late
        engine.params[:] = parameters
        stops = after_iteration is not None and after_iteration(last)
        late = not stops and time.perf_counter() > deadline
        if stops or late:
            raise StopIteration

    # its products of short vectors are slower on several threads, which wait for each other
    with _thread_pools().limit(limits=1, user_api="blas"):
        result = minimize(
            objective,
            engine.params.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=iteration_ended if watched else None,
            options={
                "maxfun": settings["max_fun"],
                "maxiter": settings["max_iter"],
                "gtol": settings["tol"],
            },
        )
    engine.params[:], result.late = result.x, late
    return result
