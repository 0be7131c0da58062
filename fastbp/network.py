"""The `Network`: names, checks and memory around the engine. It holds no arithmetic."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from secrets import randbits
from typing import TYPE_CHECKING, Any, Literal, overload
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .annotations import Array, Callback, FilePath, Floats, Matrix, Threads, Weights
from .components.initializers import INITIALIZERS, draw_gaps
from .components.layers import NetworkLayer
from .components.optimizers import Optimizer, as_optimizer
from .data.ahead import TooLate
from .data.samples import features, samples, validation_samples
from .data.source import Source
from .data.weights import allowed_of
from .derivatives.methods import Differentiable
from .engine.architecture import check_levels, describe, resolve
from .engine.described import Described
from .engine.engine import Engine
from .engine.monotonic import settle_signs, with_signs
from .engine.plan import Plan
from .kernels.formulas.losses import LOSSES
from .kernels.support.scalars import a_flag, a_whole_number
from .model_file import custom_formulas, formulas_by_name
from .quoted import quoted
from .ranks.comm import as_ranks
from .saved import Saved, first_of_ranks
from .second_order.choice import steps_of, with_all_rows
from .stepping import Stepping
from .training.checkpoints import Checkpoints, Keeper, as_checkpoints, not_kept, resumed
from .training.fit import Training, history_of_no_epoch, options_of
from .training.history import History
from .training.metrics import predicted, scores_of
from .training.stopping import EarlyStopping

if TYPE_CHECKING:
    from typing_extensions import Self


class Network(Stepping, Differentiable, Saved):
    """A multilayer perceptron trained by backpropagation on the CPU.

    Parameters
    ----------
    sizes : sequence of int, optional
        Units of each layer from input to output: ``[64, 100, 10]``.
    activation : str or sequence of str, optional
        The hidden layers' activation, or one for each; "relu" if it is not given. It may be your
        own, of `custom_activation`, here and below.
    loss : str, default "squared_error"
        A name in ``fastbp.LOSSES``, or your own loss of `custom_loss`.
    optimizer : str or Optimizer, default "adam"
        A name in ``fastbp.OPTIMIZERS``, or for example ``Adam(1e-3)``.
    inputs, layers : int, sequence of Dense and Dropout, optional
        The long form, in place of `sizes`.
    output_activation : str, optional
        Default: the loss's partner (softmax for cross_entropy). With "ascending" the outputs of a
        row never fall: quantiles do not cross.
    loss_parameter : float or sequence of float, optional
        The threshold of ``huber`` (default 1) or the quantile of ``quantile`` (0.5); or
        quantiles, one for each output, in ascending order if the outputs ascend.
    initializer : str, optional
        For all layers of the short form; default: chosen by the activation.
    monotonic : dict or sequence of int, optional
        In which inputs the outputs rise, 1, or fall, -1: ``{0: 1, 3: -1}`` by their numbers, or 1,
        0 or -1 for each. They do everywhere: weights on the path keep their signs. No activation
        may fall. With one that is convex, as "relu", the outputs before the last activation are
        convex in all inputs; the default is then "tanh".
    dtype : {"float32", "float64"}, default "float32"
        Type of parameters and computation.
    seed : int, optional
        Seed for initial weights, shuffles and dropout; default: drawn anew, ``network.seed``.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid; the message names it.
    MemoryError
        If the network takes more memory than is free, swap space included; so do `fit`, `predict`
        and the others before they begin.
    """

    #: The `History` of the last `fit`, or None.
    history: History | None = None
    _seed_is_drawn = False

    def __init__(
        self,
        sizes: Sequence[int] | None = None,
        activation: str | Sequence[str] | None = None,
        loss: str = "squared_error",
        optimizer: str | Optimizer = "adam",
        *,
        inputs: int | None = None,
        layers: Iterable[NetworkLayer] | None = None,
        output_activation: str | None = None,
        loss_parameter: float | Sequence[float] | None = None,
        initializer: str | None = None,
        monotonic: Mapping[int, int] | Sequence[int] | None = None,
        dtype: DTypeLike = "float32",
        seed: int | None = None,
    ) -> None:
        record = LOSSES.find(loss)
        if monotonic is not None and layers is None and activation is None:
            activation = "tanh"
        specs, input_drop = resolve(
            sizes, activation, inputs, layers, output_activation, initializer, record
        )
        specs = with_signs(specs, monotonic)
        if dtype not in ("float32", "float64", np.float32, np.float64):
            raise ValueError(f'dtype={quoted(dtype)}: expected "float32" or "float64"')
        self._seed_is_drawn = seed is None
        seed = _seed_of(seed)
        plan = Plan(specs, input_drop, np.dtype(dtype))
        parameter = record.parameter_of("loss_parameter", loss_parameter)
        check_levels(specs, parameter)
        super().__init__(Engine(plan, record.name, parameter, as_optimizer(optimizer), seed))
        formulas_by_name(custom_formulas(self))  # two of one name could not be saved
        self._draw_weights()

    def _draw_weights(self):
        seed = self.seed
        for n, (layer, weights) in enumerate(zip(self.layers, self.weights, strict=True)):
            INITIALIZERS[layer.initializer].draw(seed, n, weights)
        draw_gaps(self.layers[-1].activation, self.biases[-1])
        settle_signs(self._engine.plan, self.parameters)

    def with_seed(self, seed: int | None) -> Self:
        """Return an untrained network like this one with another seed; None draws one."""
        network = type(self).__new__(type(self))
        network._seed_is_drawn = seed is None
        Described.__init__(network, self._engine.sibling(_seed_of(seed)))
        network._draw_weights()
        return network

    @overload
    def forward(self, X: Matrix, n_threads: Threads = "auto") -> Floats: ...
    @overload
    def forward(
        self, X: Matrix, n_threads: Threads = "auto", *, dropout: Literal[True], samples: int = 50
    ) -> tuple[Floats, Floats]: ...
    def forward(
        self, X: Matrix, n_threads: Threads = "auto", *, dropout: bool = False, samples: Any = None
    ) -> Floats | tuple[Floats, Floats]:
        """Run the forward pass: return the outputs A(L) (n, n_out), dropout inactive.

        With ``dropout=True`` it runs `samples` times with dropout, by default 50, and returns mean
        and standard deviation of the outputs, each (n, n_out): how sure the network is of each row.
        The masks are those of the seed: a second call returns the same. While another thread trains
        the network, the outputs are of the weights as they change.

        Reference: Gal and Ghahramani, Dropout as a Bayesian approximation, ICML 2016.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or the network has no dropout that is asked for.
        """
        plan = self._engine.plan
        if not a_flag("dropout", dropout):
            if samples is None:
                return self._engine.forward(features(X, plan), n_threads)
            raise ValueError(f"samples={quoted(samples)}: give dropout=True, by which they differ")
        samples = 50 if samples is None else a_whole_number("samples", samples, least=2)
        if not (plan.input_drop or any(spec.dropout for spec in plan.specs)):
            equal = "the network has none, and all samples would be equal"
            raise ValueError(f"dropout=True: {equal}: expected a network with Dropout layers")
        return self._engine.forward_dropped(features(X, plan), samples, n_threads)

    def fit(
        self,
        X: Matrix | Source | Iterable[tuple[Any, ...]],
        y: ArrayLike | None = None,
        epochs: int = 10,
        batch_size: int = 128,
        *,
        sample_weight: Weights = None,
        validation_data: tuple[Matrix | ArrayLike, ...] | None = None,
        early_stopping: bool | int | EarlyStopping | None = None,
        shuffle: bool = True,
        n_threads: Threads = "auto",
        progress: bool = False,
        callbacks: Callback | Iterable[Callback] = (),
        max_time: float | None = None,
        checkpoints: FilePath | Checkpoints | None = None,
        resume: bool = False,
        steps_per_epoch: int | None = None,
        comm: Any = None,
        sync: str = "step",
        average_every: int | None = None,
        missing_targets: bool = False,
        signed: bool = False,
    ) -> History:
        """Train on mini-batches; return the `History`.

        Parameters
        ----------
        X : array_like or sparse matrix (n, n_in), Source or iterable of (X, y)
            Samples, converted to the network's dtype. A source of ``fastbp.data`` is read
            block by block and yields its targets as well; so does an iterator and, without
            `y`, a list of blocks or a loader: it is read once, to its end, and its blocks are
            kept in a scratch file, unless `steps_per_epoch` is given.
        y : array_like (n, n_out) or (n,)
            Targets; class labels 0 to n_out - 1 for cross_entropy.
        epochs, batch_size : int
            Passes over the data, and samples per step.
        sample_weight : array_like (n,) or (n, n_out), optional
            Weights of the samples in the loss, or of their outputs unless the loss is
            cross_entropy: the loss of a batch is ``sum w_ij L_ij / (sum w_ij / n_out)``.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Scored after every epoch.
        early_stopping : bool, int or EarlyStopping, optional
            True, a patience in epochs, or an `EarlyStopping`.
        shuffle : bool, default True
            Shuffle the samples anew in every epoch.
        n_threads : int or "auto", default "auto"
            Threads; the result's bits do not depend on their number.
        progress : bool, default False
            Show a progress bar on stderr.
        callbacks : callable or sequence of callables
            Called with each epoch's entry of the history; True stops. `ReduceLROnPlateau`
            lowers the learning rate.
        max_time : float, optional
            Seconds after which training stops, validation included: within 0.3 s or one step. The
            blocks of an iterator may be read no longer. To compile the kernels, once, is extra.
        checkpoints : path or Checkpoints, optional
            Folder of the checkpoints. SIGTERM then ends training within a slice, as Ctrl-C
            does, and both write a checkpoint.
        resume : bool, default False
            Continue from the last checkpoint, if there is one; the result has the bits of an
            uninterrupted training. Data and arguments must be the same.
        steps_per_epoch : int, optional
            Train on the blocks of an iterator as they arrive, each row once; it may be endless.
            So many batches of `batch_size` rows are an epoch. A loader begins anew at its end;
            training ends with an iterator. Rows are shuffled within a block.
        comm : mpi4py.MPI.Intracomm, optional
            Train on all its processes, such as those of ``MPI.COMM_WORLD``: see
            ``fastbp.ranks``. Each gives its own rows.
        sync : {"step", "local", "auto"}, default "step"
            With "local" each process makes `average_every` steps by itself, on its share of
            each batch; then all average. "auto" is "local" where steps are shorter than their
            joining, by the cost model of ``fastbp.ranks``, else "step".
        average_every : int, optional
            Steps between two averages, not with "step". Default: 4 to 32, by the cost model.
        missing_targets : bool, default False
            Let NaN in `y`, and in that of `validation_data`, count for nothing: as a weight of
            0 of that output.
        signed : bool, default False
            Let weights be negative, as REINFORCE needs them. The loss of a batch is then the mean
            of ``w_i L_i`` over its rows, whatever the weights add up to.

        Returns
        -------
        History
            Also kept as ``network.history``; ``history.stopped`` says why training ended,
            such as "interrupted" after Ctrl-C or "terminated" after SIGTERM.

        Raises
        ------
        DivergenceError
            If a loss is not finite; it says which weights the network then holds.
        ValueError, TypeError
            If an argument is invalid; the network is unchanged then.
        """
        begun, ranks = time.perf_counter(), as_ranks(comm)
        arguments = (early_stopping, n_threads, progress, callbacks, max_time)
        order = (batch_size, shuffle, steps_per_epoch, resume, missing_targets, signed)
        with ranks.joined(), ExitStack() as held:
            options = ranks.together(lambda: options_of(epochs, *arguments, *order))
            task = (self.optimizer, comm, (X, y, sample_weight))
            options = ranks.together(lambda: with_all_rows(options, *task))
            ranks.together(lambda: ranks.check_allowed(options.allowed))
            way = (sync, average_every, self._engine, options.batch_size)
            ranks.together(lambda: ranks.set_sync(*way))
            kept = ranks.together(lambda: as_checkpoints(checkpoints, resume))
            given = {"validation_data": validation_data, "checkpoints": checkpoints}
            self._agree(ranks, options, given)
            latest = None
            if resume:
                own = custom_formulas(self)
                read = (lambda: kept.latest(own)) if ranks.leads else (lambda: None)
                latest = first_of_ranks(ranks, ranks.together(read), own)
            seed = latest.seed if latest is not None and self._seed_is_drawn else self.seed
            validation = None
            if validation_data is not None:
                check = (validation_data, self._engine.plan, self.loss, ranks.count > 1)
                missing = options.allowed.missing
                validation = ranks.together(lambda: validation_samples(*check, missing))
            deadline = begun + (options.max_time or math.inf)
            try:
                data = (X, y, sample_weight, options, seed)
                feed = ranks.feed(self._engine, *data, lambda: time.perf_counter() > deadline)
            except TooLate as reason:
                self.history = history_of_no_epoch(self.dtype.name, options.max_time, reason)
                return self.history
            if options.max_time is not None:  # checking data, or reading an iterator, took some
                left = deadline - time.perf_counter()
                options = replace(options, max_time=max(left, 1e-9))
            ranks.together(lambda: held.enter_context(self._alone()))
            keeper = state = None
            if kept is not None:
                write = (kept, self._content, feed.key)
                keeper = ranks.together(lambda: Keeper(*write) if ranks.leads else not_kept)
            if latest is not None:
                model = replace(self._content(), seed=seed)
                state = ranks.together(lambda: resumed(latest, feed.key, model))
            how = (keeper, state, ranks, steps_of(self.optimizer))
            training = Training(self._engine, feed, validation, options, *how)
            if latest is not None:
                self._take(latest)
            self.history = training.history
            return training.run()

    def _agree(self, ranks, options, given):
        """Raise ValueError on every rank unless all train this network, with the same options.

        If its seed is drawn, they take the network of rank 0.
        """
        if ranks.count == 1:
            return
        net = self._content()
        same = {
            "sizes": [net.specs[0].n_in, *(layer.n_out for layer in net.specs)],
            "the network": (net.specs, net.input_drop, net.loss, net.loss_parameter),
            "dtype": net.dtype,
            "formulas of your own": [(f, f.checksum()) for f in custom_formulas(self)],
            "optimizer": net.optimizer,
            "seed": "drawn" if self._seed_is_drawn else net.seed,
            **options.same(),
            "sync, average_every": ranks.average_every or "step",
            **{name: "given" if value is not None else None for name, value in given.items()},
        }
        ranks.expect_same(same)
        if self._seed_is_drawn:
            # not the layers: formulas of a user's own may not be pickled
            names = ("seed", "params", "moments", "steps", "epochs")
            self._take(replace(net, **ranks.first({name: getattr(net, name) for name in names})))
        else:
            begun = (crc32(net.moments, crc32(net.params)), net.steps, net.epochs)
            ranks.expect_same({"the place in training (weights, steps, epochs)": begun})

    def row_state(self) -> tuple[Array, ...]:
        """Return the state that ``fastbp.kernels.forward_row(state, x, out)`` takes.

        It runs one row from your own ``@njit`` code, in less than a microsecond for a small
        network, and reads the weights at each call. A state serves one thread at a time.
        """
        return self._engine.row_state()

    def predict(self, X: Matrix, n_threads: Threads = "auto") -> Array:
        """Return predictions for `X`: classes (n,) or outputs.

        Classes for cross_entropy, 0 or 1 for binary_cross_entropy, numbers for
        the other losses; one output gives shape (n,).
        """
        return predicted(self.loss, self.forward(X, n_threads))

    def evaluate(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: Weights = None,
        n_threads: Threads = "auto",
        *,
        missing_targets: bool = False,
    ) -> dict[str, float]:
        """Return a dict of the mean loss and the metric of the loss: accuracy or R2.

        The arguments are those of `fit`. R2 is the mean of those of the outputs. With weights of
        outputs a row has all bits if it has those of a weight above 0.
        """
        allowed = allowed_of(missing_targets)
        data = samples(X, y, self._engine.plan, self.loss, sample_weight, allowed=allowed)
        return scores_of(self._engine, data, n_threads)

    def summary(self, batch_size: int = 128) -> str:
        """Return a table of the layers, with parameters, memory of training and work.

        Memory is that of batches of `batch_size` on one thread, without the data.
        """
        return describe(self, a_whole_number("batch_size", batch_size, least=1))

    def __repr__(self) -> str:
        sizes = [self.layers[0].n_in, *(layer.n_out for layer in self.layers)]
        signs = f", monotonic={self.monotonic}" if self.monotonic else ""
        return f"Network({sizes}, loss={self.loss!r}{signs}, dtype={self.dtype.name!r})"


def _seed_of(seed):
    return randbits(32) if seed is None else a_whole_number("seed", seed, least=0, below=2**63)
