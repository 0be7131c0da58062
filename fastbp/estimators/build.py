"""From an estimator's parameters to a network: layers, optimizer, initial weights."""

from collections.abc import Iterable
from contextlib import contextmanager
from operator import attrgetter, index, is_

import numpy as np
from sklearn.utils.validation import _check_monotonic_cst

from ..components.initializers import draw_gaps
from ..components.layers import Dense, Dropout
from ..components.optimizers import Optimizer, as_optimizer
from ..components.second_order import LevenbergMarquardt, WholeBatch
from ..engine.monotonic import settle_signs
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.formulas.losses import LOSSES
from ..network import Network
from ..quoted import quoted
from ..second_order.whole import SQUARES
from .parameters import is_stochastic

# losses of which scikit-learn shows the mean over the outputs, others are summed
_MEANS = {"squared_error"}
_CROSS_ENTROPIES = {"cross_entropy", "binary_cross_entropy"}


def hidden_sizes(estimator):
    """Return the units of the hidden layers as a list."""
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if isinstance(sizes, Iterable) else [sizes]
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return sizes


def check_combination(e, incremental):
    """Raise ValueError where parameters of the estimator `e` exclude each other."""
    if e.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if isinstance(e.optimizer, WholeBatch):
        raise ValueError(
            f"optimizer={quoted(e.optimizer)}: the estimators train by it as solver='lm' (of "
            "MLPRegressor) or solver='lbfgs'; expected an optimizer of mini-batches, such as Adam"
        )
    if e.solver == "lm" and e.optimizer is None and LOSSES.find(e.loss).name not in SQUARES:
        raise ValueError(
            f"solver='lm', loss={quoted(e.loss)}: it minimizes squares, of an MLPRegressor with "
            f"loss {' or '.join(SQUARES)}; use another solver"
        )
    if e.solver == "lm" and e.optimizer is None and e.monotonic_cst is not None:
        raise ValueError(
            f"monotonic_cst={quoted(e.monotonic_cst)}: solver='lm' does not keep signs; expected "
            "None, or solver 'adam', 'sgd' or 'lbfgs'"
        )
    if e.optimizer is not None:
        for name in ("schedule", "clip_norm"):
            if getattr(e, name) is not None:
                raise ValueError(
                    f"{name}={quoted(getattr(e, name))}: give it to the optimizer instead"
                )
    elif not is_stochastic(e):
        given = {"schedule": e.schedule, "clip_norm": e.clip_norm, "dropout": e.dropout}
        for name, value in given.items():
            if value is not None and np.any(np.asarray(value) != 0):
                raise ValueError(f"{name}={quoted(value)}: only solvers 'sgd' and 'adam' have it")
        if e.early_stopping and e.solver == "lm":  # lbfgs passes it over, as scikit-learn does
            raise ValueError("early_stopping=True: only solvers 'sgd' and 'adam' have it")
        if e.warm_start == "exact":
            raise ValueError(
                "warm_start='exact': only solvers 'sgd' and 'adam' have it; expected True, which "
                "starts from the weights alone"
            )


def check_shapes(e, shapes):
    """Raise ValueError unless the weights of the fitted estimator `e` have these shapes."""
    outputs = e.coefs_[-1].shape[1]
    if shapes[-1][1] != outputs:
        raise ValueError(f"y has {shapes[-1][1]} outputs, but the fitted net has {outputs}")
    if [np.shape(w) for w in e.coefs_] != shapes:
        fitted = [len(w) for w in e.coefs_[1:]]
        raise ValueError(
            f"hidden_layer_sizes={quoted(e.hidden_layer_sizes)}: the fitted estimator, which goes "
            f"on, has {fitted}; expected the same, or warm_start=False"
        )


def check_signs(e, fitted, asked):
    """Raise ValueError unless an estimator goes on with a network of the same signs."""
    if fitted != asked:
        raise ValueError(
            f"monotonic_cst={quoted(e.monotonic_cst)}: the fitted estimator, which goes on, has "
            f"{quoted(list(fitted) or None)}; expected the same, or warm_start=False"
        )


def _per_layer(name, value, layers):
    """Return one value per hidden layer of a parameter that may be one for all."""
    if isinstance(value, (list, tuple)):
        if len(value) != layers:
            raise ValueError(f"{name}={quoted(value)}: expected one value, or {layers}")
        return list(value)
    return [value] * layers


def an_optimizer(e):
    """Return the optimizer of the estimator `e`, or the one that its solver stands for."""
    if e.optimizer is not None:
        return as_optimizer(e.optimizer)
    shared = {"schedule": e.schedule, "clip_norm": e.clip_norm}
    shared["learning_rate"] = e.learning_rate_init
    if e.solver == "sgd":
        name = "velocity_nesterov" if e.nesterovs_momentum else "velocity"
        return Optimizer(name, beta1=e.momentum, **shared)
    if e.solver == "adam":
        return Optimizer("adam_hat", beta1=e.beta_1, beta2=e.beta_2, epsilon=e.epsilon, **shared)
    return LevenbergMarquardt() if e.solver == "lm" else Optimizer("sgd")


_numbers_of = attrgetter(
    *("solver", "learning_rate_init", "learning_rate", "power_t", "clip_norm"),
    *("momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon"),
)
_parts_of = attrgetter("optimizer", "schedule")


def steps_asked_of(e):
    """Return the parameters of `e` that its optimizer and its learning rates are made of."""
    return _numbers_of(e), _parts_of(e)


def are_same_steps(asked, others):
    """Return whether two results of `steps_asked_of` hold the same numbers, and the same parts."""
    return asked[0] == others[0] and all(map(is_, asked[1], others[1]))


def build_network(estimator, sizes, output_activation, loss, dtype, random_state, spare=None):
    """Return a network for the sizes of all layers, inputs first, whose weights are to be drawn.

    That is `spare`, a network that was built with the same parameters, if it has these sizes.
    """
    hidden = len(sizes) - 2
    rates = _per_layer("dropout", estimator.dropout, hidden)
    seed = random_state.randint(2**31 - 1) if any(rates) else 0
    dtype = np.dtype(dtype)
    if spare is not None:
        fits = [spec.n_out for spec in spare.layers] == sizes[1:] and spare.loss == loss
        if fits and spare.layers[0].n_in == sizes[0] and spare.dtype == dtype:
            return _as_new(spare, seed)
    layers: list = []
    names = _per_layer("activation", estimator.activation, hidden)
    for units, name, rate in zip(sizes[1:-1], names, rates, strict=True):
        layers.append(Dense(index(units), name, initializer="zeros"))
        if rate != 0:
            layers.append(Dropout(rate))
    layers.append(Dense(sizes[-1], output_activation, initializer="zeros"))
    return Network(
        inputs=sizes[0],
        layers=layers,
        loss=loss,
        loss_parameter=estimator.loss_parameter,
        optimizer=an_optimizer(estimator),
        monotonic=_monotonic(estimator, output_activation),
        dtype=dtype.name,
        seed=seed,
    )


def _monotonic(estimator, output_activation):
    """Return the signs of an estimator's inputs, or None."""
    if estimator.monotonic_cst is None:
        return None
    signs = [int(sign) for sign in _check_monotonic_cst(estimator, estimator.monotonic_cst)]
    if any(signs) and output_activation in ("softmax", "ascending"):
        what = "several classes" if output_activation == "softmax" else "several quantiles"
        raise ValueError(
            f"monotonic_cst={quoted(estimator.monotonic_cst)}: there is none for {what}; expected "
            "one output, as of two classes"
        )
    return signs


def _as_new(network, seed):
    """Let a network forget what its optimizer knows."""
    engine = network.engine
    engine.set_progress(engine.params, epochs=0)
    engine.seed = seed
    return network


@contextmanager
def objective_of(estimator, network):
    """Within, train a network with the penalty of an estimator, and scikit-learn's limit of a loss.

    scikit-learn clips probabilities in the loss that it shows, not in the gradient. A caller who
    takes the network afterwards has its own loss and gradient.
    """
    clips = network.loss in _CROSS_ENTROPIES
    limit = -np.log(np.finfo(network.dtype).eps) if clips else np.inf
    network.engine.set_objective(estimator.alpha, float(limit))
    try:
        yield
    finally:
        network.engine.set_objective()


def draw_weights(estimator, network, random_state):
    """Draw weights and biases as scikit-learn does, draw for draw.

    Uniform in ``+-sqrt(6 / (n_in + n_out))``, 2 in place of 6 for the logistic activation
    (Glorot and Bengio, AISTATS 2010, eq. 16).
    """
    hidden = len(network.weights) - 1
    names = _per_layer("activation", estimator.activation, hidden)
    # the last layer's bound is that of the activation before it
    names.append(names[-1] if names else estimator.activation)
    for name, weights, biases in zip(names, network.weights, network.biases, strict=True):
        logistic = isinstance(name, str) and ACTIVATIONS.find(name).name == "logistic"
        bound = np.sqrt((2.0 if logistic else 6.0) / sum(weights.shape))
        weights[:] = random_state.uniform(-bound, bound, weights.shape)
        biases[:] = random_state.uniform(-bound, bound, biases.shape)
    draw_gaps(network.layers[-1].activation, network.biases[-1])
    settle_signs(network.engine.plan, network.parameters)


def loss_share(network):
    """Return what the loss of the samples is multiplied with where it is shown."""
    return 1 / network.biases[-1].size if network.loss in _MEANS else 1.0
