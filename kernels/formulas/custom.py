"""Formulas of a user's own: names that carry their functions, compiled when they are first used.

A `CustomActivation` or `CustomLoss` is a string, its name, and at once a record of the tables: it
stands wherever a name does, and a table that is asked for it returns it. Its functions are plain
Python of numbers. They are compiled for vectors without their branches, or, where they call what
has no loop of vectors, as they are for float64 numbers. Where the derivative is not given, the
function runs on dual numbers.
"""

from functools import cache
from zlib import crc32

from numba.core.compiler_lock import global_compiler_lock

from .activations import Activation
from .losses import Loss
from .source import fingerprint


class CustomFormula(str):
    """The name of a formula of a user's own, which carries its functions.

    Two are equal if their names, options and functions are, the latter by their bytecode and all
    that they read. A plain string is equal if it is the name.
    """

    #: The function, and its derivative or None.
    functions: tuple

    def __new__(cls, name, functions, options):
        """Return the formula; `fastbp.custom_activation` and `custom_loss` check it first."""
        return super().__new__(cls, name)

    def __init__(self, name, functions, options):
        made = {"functions": tuple(functions), "options": tuple(options)}
        made["key"] = (made["options"], *map(fingerprint, functions))
        vars(self).update(made, name=self, formula=f"{name}, a function of the user's own")
        vars(self).update(options)

    def __eq__(self, other):
        if isinstance(other, CustomFormula):
            return type(self) is type(other) and str(self) == str(other) and self.key == other.key
        return str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__
    __repr__ = str.__repr__
    __str__ = str.__str__

    def __reduce__(self):
        return type(self), (str(self), self.functions, self.options)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def checksum(self):
        """Return a number that differs where the functions do, the same in other processes."""
        return crc32(repr(self.key).encode())

    def tasks(self):
        """Return the tasks of the formula by the name of the family of loops."""
        with global_compiler_lock:  # once among threads
            return _tasks(self)


class CustomActivation(CustomFormula, Activation):
    """An `Activation` of a user's own, ``f(z)`` and ``df(z)``."""

    keeps = "z"
    alpha = None


class CustomLoss(CustomFormula, Loss):
    """A `Loss` of a user's own, ``value(a, y)`` and ``derivative(a, y)``."""


@cache
def _tasks(formula):
    # equal formulas share their code; it stays, as networks and their row states have its addresses
    from .compiled import activation_tasks, loss_tasks

    make = activation_tasks if isinstance(formula, CustomActivation) else loss_tasks
    return make(str(formula), *formula.functions)
