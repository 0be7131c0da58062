"""Registries: records by name, read by the kernels, the API, the tests and the benchmarks."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Protocol, TypeVar, cast

from ...quoted import quoted


class Named(Protocol):
    """An object with a read-only name."""

    @property
    def name(self) -> str:
        """The name in the API."""


Record = TypeVar("Record", bound=Named)


class Registry(dict[str, Record]):
    """Records by name, in order.

    Parameters
    ----------
    kind : str
        What a record is, as an error message names it.
    records : iterable
        Objects with a ``name``.
    aliases : dict, optional
        Other names of records.
    """

    def __init__(
        self, kind: str, records: Iterable[Record], aliases: Mapping[str, str] | None = None
    ) -> None:
        super().__init__((record.name, record) for record in records)
        self.kind = kind
        self.aliases = dict(aliases or {})
        self._type = type(next(iter(self.values())))

    def __missing__(self, name: object) -> Record:
        # a custom formula is a name and the record at once: see `formulas.custom`
        if isinstance(name, self._type):
            return cast(Record, name)
        raise KeyError(name)

    def find(self, name: object) -> Record:
        """Return the record called `name`; a record is returned as it is.

        Raises
        ------
        ValueError
            If there is none; the message suggests the nearest name.
        """
        if isinstance(name, self._type):
            return cast(Record, name)
        if isinstance(name, str):
            record = self.get(self.aliases.get(name, name))
            if record is not None:
                return record
        known = [*self, *self.aliases]
        near = get_close_matches(name, known, 1) if isinstance(name, str) else []
        if isinstance(name, str) and type(name) is not str:  # the user's own, of another table
            raise ValueError(f"{quoted(name)} is a {type(name).__name__}, and no {self.kind}")
        hint = f"; did you mean {quoted(near[0])}?" if near else "."
        raise ValueError(
            f"unknown {self.kind} {quoted(name)}{hint} Known: {', '.join(sorted(known))}"
        )
