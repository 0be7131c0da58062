"""The arguments of `Network` resolved to layers, and the summary of a network."""

from collections.abc import Iterable
from dataclasses import replace

from ..components.initializers import INITIALIZERS
from ..components.layers import Dense, Dropout
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.support.scalars import a_flag, a_number, a_whole_number
from ..quoted import quoted
from .monotonic import check_signs
from .plan import Layer

# which ranges of outputs satisfy what a loss needs
_WITHIN = {
    "real": {"real", "positive", "unit", "simplex"},
    "positive": {"positive", "unit", "simplex"},
    "unit": {"unit", "simplex"},
    "simplex": {"simplex"},
}


def resolve(sizes, activation, inputs, layers, output_activation, initializer, loss):
    """Return the layer specifications and the dropout rate of the inputs.

    It raises ValueError or TypeError if the arguments are incomplete, or do not suit the loss.
    """
    if (sizes is None) == (layers is None):
        raise TypeError("give either sizes, as in Network([64, 100, 10]), or inputs and layers")
    if layers is None:
        if inputs is not None:
            raise TypeError(
                f"inputs={quoted(inputs)}: give it with layers only; sizes begins with it"
            )
        inputs, layers = _from_sizes(
            sizes, "relu" if activation is None else activation, initializer
        )
    elif (activation, initializer) != (None, None):
        raise TypeError("activation and initializer are of the short form: give each Dense its own")
    elif inputs is None:
        raise TypeError("inputs: expected the number of input columns beside layers")
    if isinstance(layers, (str, Dense, Dropout)) or not isinstance(layers, Iterable):
        raise TypeError(f"layers={quoted(layers)}: expected a sequence of Dense and Dropout layers")
    layers = list(layers)
    specs: list[Layer] = []
    input_drop = 0.0
    n_in = a_whole_number("inputs", inputs, least=1)
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if not dense:
        raise ValueError(f"layers={quoted(layers)}: expected at least one Dense layer")
    for layer in layers:
        if isinstance(layer, Dropout):
            if layer is layers[-1]:
                raise ValueError(f"layers ends with {quoted(layer)}: the last layer must be Dense")
            # consecutive ones multiply
            kept = (1 - (specs[-1].dropout if specs else input_drop)) * (1 - layer.rate)
            if specs:
                specs[-1] = replace(specs[-1], dropout=1 - kept)
            else:
                input_drop = 1 - kept
        elif isinstance(layer, Dense):
            last = layer is dense[-1] and len(specs) == len(dense) - 1
            name = "identity" if layer.activation is None else layer.activation
            if last:
                name = _output_name(output_activation, layer.activation, loss)
            specs.append(_spec(n_in, layer, name))
            n_in = layer.units
        else:
            raise TypeError(f"layers holds {quoted(layer)}: expected Dense and Dropout layers")
    check(specs, input_drop, loss)
    if specs[-1].n_out == 1 and ACTIVATIONS.find(specs[-1].activation).outputs == "simplex":
        raise ValueError(_one_share(specs[-1], loss))
    return specs, input_drop


def _one_share(layer, loss):
    """Return what to do about a softmax of one output: old model files may hold one."""
    if loss.needs == "simplex":
        return (
            f"loss={quoted(loss.name)}: a {layer.activation} of 1 output is always 1, and "
            "nothing is learned: expected 2 outputs for the classes 0 and 1; with 1 output use "
            'loss="binary_cross_entropy"'
        )
    return (
        f"output_activation={quoted(layer.activation)}: of 1 output it is always 1: expected at "
        "least 2 "
        'outputs; of 1 output use "logistic"'
    )


def _output_name(output_activation, own, loss):
    """Return the last layer's activation, which may be given in two places."""
    if output_activation is None:
        return loss.partner if own is None else own
    if own is not None:
        raise TypeError(
            f"output_activation={quoted(output_activation)}: the last Dense already has "
            f"{quoted(own)}; give one of them"
        )
    return output_activation


def check(specs, input_drop, loss):
    """Raise ValueError or TypeError unless the layers make a network for a loss."""
    a_number("input_drop", input_drop, low=0, below=1)
    if not specs:
        raise ValueError("layers: expected at least one")
    for n, spec in enumerate(specs):
        a_whole_number("n_in", spec.n_in, least=1)
        a_whole_number("n_out", spec.n_out, least=1)
        a_number("alpha", spec.alpha, low=0)
        a_number("dropout", spec.dropout, low=0, below=1)
        a_flag("bias", spec.bias)
        a_flag("trainable", spec.trainable)
        INITIALIZERS.find(spec.initializer)
        if n == len(specs) - 1:
            break
        record = ACTIVATIONS.find(spec.activation)
        if record.of_rows:
            raise ValueError(
                f"activation={quoted(record.name)}: a hidden layer needs an elementwise activation"
            )
        if specs[n + 1].n_in != spec.n_out:
            raise ValueError(f"layer {n + 2} has {specs[n + 1].n_in} inputs for {spec.n_out} units")
    outputs = ACTIVATIONS.find(specs[-1].activation)
    if outputs.outputs not in _WITHIN[loss.needs]:
        fitting = [r.name for r in ACTIVATIONS.values() if r.outputs in _WITHIN[loss.needs]]
        raise ValueError(
            f"output_activation={quoted(outputs.name)}: {loss.name} needs {loss.needs} outputs; "
            f"use {', '.join(fitting)}"
        )
    if specs[-1].dropout > 0:
        raise ValueError("the last layer must have no dropout behind it")
    check_signs(specs)


def check_levels(specs, parameter):
    """Raise ValueError if levels of quantiles do not ascend where the outputs do."""
    ascends = specs[-1].activation == "ascending"
    if ascends and isinstance(parameter, tuple) and sorted(set(parameter)) != list(parameter):
        raise ValueError(
            f"loss_parameter={quoted(parameter)}: expected levels that ascend, as the outputs do"
        )


def _from_sizes(sizes, activation, initializer):
    if isinstance(sizes, str) or not isinstance(sizes, Iterable):
        raise TypeError(f"sizes={quoted(sizes)}: expected a sequence such as [64, 100, 10]")
    if not isinstance(activation, Iterable):
        raise TypeError(
            f"activation={quoted(activation)}: expected a name, or one per hidden layer"
        )
    sizes = list(sizes)
    if len(sizes) < 2:
        raise ValueError(f"sizes={quoted(sizes)}: expected at least an input and an output size")
    sizes = [a_whole_number(f"sizes[{i}]", size, least=1) for i, size in enumerate(sizes)]
    hidden = len(sizes) - 2
    names = [activation] * hidden if isinstance(activation, str) else list(activation)
    if len(names) != hidden:
        raise ValueError(f"activation={quoted(activation)}: expected one name, or {hidden}")
    if isinstance(activation, str):
        ACTIVATIONS.find(activation)
    layers = [
        Dense(size, name, initializer=initializer)
        for size, name in zip(sizes[1:-1], names, strict=True)
    ]
    return sizes[0], [*layers, Dense(sizes[-1], initializer=initializer)]


def _spec(n_in, layer, name):
    record = ACTIVATIONS.find(name)
    if layer.alpha is not None and record.alpha is None:
        raise ValueError(f"alpha={quoted(layer.alpha)}: {record.name} has no parameter")
    alpha = layer.alpha if layer.alpha is not None else record.alpha
    initializer = INITIALIZERS.find(layer.initializer or record.initializer).name
    how = (record.name, alpha or 0.0, initializer, layer.bias, 0.0, layer.trainable)
    return Layer(n_in, layer.units, *how)


def describe(network, batch_size):
    """Return the table of `Network.summary`."""
    engine = network.engine
    plan = engine.plan
    rows = [("layer", "shape", "activation", "dropout", "parameters")]
    for n, spec in enumerate(plan.specs):
        count = spec.n_in * spec.n_out + (spec.n_out if spec.bias else 0)
        shape = f"{spec.n_in} x {spec.n_out}"
        drop = f"{spec.dropout:g}" if spec.dropout else ""
        frozen = "" if spec.trainable else ", not trained"
        rows.append((str(n + 1), shape, spec.activation, drop, f"{count:,}{frozen}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(v.ljust(w) for v, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    work = plan.workspace(batch_size, 1, training=True)
    # the parameters count twice: training keeps the best so far; only a gradient that is clipped
    # is kept as a whole
    arrays = [engine.params, engine.params, engine.moments]
    if engine.optimizer.clip_norm:
        arrays.append(engine.grads)
    memory = (sum(array.nbytes for array in arrays) + work.bytes) / 2**20
    lines.append(
        f"{plan.size:,} parameters, {plan.dtype.name}; training in batches of {batch_size} takes "
        f"{memory:.1f} MiB; {plan.flops_per_row:,} FLOP per sample and step"
    )
    return "\n".join([*lines, f"loss {network.loss}, {network.optimizer}"])
