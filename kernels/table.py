"""Tables of named formulas: what the kernels, the API, the tests and the benchmarks read."""

from difflib import get_close_matches

from .dispatch import block_loop, row_loop, switch
from .jit import inner


class Table(dict):
    """Records by name, in order; a record's place is its code in compiled kernels.

    Parameters
    ----------
    kind : str
        What a record is, as an error message names it.
    records : iterable
        Objects with a ``name``.
    aliases : dict, optional
        Other names of records.
    """

    def __init__(self, kind, records, aliases=None):
        super().__init__((record.name, record) for record in records)
        self.kind = kind
        self.aliases = dict(aliases or {})

    def find(self, name):
        """Return the record called `name`.

        Raises
        ------
        ValueError
            If there is none; the message suggests the nearest name.
        """
        if isinstance(name, str):
            record = self.get(self.aliases.get(name, name))
            if record is not None:
                return record
        known = [*self, *self.aliases]
        near = get_close_matches(name, known, 1) if isinstance(name, str) else []
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"unknown {self.kind} {name!r}{hint} Known: {', '.join(sorted(known))}")

    def code(self, name):
        """Return the code of the record called `name`."""
        return list(self).index(self.find(name).name)


def by_code(functions):
    """Return the compiled function ``(code, *args) -> functions[code](*args)``."""
    return switch(*map(inner, functions))


def block_by_code(functions, scale=False):
    """Return the `block_loop` of formulas of one vector and a parameter."""
    return block_loop(*map(inner, functions), scale=scale)


def rows_by_code(functions, sums=False):
    """Return the `row_loop` of formulas of two vectors and a number."""
    return row_loop(*map(inner, functions), sums=sums)
