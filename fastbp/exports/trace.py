"""Formulas of activations as expressions, which each export writes in its own language.

The formula of a kernel is a plain Python function of z and alpha. Called with symbols in place
of vectors, and with symbolic operations in place of the compiled ones, it returns the expression
that it computes. Equal subexpressions are one symbol.
"""

from math import isfinite
from types import CellType, FunctionType, ModuleType

from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.simd import elementary, intrinsics

# compiled functions that exports translate, by the name of the operation
_TRANSLATED = {
    elementary.exp: "exp",
    elementary.expm1: "expm1",
    elementary.log: "log",
    elementary.log1p: "log1p",
    elementary.tanh: "tanh",
    elementary.erf: "erf",
    intrinsics.absolute: "absolute",
    intrinsics.square_root: "sqrt",
}


class _Untraceable(Exception):
    """The reason why a formula has no expression, as the end of a message."""


class Symbol:
    """One value of a formula: an operation and its arguments.

    Attributes
    ----------
    operation : str
        "input"; "add", "sub", "mul", "div", "neg"; "lt", "le", "gt", "ge"; "exp", "expm1",
        "log", "log1p", "tanh", "erf", "sqrt", "absolute"; "maximum", "minimum"; "select" of a
        comparison and two values; or "broadcast" of a vector and the number to fill it with.
    arguments : tuple
        Symbols and floats; of an input, its name "z" or "alpha".
    index : int
        The place among the symbols of a formula: arguments come before results.
    is_vector : bool
        Whether it has one number for each unit, as z has.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, known, operation, arguments):
        self._known = known
        self.operation, self.arguments = operation, arguments
        self.index = len(known)
        is_input = operation == "input"
        self.is_vector = arguments[0] == "z" if is_input else any(map(_is_vector, arguments))

    def apply(self, operation, *arguments):
        """Return the symbol of an operation on symbols and numbers of the same formula."""
        return _symbol(self._known, operation, *arguments)

    def __neg__(self):
        return self.apply("neg", self)

    def __add__(self, other):
        return self.apply("add", self, other)

    def __radd__(self, other):
        return self.apply("add", other, self)

    def __sub__(self, other):
        return self.apply("sub", self, other)

    def __rsub__(self, other):
        return self.apply("sub", other, self)

    def __mul__(self, other):
        return self.apply("mul", self, other)

    def __rmul__(self, other):
        return self.apply("mul", other, self)

    def __truediv__(self, other):
        return self.apply("div", self, other)

    def __rtruediv__(self, other):
        return self.apply("div", other, self)

    def __lt__(self, other):
        return self.apply("lt", self, other)

    def __le__(self, other):
        return self.apply("le", self, other)

    def __gt__(self, other):
        return self.apply("gt", self, other)

    def __ge__(self, other):
        return self.apply("ge", self, other)

    def __eq__(self, other):
        raise _Untraceable("compares with ==")

    def __bool__(self):
        raise _Untraceable("branches on a value; select(mask, a, b) can be exported")


class Formula:
    """The expression of an activation.

    Attributes
    ----------
    result : Symbol
        The output a.
    symbols : list of Symbol
        The symbols of the expression, arguments before results.
    """

    def __init__(self, symbols, result):
        self.result = result
        needed = {result.index}
        for symbol in reversed(symbols):
            if symbol.index in needed:
                needed.update(a.index for a in symbol.arguments if isinstance(a, Symbol))
        self.symbols = [symbol for symbol in symbols if symbol.index in needed]

    @property
    def reads_alpha(self):
        """Whether the formula depends on alpha."""
        return any(s.operation == "input" and s.arguments[0] == "alpha" for s in self.symbols)

    def evaluate(self, operations, inputs, constant):
        """Return the result in another kind of values.

        Parameters
        ----------
        operations : dict
            Functions of such values, by the name of the operation. "relu" and "logistic" may be
            among them: they are used for expressions equal to them.
        inputs : dict
            z as such a value and alpha as a float.
        constant : callable
            Makes such a value of a float.
        """
        found: dict = {}

        def value(argument):
            if not isinstance(argument, Symbol):
                return constant(argument)
            if argument.index not in found:
                found[argument.index] = compute(argument)
            return found[argument.index]

        def compute(symbol):
            if symbol.operation == "input":
                given = inputs[symbol.arguments[0]]
                return constant(given) if isinstance(given, float) else given
            operation, arguments = _fused(symbol, operations)
            return operations[operation](*map(value, arguments))

        return value(self.result)


def formula_of(export, activation):
    """Return the formula of an activation.

    Parameters
    ----------
    export : str
        The function that exports, for the message.
    activation : str
        A name in ``fastbp.ACTIVATIONS``.

    Raises
    ------
    ValueError
        If the activation acts on whole rows, or its formula has an operation that exports cannot
        write; the message names both.
    """
    record = ACTIVATIONS[activation]
    known: dict = {}
    z, alpha = _symbol(known, "input", "z"), _symbol(known, "input", "alpha")
    try:
        if record.outputs == "simplex":
            raise _Untraceable("acts on whole rows")
        result = _rebound(record.function)(z, alpha)
        if not _is_vector(result):
            raise _Untraceable("does not depend on z")
    except _Untraceable as error:
        raise ValueError(
            f"fastbp.{export}: activation {activation!r} cannot be exported: its formula {error}"
        ) from None
    return Formula(list(known.values()), result)


def _symbol(known, operation, *arguments):
    """Return the symbol of an operation, the same for the same arguments."""
    if operation != "input":
        arguments = tuple(map(_operand, arguments))
    key = (operation, *(("symbol", a.index) if isinstance(a, Symbol) else a for a in arguments))
    if key not in known:
        known[key] = Symbol(known, operation, arguments)
    return known[key]


def _operand(value):
    if isinstance(value, Symbol):
        return value
    if not isinstance(value, (int, float)) or not isfinite(value):
        raise _Untraceable(f"computes with {value!r}, which is no finite number")
    return float(value)


def _is_vector(value):
    return isinstance(value, Symbol) and value.is_vector


def _symbolic(name, value):
    """Return what stands for a value that a formula refers to by a name."""
    if isinstance(value, ModuleType):
        return _Members(value)
    if not callable(value) or isinstance(value, type):
        return value
    if value in _SYMBOLIC:
        return _SYMBOLIC[value]
    function = getattr(value, "py_func", value)
    if isinstance(function, FunctionType):
        return _rebound(function)
    return _refused(name, function)


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


def _translated(operation):
    return lambda x: x.apply(operation, x)


def _select(mask, a, b):
    if not isinstance(mask, Symbol) or mask.operation not in ("lt", "le", "gt", "ge"):
        raise _Untraceable("selects by something other than a comparison")
    left, right = mask.arguments
    if _same(left, b) and _same(right, a):  # x if not x < c, else c; NaN stays NaN
        return mask.apply("maximum" if mask.operation in ("lt", "le") else "minimum", b, a)
    if not _is_vector(a) and not _is_vector(b):
        a = mask.apply("broadcast", left if _is_vector(left) else right, a)
    return mask.apply("select", mask, a, b)


def _same(left, right):
    if isinstance(left, Symbol) or isinstance(right, Symbol):
        return left is right
    return left == right


_SYMBOLIC = {
    **{function: _translated(operation) for function, operation in _TRANSLATED.items()},
    intrinsics.select: _select,
    intrinsics.broadcast: lambda like, number: like.apply("broadcast", like, number),
    intrinsics.fma: lambda a, b, c: a * b + c,
}


def _fused(symbol, operations):
    """Return an operation and its arguments: one operation for several if there is one."""
    match symbol.operation, symbol.arguments:
        case "maximum", (x, float(0)) if "relu" in operations:
            return "relu", (x,)
        case "div", (
            float(1),
            Symbol(operation="add", arguments=(
                float(1),
                Symbol(operation="exp", arguments=(Symbol(operation="neg", arguments=(x,)),)),
            )),
        ) if "logistic" in operations:  # fmt: skip
            return "logistic", (x,)
    return symbol.operation, symbol.arguments
