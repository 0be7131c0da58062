"""The engine: the buffers of one net, and the calls into the kernels.

It holds no arithmetic; every number comes from `fastbp.kernels`.
"""

import numpy as np

from .kernels import backprop
from .kernels.activation import ACTIVATIONS
from .kernels.arrays import address
from .kernels.backprop import FORWARD, LOSS, RUN, TRANSPOSE
from .kernels.loss import LOSSES
from .kernels.optimizer import OPTIMIZERS
from .kernels.threads import choose_threads, twin
from .plan import aligned_zeros

_INFERENCE_ROWS = 256
_REGIONS_OF_A_STEP = 2
_NOTHING = np.zeros(2)


class Engine:
    """The state of a net: parameters, moments, and the workspace of its last batch size.

    Parameters
    ----------
    plan : Plan
        The architecture.
    loss : str
        A name in ``LOSSES``.
    loss_parameter : float
        Its parameter; 0 if it has none.
    optimizer : Optimizer
        The optimizer and its hyper-parameters.
    seed : int
        Keys all randomness.

    Attributes
    ----------
    params, grads, moments : numpy.ndarray
        Flat arrays; `moments` holds the first and then the second.
    steps, epochs : int
        Updates and whole epochs so far.
    """

    def __init__(self, plan, loss, loss_parameter, optimizer, seed):
        self.plan, self.loss, self.optimizer, self.seed = plan, loss, optimizer, seed
        self.params = aligned_zeros(plan.size, plan.dtype)
        self.grads = aligned_zeros(plan.size, plan.dtype)
        self.moments = aligned_zeros(2 * plan.size, plan.dtype)
        self.epochs = 0
        self._workspace = None
        self._run = np.zeros(1, RUN)
        run, h = self._run[0], optimizer.hyper_parameters
        run["input_drop"] = plan.input_drop
        run["loss"], run["loss_parameter"] = LOSSES.code(loss), loss_parameter
        run["canonical"] = _is_canonical(loss, plan.specs[-1].activation)
        run["seed"] = seed
        run["optimizer"] = OPTIMIZERS.code(optimizer.name)
        run["corrects_bias"] = optimizer.record.corrects_bias
        for name in ("beta1", "beta2", "epsilon"):
            run[name] = h.get(name, 0.0)
        run["l1"], run["l2"], run["decay"] = h["l1"], h["l2"], h["weight_decay"]
        run["clip_norm"] = optimizer.clip_norm or 0.0

    @property
    def steps(self):
        """Updates made so far."""
        return int(self._run[0]["step"])

    @steps.setter
    def steps(self, count):
        self._run[0]["step"] = count

    def threads_of_step(self, n_threads, rows):
        """Return how many threads a training step on `rows` rows runs on."""
        return choose_threads(n_threads, rows * self.plan.flops_per_row, _REGIONS_OF_A_STEP)

    def gradient(self, data, n_threads="auto"):
        """Run all of `data` forward and backward as one batch: fill `grads`, return the loss."""
        threads = self.threads_of_step(n_threads, len(data))
        self._bind(data, len(data), threads, training=True)
        self.refresh()
        return twin(backprop.gradient, threads)(
            *self._arrays(), self._workspace.work, self.moments, 0, len(data)
        )

    def update(self, rate, n_threads="auto"):
        """Apply one optimizer step from `grads` at the learning rate `rate`."""
        threads = self.threads_of_step(n_threads, 1)
        if self._workspace is None:
            self._lay_out(1, threads, training=True)
        self._run[0]["rate"], self._run[0]["tasks"] = rate, threads
        twin(backprop.update, threads)(*self._arrays(), self.moments, self._workspace.work)

    def start_training(self, data, batch, threads):
        """Prepare buffers for mini-batches of `batch` rows of `data`."""
        self._bind(data, batch, threads, training=True)
        self.refresh()

    def train(self, data, order, rates, first, batch, losses):
        """Run one slice of mini-batches; see `kernels.backprop.train`."""
        self._run[0]["order"] = address(order)
        return twin(backprop.train, self._workspace.tasks)(
            *self._arrays(), self.moments, self._workspace.work,
            rates, first, len(data), batch, losses,
        )  # fmt: skip

    def refresh(self):
        """Make the transposed weights those of the parameters, which a caller may have set."""
        twin(backprop.pass_over_weights, self._workspace.tasks)(
            *self._arrays(), self.moments, self._workspace.work, TRANSPOSE
        )

    def forward(self, data, n_threads="auto"):
        """Return the outputs (n, n_out) for the rows of `data`."""
        out = np.empty((len(data), self.plan.specs[-1].n_out), self.plan.dtype)
        self._infer(FORWARD, data, out, _NOTHING, n_threads)
        return out

    def mean_loss(self, data, n_threads="auto"):
        """Return the weighted mean loss over `data`."""
        totals = np.zeros(2)
        self._infer(LOSS, data, self.params[:0].reshape(0, 1), totals, n_threads)
        return float(totals[0] / totals[1])

    def _infer(self, aim, data, out, totals, n_threads):
        batch = min(len(data), _INFERENCE_ROWS)
        threads = choose_threads(n_threads, batch * self.plan.flops_per_row_forward, 1)
        batch = min(len(data), _INFERENCE_ROWS * threads)
        self._bind(data, batch, threads, training=False)
        twin(backprop.infer, threads)(
            self._workspace.layers, self._run, self.params, self._workspace.work,
            aim, 0, len(data), batch, out, totals,
        )  # fmt: skip

    def _arrays(self):
        return self._workspace.layers, self._run, self.params, self.grads

    def _bind(self, data, batch, threads, training):
        """Lay out the workspace and point the run at `data`."""
        self._lay_out(batch, threads, training)
        run = self._run[0]
        run["x"], run["x_row"] = address(data.x), data.x.shape[1]
        run["y"], run["labels"] = address(data.y), address(data.labels)
        run["sample_weight"], run["order"] = address(data.weight), 0
        run["first"], run["rows"], run["tasks"] = 0, batch, threads

    def _lay_out(self, batch, threads, training):
        here = self._workspace
        if here and (here.batch, here.tasks) == (batch, threads) and here.training >= training:
            return
        self._workspace = here = self.plan.workspace(batch, threads, training)
        run = self._run[0]
        run["input"], run["input_row"] = here.input, here.input_row
        run["row_losses"] = here.row_losses
        run["scratch"], run["scratch_row"] = here.scratch, here.scratch_row
        rows, weights = self._arrays()[:3], self._arrays()
        run["rows_task"] = backprop.rows_task.address(*rows, here.work, 0, 0)
        if training:
            run["weights_task"] = backprop.weights_task.address(
                *weights, self.moments, here.work, 0, 0
            )


def _is_canonical(loss, activation):
    record = LOSSES[loss]
    return record.from_logits is not None and ACTIVATIONS.find(activation).name == record.partner
