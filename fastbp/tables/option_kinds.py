"""The kinds of options of a training whose values other modules list."""

from ..quoted import quoted
from .declared import Kind, number


def quantiles():
    """Return the kind of one level of quantiles, or of several."""
    level = number(above=0, below=1)

    def check(name, value):
        value = value.tolist() if hasattr(value, "tolist") else value
        if not isinstance(value, list | tuple):
            return level.check(name, value)
        levels = tuple(level.check(name, each) for each in value)
        if len(set(levels)) != len(levels) or not levels:
            raise ValueError(f"{name}={quoted(value)}: expected levels that differ, at least one")
        return tuple(sorted(levels)) if len(levels) > 1 else levels[0]

    return Kind(level.metavar, level.read, check, True, limits=level.limits)


def hidden_activations():
    """Return the names of the activations of hidden layers."""
    from ..kernels.formulas.activations import ACTIVATIONS

    return [*(r.name for r in ACTIVATIONS.values() if not r.of_rows), *ACTIVATIONS.aliases]


def optimizers():
    """Return the names of the optimizers."""
    from ..kernels.formulas.optimizers import OPTIMIZERS

    return [*OPTIMIZERS, *OPTIMIZERS.aliases]
