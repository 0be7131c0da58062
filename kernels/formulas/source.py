"""What a function of a user's own reads and does, told from its bytecode before it is compiled."""

import builtins
import contextlib
import dis
import inspect
import math
from numbers import Real
from types import BuiltinFunctionType, CellType, FunctionType, ModuleType

import numpy as np

from ...quoted import quoted

# what a compiled formula must not do, by the instruction that does it
_DOES = {
    "STORE_GLOBAL": "sets the global variable {}",
    "DELETE_GLOBAL": "deletes the global variable {}",
    "STORE_ATTR": "sets the attribute {}",
    "DELETE_ATTR": "deletes the attribute {}",
    "STORE_SUBSCR": "sets an item",
    "DELETE_SUBSCR": "deletes an item",
    "RAISE_VARARGS": "raises or asserts something",
    "IMPORT_NAME": "imports {}",
    "MAKE_FUNCTION": "defines a function inside",
    "YIELD_VALUE": "yields",
    "RETURN_GENERATOR": "yields",
    "GEN_START": "yields",
    "BUILD_LIST": "builds a list",
    "BUILD_SET": "builds a set",
    "BUILD_MAP": "builds a dict",
    "BUILD_STRING": "builds a string",
    "SETUP_FINALLY": "catches exceptions",
    "PUSH_EXC_INFO": "catches exceptions",
}
_PURE = "a formula computes one number from its arguments and does nothing else"
_BUILTINS = ("abs", "bool", "float", "int", "max", "min", "pow", "range", "round")
_MODULES = (math, np)


def require_function(what, function, count):
    """Return a plain Python function of `count` arguments; that of one compiled by Numba.

    Raises
    ------
    TypeError
        If it is no such function; `what` names it.
    ValueError
        If it, or a function that it calls, has side effects or reads what is not a number, a
        function, or the modules ``math`` and ``numpy``.
    """
    function = getattr(function, "py_func", function)
    if not isinstance(function, FunctionType):
        raise TypeError(f"{what}={quoted(function)}: expected a function, by def or lambda")
    code = function.__code__
    flags = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    if flags or code.co_kwonlyargcount or code.co_argcount != count:
        words = {1: "one argument", 2: "two arguments"}[count]
        raise TypeError(
            f"{what}: {told(function)} takes ({', '.join(inspect.signature(function).parameters)})"
            f": expected {words}"
        )
    _require_pure(what, function, (function,))
    return function


def told(function):
    """Return the name of a function, as messages tell it."""
    return function.__name__ if function.__name__ != "<lambda>" else "lambda"


def _require_pure(what, function, callers):
    own = set(function.__code__.co_freevars)
    for step in dis.get_instructions(function.__code__):
        does = _DOES.get(step.opname)
        if step.opname in ("STORE_DEREF", "DELETE_DEREF") and step.argval in own:
            does = "sets the outer variable {}"
        if step.opname == "LOAD_CONST" and not _is_plain(step.argval):
            does = "uses {!r}, which is no number"
        if does:
            does = does.format(step.argval)
            raise ValueError(f"{what}: {told(function)} {does}; {_PURE}")
    for name, value in read(function).items():
        if isinstance(value, FunctionType):
            if value in callers:
                raise ValueError(f"{what}: {told(function)} calls itself; write a loop")
            _require_pure(what, value, (*callers, value))
        elif not _is_readable(name, value):
            raise ValueError(
                f"{what}: {told(function)} uses {name}, {quoted(value)}: expected numbers, "
                "functions in Python, math and numpy; " + _PURE
            )


def _is_plain(constant):
    if isinstance(constant, tuple):
        return all(map(_is_plain, constant))
    return constant is None or isinstance(constant, Real)


def _is_readable(name, value):
    if isinstance(value, (Real, np.bool_, np.ufunc)) or value is np.where or value is np.clip:
        return True
    if isinstance(value, ModuleType):
        return value in _MODULES
    if isinstance(value, (BuiltinFunctionType, type)):
        is_of_math = getattr(value, "__module__", None) == "math"
        return is_of_math or value in [getattr(builtins, each) for each in _BUILTINS]
    return False


def read(function):
    """Return by name the globals, builtins and outer variables that a function reads.

    A function that Numba compiled is told as the plain one. A name that is not defined is an
    error of Python when the function is called.
    """
    names = {
        step.argval
        for step in dis.get_instructions(function.__code__)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    scope = {**vars(builtins), **function.__globals__}
    found = {name: scope[name] for name in sorted(names) if name in scope}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not set yet
            found[name] = cell.cell_contents
    return {name: getattr(value, "py_func", value) for name, value in found.items()}


def fingerprint(function):
    """Return what tells a function from others: its bytecode and all that it reads; None of None.

    It is equal for a function that was pickled by its code and made again.
    """
    if function is None:
        return None
    code = function.__code__
    values = tuple((name, _mark(value)) for name, value in read(function).items())
    # without its docstring: a formula has no other text
    constants = tuple(map(_mark, (each for each in code.co_consts if not isinstance(each, str))))
    given = tuple(map(_mark, function.__defaults__ or ()))
    return code.co_code, constants, code.co_names, code.co_varnames, given, values


def _mark(value):
    if isinstance(value, FunctionType):
        return fingerprint(value)
    if isinstance(value, ModuleType):
        return value.__name__
    return (type(value).__name__, repr(value))


def rebound(function, replaced, compiled):
    """Return a copy of a function that reads other values.

    Parameters
    ----------
    function : callable
        What `require_function` returned.
    replaced : dict
        What takes the place of which builtins and functions of ``math`` and NumPy.
    compiled : callable
        Compiles a function that this one calls.
    """

    def seen(value):
        if isinstance(value, FunctionType):
            return compiled(rebound(value, replaced, compiled))
        if isinstance(value, ModuleType):
            return _Replaced(value, replaced)
        hashable = isinstance(value, (BuiltinFunctionType, np.ufunc, type, type(np.where)))
        return replaced.get(value, value) if hashable else value

    values = {name: seen(value) for name, value in read(function).items()}
    scope = {"__name__": "custom", "__builtins__": builtins, **values}
    outer = tuple(CellType(values[name]) for name in function.__code__.co_freevars)
    return FunctionType(function.__code__, scope, function.__name__, function.__defaults__, outer)


class _Replaced(ModuleType):
    """A module of which some functions are others; NumPy's are those of single numbers."""

    def __init__(self, module, replaced):
        super().__init__(module.__name__)
        self._module, self._replaced = module, replaced

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if isinstance(value, Real):
            return value
        known = callable(value) and value in self._replaced
        if self._module is np and not (known or isinstance(value, np.ufunc)):
            raise AttributeError(name)
        return self._replaced[value] if known else value
