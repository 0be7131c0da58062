"""Formulas of activations as expressions, which each export writes in its own language.

The formula of a kernel is a plain Python function of z and alpha. Called with symbols in place
of vectors, and with symbolic operations in place of the compiled ones, it returns the expression
that it computes. Equal subexpressions are one symbol.
"""

from math import isfinite
from operator import is_
from types import CellType, FunctionType, ModuleType

from numba.core.errors import NumbaError
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.simd import elementary, intrinsics
from ..quoted import quoted

_COMPARISONS = ("less", "less_equal", "greater", "greater_equal")
_FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "sqrt", "absolute")
# operations that have the name of NumPy's
UFUNCS = ("add", "subtract", "multiply", "divide", "negative", *_COMPARISONS, *_FUNCTIONS)


class _Untraceable(Exception):
    """The reason why a formula has no expression, as the end of a message."""


class Symbol(NDArrayOperatorsMixin):
    """One value of a formula: an operation on other symbols of the formula.

    The operation is "z", "alpha" or "number", which have no arguments; one of `UFUNCS`, "erf",
    "maximum" or "minimum"; "select" of a comparison and two values; or "broadcast" of a vector
    and the number to fill it with.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, known, operation, arguments=(), number=None):
        self._known = known
        self.operation = operation
        self.arguments = arguments
        self.number = number
        self.index = len(known)
        self.is_vector = operation == "z" or any(a.is_vector for a in arguments)
        known.append(self)

    def apply(self, operation, *arguments, number=None):
        """Return the symbol of an operation in the same formula."""
        arguments = tuple(map(self.symbol_of, arguments))
        for symbol in self._known:
            is_same = symbol.operation == operation and symbol.number == number
            if is_same and all(map(is_, symbol.arguments, arguments)):
                return symbol
        return Symbol(self._known, operation, arguments, number)

    def symbol_of(self, value):
        """Return a value, a symbol or a number, as a symbol of the same formula."""
        if isinstance(value, Symbol):
            return value
        if not isinstance(value, (int, float)) or not isfinite(value):
            raise _Untraceable(f"computes with {quoted(value)}, which is no finite number")
        return self.apply("number", number=float(value))

    def __array_ufunc__(self, ufunc, method, *arguments):
        if ufunc.__name__ not in UFUNCS:
            raise _Untraceable(f"computes {ufunc.__name__}, which exports cannot write")
        return self.apply(ufunc.__name__, *arguments)

    def __bool__(self):
        raise _Untraceable("branches on a value; select(mask, a, b) can be exported")


class Formula:
    """The expression of an activation: its result, and all symbols, arguments before results."""

    def __init__(self, symbols, result):
        self.result = result
        needed = {result.index}
        for symbol in reversed(symbols):
            if symbol.index in needed:
                needed.update(argument.index for argument in symbol.arguments)
        self.symbols = [symbol for symbol in symbols if symbol.index in needed]

    @property
    def reads_alpha(self):
        """Whether the formula depends on alpha."""
        return any(symbol.operation == "alpha" for symbol in self.symbols)

    def evaluate(self, operations, z, alpha, constant):
        """Return the result in values of another kind, such as tensors.

        `operations` are functions of such values; `constant` makes one of a float.
        """
        values: dict = {}
        for symbol in self.symbols:
            if symbol.operation == "z":
                value = z
            elif symbol.operation == "alpha":
                value = constant(alpha)
            elif symbol.operation == "number":
                value = constant(symbol.number)
            else:
                value = operations[symbol.operation](*(values[a.index] for a in symbol.arguments))
            values[symbol.index] = value
        return values[self.result.index]


def formula_of(export, activation):
    """Return the `Formula` of an activation, for the function `export`.

    Raises
    ------
    ValueError
        If the activation acts on whole rows, or its formula has an operation that exports cannot
        write; the message names `export` and the activation.
    """
    record = ACTIVATIONS[activation]
    symbols: list = []
    z = Symbol(symbols, "z")
    alpha = Symbol(symbols, "alpha")
    try:
        if record.of_rows:
            raise _Untraceable("acts on whole rows")
        result = z.symbol_of(_rebound(record.function)(z, alpha))
        if not result.is_vector:
            raise _Untraceable("does not depend on z")
    except (_Untraceable, TypeError, AttributeError, NumbaError) as error:
        raise ValueError(
            f"fastbp.{export}: activation {quoted(activation)} cannot be exported: its formula "
            f"{error}"
        ) from None
    return Formula(symbols, result)


def _symbolic(name, value):
    """Return the symbolic counterpart of a value that a formula refers to by a name."""
    if isinstance(value, ModuleType):
        return _Members(value)
    if not callable(value):
        return value
    if value in _SYMBOLIC:
        return _SYMBOLIC[value]
    function = getattr(value, "py_func", value)
    return _rebound(function) if isinstance(function, FunctionType) else _refused(name, function)


class _Members:
    """A module whose members are symbolic."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return _symbolic(name, getattr(self._module, name))


def _rebound(function):
    """Return a function that finds symbolic operations in place of compiled ones."""

    def call(*arguments, **options):
        code, scope = function.__code__, function.__globals__
        names = {name: _symbolic(name, scope[name]) for name in code.co_names if name in scope}
        enclosed = zip(code.co_freevars, function.__closure__ or (), strict=True)
        cells = tuple(CellType(_symbolic(name, cell.cell_contents)) for name, cell in enclosed)
        copy = FunctionType(code, {**scope, **names}, None, function.__defaults__, cells)
        return copy(*arguments, **options)

    return call


def _refused(name, function):
    """Return a function that raises _Untraceable for symbols, and is `function` for numbers."""

    def call(*arguments):
        if any(isinstance(a, Symbol) for a in arguments):
            raise _Untraceable(f"calls {name}, which exports cannot write")
        return function(*arguments)

    return call


def _applied(operation):
    return lambda x: x.apply(operation, x)


def _select(mask, a, b):
    if not isinstance(mask, Symbol) or mask.operation not in _COMPARISONS:
        raise _Untraceable("selects by something other than a comparison")
    a, b = mask.symbol_of(a), mask.symbol_of(b)
    left, right = mask.arguments
    if left is b and right is a:  # x if not x < c, else c; NaN stays NaN
        return mask.apply("maximum" if mask.operation.startswith("less") else "minimum", b, a)
    if not a.is_vector and not b.is_vector:
        a = mask.apply("broadcast", left if left.is_vector else right, a)
    return mask.apply("select", mask, a, b)


_SYMBOLIC = {
    elementary.exp: _applied("exp"),
    elementary.expm1: _applied("expm1"),
    elementary.log: _applied("log"),
    elementary.log1p: _applied("log1p"),
    elementary.tanh: _applied("tanh"),
    elementary.erf: _applied("erf"),
    intrinsics.absolute: _applied("absolute"),
    intrinsics.square_root: _applied("sqrt"),
    intrinsics.select: _select,
    intrinsics.broadcast: lambda like, number: like.apply("broadcast", like, number),
    intrinsics.fma: lambda a, b, c: a * b + c,
}
