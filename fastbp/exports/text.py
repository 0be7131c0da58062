"""Formulas as text in a programming language with infix operators, such as C or Python."""

import re
from collections import Counter
from dataclasses import dataclass

from .trace import Symbol

# how tightly operators bind; calls and numbers most
_CHOICE, _COMPARISON, _SUM, _PRODUCT, _SIGN, _ATOM = range(6)

_INFIX = {
    "add": ("{0} + {1}", _SUM),
    "subtract": ("{0} - {1}", _SUM),
    "multiply": ("{0} * {1}", _PRODUCT),
    "divide": ("{0} / {1}", _PRODUCT),
    "negative": ("-{0}", _SIGN),
    "less": ("{0} < {1}", _COMPARISON),
    "less_equal": ("{0} <= {1}", _COMPARISON),
    "greater": ("{0} > {1}", _COMPARISON),
    "greater_equal": ("{0} >= {1}", _COMPARISON),
}


@dataclass(frozen=True)
class Language:
    """The notation of a language.

    Attributes
    ----------
    calls, choices : dict
        Templates such as ``"exp({0})"`` and ``"{0} ? {1} : {2}"``, by operation. Both C and
        Python have infix operators in common.
    number : callable
        Writes a float.
    variable : str
        The template of the statement ``{name} = {value}``.
    """

    calls: dict
    choices: dict
    number: object
    variable: str


def function_name(export, activation):
    """Return the name of the function of an activation, which no other name in a file equals.

    Raises
    ------
    ValueError
        If the activation's name cannot be part of an identifier; the message names `export`.
    """
    if not re.fullmatch("[A-Za-z0-9_]+", activation):
        raise ValueError(
            f"fastbp.{export}: activation {activation!r} cannot be exported: its name has "
            "characters other than letters of ASCII, digits and underscores"
        )
    return f"activate_{activation}"


def body_of(formula, language):
    """Return a formula as statements and the expression of the result, in terms of z and alpha.

    A value that is used more than once becomes a variable: t1, t2, and so on.
    """
    templates = {
        **{name: (template, _ATOM) for name, template in language.calls.items()},
        **{name: (template, _CHOICE) for name, template in language.choices.items()},
        **_INFIX,
    }
    uses = _uses(formula, templates)
    statements: list = []
    written: dict = {}

    def text_of(argument, binds):
        if not isinstance(argument, Symbol):
            return language.number(argument)
        text, binding = written[argument.index]
        return text if binding >= binds else f"({text})"

    for symbol in formula.symbols:
        if symbol.operation == "input":
            written[symbol.index] = symbol.arguments[0], _ATOM
        else:
            template, binding = templates[symbol.operation]
            texts = [
                text_of(argument, _binding(template, binding, place))
                for place, argument in enumerate(symbol.arguments)
            ]
            value = template.format(*texts)
            if uses[symbol.index] > 1:
                name = f"t{len(statements) + 1}"
                statements.append(language.variable.format(name=name, value=value))
                value, binding = name, _ATOM
            written[symbol.index] = value, binding
    return statements, written[formula.result.index][0]


def _uses(formula, templates):
    """Count how many times the text of each symbol is part of that of others."""
    uses: Counter = Counter()
    for symbol in formula.symbols:
        if symbol.operation != "input":
            template, _ = templates[symbol.operation]
            for place, argument in enumerate(symbol.arguments):
                if isinstance(argument, Symbol):
                    uses[argument.index] += template.count(f"{{{place}}}")
    return uses


def _binding(template, binding, place):
    """Return how tightly an argument must bind to need no parentheses."""
    if binding == _ATOM:
        return _CHOICE
    return binding if template.startswith(f"{{{place}}}") else binding + 1
