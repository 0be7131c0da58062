"""A function with branches as one without: both sides of each are computed, and one is chosen.

The function runs on symbols, once for each way through its branches, and what it does to them is
written down as the source of another function. That one runs on vectors, which cannot branch.
"""

from functools import reduce
from numbers import Real

import numpy as np

from .source import rebound

# beyond these, code of vectors would be long, and slower than branches
_MOST_STEPS, _MOST_BRANCHES = 256, 32


class _Branch(Exception):
    """The function asks for a condition of which no side was chosen yet."""


class _Condition:
    """Whether a comparison of symbols is true: asked by a branch, or an argument of ``where``."""

    def __init__(self, tape, name):
        self.tape, self.name = tape, name

    def __bool__(self):
        return self.tape.chosen(self.name)


class _Symbol:
    """A number that is not known: operators write down what is done to it."""

    __hash__ = None

    def __init__(self, tape, name):
        self.tape, self.name = tape, name

    def __neg__(self):
        return self.tape.write(f"-{self.name}")

    def __pos__(self):
        return self

    def __abs__(self):
        return self.tape.call("abs", self)

    def __pow__(self, exponent):
        if exponent == 0.5:
            return self.tape.call("sqrt", self)
        if isinstance(exponent, int) and exponent < 1:
            return 1.0 if exponent == 0 else 1.0 / self**-exponent
        return self.tape.write(f"{self.name} ** {_text(exponent)}")


def _arithmetic(sign):
    def forward(self, other):
        return self.tape.write(f"{self.name} {sign} {_text(other)}")

    def backward(self, other):
        return self.tape.write(f"{_text(other)} {sign} {self.name}")

    return forward, backward


def _comparison(sign):
    return lambda self, other: self.tape.write(f"{self.name} {sign} {_text(other)}", _Condition)


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/")):
    _forward, _backward = _arithmetic(_sign)
    setattr(_Symbol, f"__{_name}__", _forward)
    setattr(_Symbol, f"__r{_name}__", _backward)
for _name, _sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "==")):
    setattr(_Symbol, f"__{_name}__", _comparison(_sign))


def _text(value):
    if isinstance(value, (_Symbol, _Condition)):
        return value.name
    if not isinstance(value, Real) or value != value or value in (float("inf"), -float("inf")):
        raise TypeError(f"{value!r} is no number that can be written")
    return f"({int(value)})" if isinstance(value, int) else f"({float(value)!r})"


class _Tape:
    """What is done to the symbols of one function, each step once."""

    def __init__(self):
        self.steps = {}
        self._choices, self._asked, self._branches = (), 0, 0

    def write(self, text, kind=_Symbol):
        """Return the symbol of a step."""
        if len(self.steps) >= _MOST_STEPS:
            raise OverflowError("too many steps")
        return kind(self, self.steps.setdefault(text, f"t{len(self.steps)}"))

    def call(self, name, *arguments):
        """Return the symbol of a call of one of the functions."""
        return self.write(f"{name}({', '.join(map(_text, arguments))})")

    def chosen(self, condition):
        """Return the side of a branch that is taken in this run."""
        self._asked += 1
        if self._asked > len(self._choices):
            raise _Branch(condition)
        return self._choices[self._asked - 1]

    def explore(self, function, arguments, choices=()):
        """Return what the function returns after the choices, from both sides of later branches."""
        self._choices, self._asked = choices, 0
        try:
            return function(*arguments)
        except _Branch as branch:
            self._branches += 1
            if self._branches > _MOST_BRANCHES:
                raise OverflowError("too many branches") from None
            condition = branch.args[0]
        sides = [self.explore(function, arguments, (*choices, side)) for side in (True, False)]
        return self.write(f"where({condition}, {', '.join(map(_text, sides))})")


def straight(function, functions):
    """Return a function without branches that computes the same; None if that cannot be.

    `functions` holds those that it may call instead of Python's, by these: see
    `simd.functions.REPLACED`.
    """
    named = {original: getattr(original, "__name__", "f") for original in functions}
    scope = {name: functions[original] for original, name in named.items()}
    scope["__name__"] = "custom"
    tape = _Tape()

    def noted(original, name):
        def call(*arguments):
            if name == "where" and isinstance(arguments[0], (bool, np.bool_)):
                return arguments[1] if arguments[0] else arguments[2]
            if name in ("max", "min") and len(arguments) > 2:
                return reduce(call, arguments)
            if any(isinstance(each, (_Symbol, _Condition)) for each in arguments):
                return tape.call(name, *arguments)
            return original(*arguments)

        return call

    traced = rebound(
        function, {each: noted(each, name) for each, name in named.items()}, lambda each: each
    )
    count = function.__code__.co_argcount
    names = [f"x{n}" for n in range(count)]
    try:
        result = tape.explore(traced, [_Symbol(tape, name) for name in names])
        last = _text(result)
    except Exception:  # whatever a user's function does to symbols: it runs on numbers
        return None
    lines = [f"def formula({', '.join(names)}):"]
    lines += [f"    {name} = {text}" for text, name in tape.steps.items()]
    exec("\n".join([*lines, f"    return {last}"]), scope)
    return scope["formula"]
