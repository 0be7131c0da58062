"""Formulas as functions in a programming language with infix operators, such as C or Python."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .trace import Symbol, formula_of

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
    float. `variable` and `result` are statements, and `alpha` is a parameter behind z.
    """

    export: str
    operations: dict[str, str]
    number: Callable[[float], str]
    variable: str
    result: str
    indent: str
    alpha: str
    function: str
    softmax: str

    def functions(self, activations):
        """Return the functions of activations as text; the identity needs none."""
        own = {"identity": "", "softmax": self.softmax}
        names = dict.fromkeys(activations)
        return "".join(own[name] if name in own else self._function(name) for name in names)

    def arguments(self, z, activation, alpha):
        """Return the arguments for the function of an activation."""
        reads_alpha = activation != "softmax" and formula_of(self.export, activation).reads_alpha
        return f"{z}, {alpha}" if reads_alpha else z

    def _function(self, activation):
        formula = formula_of(self.export, activation)
        return self.function.format(
            name=activation,
            alpha=self.alpha if formula.reads_alpha else "",
            body=f"\n{self.indent}".join(self._statements(formula)),
        )

    def _statements(self, formula):
        """Return the statements; a value that is used more than once becomes a variable."""
        templates = {"z": "z", "alpha": "alpha", **self.operations, **_INFIX}
        uses: Counter = Counter()
        for symbol in formula.symbols:
            for place in re.findall(r"{(\d)}", templates[symbol.operation]):
                argument = symbol.arguments[int(place)]
                if isinstance(argument, Symbol):
                    uses[argument.index] += 1
        statements: list[str] = []
        texts: dict[int, str] = {}
        infix = set()  # symbols whose text needs parentheses in that of others

        def text_of(argument, in_call):
            if not isinstance(argument, Symbol):
                return self.number(argument)
            text = texts[argument.index]
            return f"({text})" if argument.index in infix and not in_call else text

        for symbol in formula.symbols:
            template = templates[symbol.operation]
            is_call = template.endswith(")")
            text = template.format(*(text_of(argument, is_call) for argument in symbol.arguments))
            if symbol.arguments and uses[symbol.index] > 1:
                name = f"t{len(statements) + 1}"
                statements.append(self.variable.format(name=name, value=text))
                text = name
            elif symbol.arguments and not is_call:
                infix.add(symbol.index)
            texts[symbol.index] = text
        return [*statements, self.result.format(texts[formula.result.index])]
