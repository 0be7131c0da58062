"""The `Network`: names, checks and memory around the engine. It holds no arithmetic."""

from contextlib import contextmanager

import numpy as np

from . import model_file
from .checks import all_finite, as_callables
from .components.initializers import INITIALIZERS
from .components.optimizers import as_optimizer
from .data.feed import feed_of
from .data.samples import features, samples
from .engine.architecture import describe, resolve
from .engine.engine import Engine
from .engine.gradients import Gradients
from .engine.plan import Plan
from .kernels.formulas.losses import LOSSES
from .kernels.support.scalars import a_flag, a_number, a_whole_number
from .training.checkpoints import Keeper, as_checkpoints, resumed
from .training.fit import Options, Training, as_stopping
from .training.metrics import metric_of


class Network:
    """A multilayer perceptron trained by backpropagation on the CPU.

    Parameters
    ----------
    sizes : sequence of int, optional
        Units of each layer from input to output: ``[64, 100, 10]``.
    activation : str or sequence of str, optional
        The hidden layers' activation, or one for each; "relu" if it is not given.
    loss : str, default "squared_error"
        A name in ``fastbp.LOSSES``.
    optimizer : str or Optimizer, default "adam"
        A name in ``fastbp.OPTIMIZERS``, or for example ``Adam(1e-3)``.
    inputs, layers : int, sequence of Dense and Dropout, optional
        The long form, in place of `sizes`.
    output_activation : str, optional
        Default: the loss's partner (softmax for cross_entropy).
    loss_parameter : float, optional
        The threshold of ``huber`` (default 1) or the quantile of ``quantile`` (0.5).
    initializer : str, optional
        Of the short form's layers; default: what suits the activation.
    dtype : {"float32", "float64"}, default "float32"
        What it computes in.
    seed : int, default 0
        Keys initial weights, shuffles and dropout.

    Raises
    ------
    ValueError, TypeError
        If an argument is not of this form; the message names it.
    """

    def __init__(
        self,
        sizes=None,
        activation=None,
        loss="squared_error",
        optimizer="adam",
        *,
        inputs=None,
        layers=None,
        output_activation=None,
        loss_parameter=None,
        initializer=None,
        dtype="float32",
        seed=0,
    ):
        self._loss = LOSSES.find(loss)
        specs, input_drop = resolve(
            sizes, activation, inputs, layers, output_activation, initializer, self._loss
        )
        if dtype not in ("float32", "float64", np.float32, np.float64):
            raise ValueError(f'dtype={dtype!r}: expected "float32" or "float64"')
        seed = a_whole_number("seed", seed, least=0, below=2**63)
        plan = Plan(specs, input_drop, np.dtype(dtype))
        self._parameter = self._loss.parameter_of("loss_parameter", loss_parameter)
        self._engine = Engine(plan, self._loss.name, self._parameter, as_optimizer(optimizer), seed)
        self.history = None
        self._draw_weights()

    def _draw_weights(self):
        # where the moments will be: float64 numbers of a large layer take no memory of their own
        numbers = self._engine.moments.view(np.float64)
        for n, (spec, weights) in enumerate(
            zip(self._engine.plan.specs, self.weights, strict=True)
        ):
            drawn = numbers[: weights.size].reshape(weights.shape)
            INITIALIZERS[spec.initializer].draw(self._engine.seed, n, drawn)
            weights[:] = drawn
            drawn[:] = 0

    @property
    def weights(self):
        """The weight matrices W(l) (n_in, n_out), as writable views."""
        return self._engine.plan.weights(self._engine.params)

    @property
    def biases(self):
        """The bias vectors b(l) (n_out,), as writable views."""
        return self._engine.plan.biases(self._engine.params)

    @property
    def parameters(self):
        """All parameters as one flat writable array: W(1), b(1), W(2), ..."""
        return self._engine.params

    @property
    def dtype(self):
        """What the network computes in."""
        return self._engine.plan.dtype

    @property
    def loss(self):
        """The name of the loss."""
        return self._loss.name

    @property
    def optimizer(self):
        """The optimizer with its hyper-parameters."""
        return self._engine.optimizer

    def forward(self, X, n_threads="auto"):
        """Run the forward pass: return the outputs A(L) (n, n_out), dropout inactive."""
        return self._engine.forward(features(X, self._engine.plan), n_threads)

    def backward(self, X, y, sample_weight=None, n_threads="auto"):
        """Run both passes on one batch: return its mean loss and the `Gradients`.

        Dropout acts as it does in the next step of training. The penalties l1 and
        l2 are the optimizer's and are not part of the loss or of its gradient.
        """
        data = samples(X, y, self._engine.plan, self.loss, sample_weight)
        with self._alone():
            loss, _ = self._engine.gradient(data, n_threads)
            flat = self._engine.grads.copy()
        plan = self._engine.plan
        return loss, Gradients(plan.weights(flat), plan.biases(flat), flat)

    def update(self, grads, epoch=None, n_threads="auto"):
        """Apply one step of the optimizer from `grads`.

        The learning rate is the schedule's at time `epoch`, which may be a fraction;
        default: the whole epochs that `fit` has trained.

        Raises
        ------
        TypeError, ValueError
            If `grads` are of another network, or not finite.
        """
        epoch = self._engine.epochs if epoch is None else a_number("epoch", epoch, low=0)
        if not isinstance(grads, Gradients) or _shapes(grads) != _shapes(self):
            raise TypeError("grads: expected what backward of a network of this shape returned")
        if not all_finite(grads.flat):
            raise ValueError(
                "grads: they hold NaN or infinity, expected finite numbers; nothing was updated"
            )
        rate = self.optimizer.rates(np.array([float(epoch)]))[0]
        with self._alone():
            self._engine.grads[:] = grads.flat
            self._engine.update(float(rate), n_threads)

    def fit(
        self,
        X,
        y=None,
        epochs=10,
        batch_size=128,
        *,
        sample_weight=None,
        validation_data=None,
        early_stopping=None,
        shuffle=True,
        n_threads="auto",
        progress=False,
        callbacks=(),
        max_time=None,
        checkpoints=None,
        resume=False,
    ):
        """Train on mini-batches; return the `History`.

        Parameters
        ----------
        X : array_like (n, n_in), Source or iterable of (X, y)
            Samples; converted to the network's dtype if they are of another. A source of
            ``fastbp.data`` is read block by block and brings its targets; so do an iterator
            and, without `y`, a list of blocks or a loader: they are gone through once, and
            their blocks kept in a scratch file.
        y : array_like (n, n_out) or (n,)
            Targets; class labels 0 to n_out - 1 for cross_entropy.
        epochs, batch_size : int
            Passes over the data, and samples a step.
        sample_weight : array_like (n,), optional
            Weights of the samples in the loss.
        validation_data : tuple (X, y), optional
            Scored after every epoch.
        early_stopping : bool, int or EarlyStopping, optional
            True, a patience in epochs, or the full form.
        shuffle : bool, default True
            Whether every epoch has an order of its own.
        n_threads : int or "auto", default "auto"
            The result's bits do not depend on it.
        progress : bool, default False
            Whether to show a progress bar.
        callbacks : callable or sequence of callables
            Called with each epoch's entry of the history; True stops.
        max_time : float, optional
            Seconds after which training stops, within a slice of about 50 ms.
        checkpoints : path or Checkpoints, optional
            Where to keep what training goes on from if it ends early. SIGTERM then ends it
            within a slice, as Ctrl-C does, and both write a checkpoint.
        resume : bool, default False
            Whether to go on from the last checkpoint, if there is one: with the bits of the
            training that nobody stopped. The data and the arguments must be the same.

        Returns
        -------
        History
            Also kept as ``network.history``. After Ctrl-C it says "interrupted", after
            SIGTERM "terminated".

        Raises
        ------
        DivergenceError
            If a loss is not finite; the network then holds its best weights.
        ValueError, TypeError
            If an argument is not of this form; nothing is changed then.
        """
        plan = self._engine.plan
        options = Options(
            a_whole_number("epochs", epochs, least=1),
            as_stopping(early_stopping),
            n_threads,
            a_flag("progress", progress),
            as_callables(callbacks),
            None if max_time is None else a_number("max_time", max_time, above=0),
        )
        batch_size = a_whole_number("batch_size", batch_size, least=1)
        checkpoints = as_checkpoints(checkpoints, a_flag("resume", resume))
        feed = feed_of(
            X, y, sample_weight, plan, self.loss, batch_size, a_flag("shuffle", shuffle),
            self._engine.seed, options.epochs,
        )  # fmt: skip
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise TypeError("validation_data: expected a tuple (X, y)")
            names = ("validation_data[0]", "validation_data[1]")
            X_valid, y_valid = validation_data
            validation = samples(X_valid, y_valid, plan, self.loss, names=names)
        with self._alone():
            keep = None if checkpoints is None else Keeper(checkpoints, self._state, feed.key)
            progress = None
            if resume:
                model, progress = resumed(checkpoints, feed.key, self._state())
            training = Training(self._engine, feed, validation, options, keep, progress)
            if resume:
                self._take(model)
            self.history = training.history
            return training.run()

    @contextmanager
    def _alone(self):
        """Hold the buffers of training, which are one set, or raise RuntimeError."""
        if not self._engine.in_use.acquire(blocking=False):
            raise RuntimeError(
                "another thread trains this network; give each thread a copy (copy.deepcopy)"
            )
        try:
            yield
        finally:
            self._engine.in_use.release()

    def row_state(self):
        """Return what ``fastbp.kernels.forward_row(state, x, out)`` needs to run one row.

        That function can be called from a caller's own ``@njit`` code, in less than a
        microsecond for a small net. The state shows the weights as they are at each call; it
        serves one thread at a time, and this process alone.
        """
        return self._engine.row_state()

    def predict(self, X, n_threads="auto"):
        """Return what the network says of `X`: classes (n,) or outputs.

        Classes for cross_entropy, 0 or 1 for binary_cross_entropy, numbers for
        the other losses; one output gives shape (n,).
        """
        outputs = self.forward(X, n_threads)
        if self.loss == "cross_entropy":
            return outputs.argmax(axis=1)
        if self.loss == "binary_cross_entropy":
            outputs = (outputs > 0.5).astype(np.int64)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def evaluate(self, X, y, sample_weight=None, n_threads="auto"):
        """Return a dict of the mean loss over data, and of the metric that suits it."""
        data = samples(X, y, self._engine.plan, self.loss, sample_weight)
        metric = metric_of(self.loss)
        outputs, loss = self._engine.evaluate(data, n_threads)
        return {"loss": loss, metric.name: metric.score(outputs, data)}

    def summary(self, batch_size=128):
        """Return a table of the layers, with parameters, memory of training and work.

        The memory is that of batches of `batch_size` on one thread, data not counted.
        """
        return describe(self, a_whole_number("batch_size", batch_size, least=1))

    def __repr__(self):
        sizes = [self._engine.plan.specs[0].n_in, *(s.n_out for s in self._engine.plan.specs)]
        return f"Network({sizes}, loss={self.loss!r}, dtype={self.dtype.name!r})"

    def save(self, path):
        """Write the network to one safetensors file: weights, moments and where it stands.

        A network that is loaded goes on training with the same bits.
        """
        model_file.save(path, self._state())

    def _state(self):
        engine, plan = self._engine, self._engine.plan
        return model_file.Model(
            specs=plan.specs,
            input_drop=plan.input_drop,
            dtype=plan.dtype.name,
            loss=self.loss,
            loss_parameter=self._parameter,
            optimizer=engine.optimizer,
            seed=engine.seed,
            steps=engine.steps,
            epochs=engine.epochs,
            params=engine.params,
            moments=engine.moments,
        )

    @classmethod
    def load(cls, path):
        """Return the network that `save` wrote.

        Raises
        ------
        ModelFileError
            If the file is truncated, altered, or of a version this program cannot read.
        FileNotFoundError
            If there is none.
        """
        return cls._from_model(model_file.load(path))

    @classmethod
    def _from_model(cls, model):
        network = cls.__new__(cls)
        network._loss, network._parameter = (LOSSES.find(model.loss), model.loss_parameter)
        network.history = None
        plan = Plan(model.specs, model.input_drop, np.dtype(model.dtype))
        engine = Engine(plan, model.loss, model.loss_parameter, model.optimizer, model.seed)
        network._engine = engine
        network._take(model)
        return network

    def _take(self, model):
        """Take the parameters of a model, and its place in training."""
        engine = self._engine
        engine.params[:], engine.moments[:] = model.params, model.moments
        engine.steps, engine.epochs = model.steps, model.epochs

    def __reduce__(self):
        """Pickle and copy by what a model file holds: addresses do not travel."""
        own = {"_engine", "_loss", "_parameter"}
        others = {name: value for name, value in vars(self).items() if name not in own}
        return _restored, (type(self), self._state()), others


def _restored(cls, model):
    return cls._from_model(model)


def _shapes(layers):
    return [array.shape for array in (*layers.weights, *layers.biases)]
