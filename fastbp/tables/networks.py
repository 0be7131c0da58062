"""The network that options of a training ask for: its layers, loss, optimizer and batches."""

import itertools
from typing import Any

from ..quoted import quoted
from .losses import LOSSES
from .wording import unknown

# the batch for n rows: n / 300, within these
_BATCHES = 300
_FEWEST_BATCH = 32
_MOST_BATCH = 256
# other activations begin with Glorot's weights, rectifiers too: smaller than He's, they gave
# better scores on eight of the nine tables of tests/support/messy_tables.py, up to 0.05 of R2,
# and level on the ninth
_INITIALIZERS = {"selu": "lecun_normal"}


def optimizer_of(options: Any) -> Any:
    """Return the optimizer with its schedule; a constant rate where no schedule is settled."""
    from ..components.optimizers import Optimizer
    from ..components.schedules import SCHEDULES

    name = options.schedule or "constant"
    schedule: Any = SCHEDULES.find(name)
    rates = {name: getattr(options, name) for name in ("learning_rate", "weight_decay", "l2")}
    return Optimizer(
        options.optimizer,
        schedule=schedule() if name == "constant" else schedule(options.epochs or 1),
        clip_norm=options.clip_norm,
        **{name: value for name, value in rates.items() if value is not None},
    )


def check_task(options: Any, schema: Any) -> None:
    """Raise ValueError if the loss or the class weights do not suit the target's task."""
    target, weights = schema.target, options.class_weight
    suitable = LOSSES[target.task]
    other = "leave it out, or choose another task"
    if options.learned_loss and options.learned_loss not in suitable:
        name = "loss" if options.loss else "quantile"
        raise ValueError(
            f"{name}={quoted(getattr(options, name))}: a {target.task} has "
            f"{', '.join(suitable)}; {other}"
        )
    if weights and not target.classes:
        raise ValueError(f"class_weight={quoted(weights)}: a {target.task} has no classes; {other}")
    if weights and schema.more_targets:
        raise ValueError(
            f"class_weight={quoted(weights)}: several targets have no classes in common; leave "
            "it out"
        )
    for name in weights if isinstance(weights, dict) else ():
        if target.class_named(name) is None:
            wrong = unknown("class", name, target.classes, "classes")
            raise ValueError(f"class_weight={quoted(weights)}: {wrong}")


def network_of(options: Any, schema: Any, member: int = 0) -> Any:
    """Return an untrained network of settled options; ValueError as of `check_task`.

    The seeds of the members of an ensemble, counted from 0, are one after another.
    """
    from ..components.layers import Dense, Dropout
    from ..network import Network

    check_task(options, schema)
    initializer = _INITIALIZERS.get(options.activation, "glorot_uniform")
    stack: list[Dense | Dropout] = []
    for units in options.hidden:
        stack.append(Dense(units, options.activation, initializer=initializer))
        if options.dropout:
            stack.append(Dropout(options.dropout))
    stack.append(Dense(schema.n_outputs))
    return Network(
        inputs=schema.n_features,
        layers=stack,
        loss=schema.loss if schema.target.classes else options.learned_loss or schema.loss,
        loss_parameter=schema.quantiles or options.quantile,
        optimizer=optimizer_of(options),
        dtype=options.dtype,
        seed=(options.seed + member) % 2**63,
    )


def network_bytes(options: Any, schema: Any) -> int:
    """Return the bytes of parameters, moments and best parameters of all networks."""
    widths = (schema.n_features, *options.hidden, schema.n_outputs)
    count = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(widths))
    return options.ensemble * 4 * count * (8 if options.dtype == "float64" else 4)


def batch_of(options: Any, rows: int) -> int:
    """Return the batch size for a number of rows: by default a power of 2."""
    if options.batch_size is not None:
        return min(options.batch_size, max(1, rows))
    batch = 2 ** max(0, rows // _BATCHES).bit_length()
    return min(max(batch, _FEWEST_BATCH), _MOST_BATCH)
