"""Formulas as functions in a programming language with infix operators, such as C or Python."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..quoted import quoted
from .trace import formula_of

_INFIX = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
}


@dataclass(frozen=True)
class Language:
    """The notation of a language, for the function `export`.

    `operations` are templates such as ``"exp({0})"`` and ``"{0} ? {1} : {2}"``; `number` writes a
    float. `variable` and `result` are statements, and `alpha` is a parameter behind z. `rows` are
    the functions of activations of whole rows.
    """

    export: str
    operations: dict[str, str]
    number: Callable[[float], str]
    variable: str
    result: str
    indent: str
    alpha: str
    function: str
    rows: dict[str, str]

    def functions(self, activations):
        """Return the functions of activations as text; the identity needs none."""
        own = {"identity": "", **self.rows}
        names = dict.fromkeys(activations)
        return "".join(own[name] if name in own else self._function(name) for name in names)

    def call(self, z, activation, alpha):
        """Return the call of the function of an activation."""
        if activation in self.rows:
            return f"{activation}({z})"
        more = f", {alpha}" if formula_of(self.export, activation).reads_alpha else ""
        return f"activate_{activation}({z}{more})"

    def _function(self, activation):
        if not re.fullmatch("[A-Za-z0-9_]+", activation):
            raise ValueError(
                f"fastbp.{self.export}: activation {quoted(activation)} cannot be exported: its "
                "name has characters other than letters of ASCII, digits and underscores"
            )
        formula = formula_of(self.export, activation)
        return self.function.format(
            name=f"activate_{activation}",  # no other name in a file begins so
            alpha=self.alpha if formula.reads_alpha else "",
            body=f"\n{self.indent}".join(self._statements(formula)),
        )

    def _statements(self, formula):
        """Return the statements; a value that is used more than once becomes a variable."""
        templates = {**self.operations, **_INFIX}
        uses = Counter(
            symbol.arguments[int(place)].index
            for symbol in formula.symbols
            for place in re.findall(r"{(\d)}", templates.get(symbol.operation, ""))
        )
        statements: list[str] = []
        texts: dict[int, str] = {}
        infix: set[int] = set()  # symbols whose text needs parentheses in that of others

        for symbol in formula.symbols:
            if symbol.operation == "number":
                text = self.number(symbol.number)
            elif symbol.operation in ("z", "alpha"):
                text = symbol.operation
            else:
                template = templates[symbol.operation]
                is_call = template.endswith(")")
                arguments = [
                    f"({texts[a.index]})" if a.index in infix and not is_call else texts[a.index]
                    for a in symbol.arguments
                ]
                text = template.format(*arguments)
                if uses[symbol.index] > 1:
                    name = f"t{len(statements) + 1}"
                    statements.append(self.variable.format(name=name, value=text))
                    text = name
                elif not is_call:
                    infix.add(symbol.index)
            texts[symbol.index] = text
        return [*statements, self.result.format(texts[formula.result.index])]
