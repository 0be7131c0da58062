"""The solver "lbfgs": SciPy's L-BFGS-B over the flat parameters, the batch being all data.

Reference: Zhu, Byrd, Lu and Nocedal, Algorithm 778: L-BFGS-B, ACM TOMS 23(4), 1997.
"""

import time
from functools import lru_cache

import numpy as np
from scipy.optimize import Bounds, minimize
from threadpoolctl import ThreadpoolController

from ..engine.pace import Pace
from ..kernels.compiler.threads import compile_twins
from ..kernels.net.loop import gradient

# the status of a result that a callback has ended
STOPPED = 99


@lru_cache(maxsize=1)
def _thread_pools():
    """Return the loaded libraries that have thread pools; the search takes 10 ms."""
    return ThreadpoolController()


def _bounds(plan):
    """Return the bounds of the parameters of a monotonic network, None of any other."""
    if not plan.keeps_signs:
        return None
    signs = np.zeros(plan.size)
    for part, of_rows in zip(plan.weights(signs), plan.signs(), strict=True):
        part[:] = of_rows
    return Bounds(np.where(signs > 0, 0, -np.inf), np.where(signs < 0, 0, np.inf))


def minimize_loss(estimator, engine, data, share, before_iteration, after_iteration):
    """Minimize the loss of `data` over the parameters of an engine, in place.

    `share` is a factor of the samples' losses, not of the penalty: scikit-learn averages the
    squared error over the outputs, but not its gradient. `before_iteration()` is called before
    every evaluation of the loss, of which an iteration has one or more; `after_iteration(loss)`
    after every iteration, the engine holding its parameters; True stops.

    Returns SciPy's result with one more attribute: `late`, whether `max_time` ended it.
    """
    max_time = estimator.max_time
    n_threads = estimator.n_threads
    deadline = np.inf if max_time is None else time.perf_counter() + max_time
    most = engine.threads_of_step(n_threads, data, len(data))
    pace = Pace(1, most)
    engine.start_training(data, len(data), most)
    # the pace must not measure a compiler
    compile_twins(gradient, (*engine.arrays(), 0, len(data)), parallel=most > 1)
    last = np.inf
    late = False
    watched = after_iteration is not None or max_time is not None

    def objective(parameters):
        nonlocal last
        before_iteration()
        engine.set_parameters(parameters)
        _, threads = pace.next_slice()
        started = time.perf_counter()
        loss, penalty = engine.gradient(data, threads, most)
        pace.took(1, threads, time.perf_counter() - started)
        last = loss * share + penalty
        return last, engine.grads.astype(np.float64)

    def iteration_ended(parameters):
        nonlocal late
        engine.set_parameters(parameters)
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
            bounds=_bounds(engine.plan),
            callback=iteration_ended if watched else None,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
            },
        )
    engine.set_parameters(result.x)
    result.late = late
    return result
