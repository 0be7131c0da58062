"""Outputs with dropout, drawn several times: their mean and their spread."""

from typing import Any

import numpy as np

from ..annotations import Floats
from ..kernels.compiler.threads import twin
from ..kernels.net import loop
from ..kernels.net.passes import DROPPED
from ..kernels.net.records import gathered
from ..kernels.support.arrays import address
from .inputs import numbers_of

_NOTHING = np.zeros(1)


class Dropped:
    """What an `Engine` does with dropout outside of training."""

    # of the engine
    plan: Any
    params: Any
    threads_of_rows: Any
    _inference_rows: Any
    _inputs_to_train: Any
    _place: Any
    _place_data: Any
    _run: Any
    _workspace: Any

    def forward_dropped(self, data: Any, samples: int, n_threads: Any) -> tuple[Floats, Floats]:
        """Return mean and standard deviation (n, n_out) of the outputs over so many draws.

        Draw s has the masks of training step s, by the seed, and each row those of its number.
        """
        count, threads = len(data), self.threads_of_rows(n_threads, len(data))
        batch = min(count, self._inference_rows * threads)
        inputs = self._inputs_to_train(data.x)
        here, run = self._workspace(batch, threads, True, inputs), gathered([self._run])
        self._place(run, here)
        self._place_data(run[0], data)
        rows = np.arange(count)
        run[0]["places"], run[0]["loss_slope"] = address(rows), 0
        out = self.plan.new_outputs(count)
        mean, squares = np.zeros(out.shape), np.zeros(out.shape)
        infer, x = twin(loop.infer, threads), address(numbers_of(data.x))
        arrays = (here.layers, run, self.params, here.work)
        for number in range(samples):
            run[0]["step"] = number
            infer(*arrays, DROPPED, x, 0, count, batch, out, _NOTHING)
            off = out - mean  # Welford's update
            mean += off / (number + 1)
            squares += off * (out - mean)
        spread = np.sqrt(squares / (samples - 1))
        return mean.astype(out.dtype), spread.astype(out.dtype)
