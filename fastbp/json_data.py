"""Data read from JSON, checked against declared types; errors name the path within the data."""

import sys
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

Kind = TypeVar("Kind")
_LARGEST = sys.float_info.max

# a finite number, as a float; NaN fails every comparison
Finite = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
NotNegative = Annotated[float, Meta(ge=0, le=_LARGEST)]
Positive = Annotated[float, Meta(gt=0, le=_LARGEST)]
Amount = Annotated[float, Meta(ge=0, le=_LARGEST)]
Count = Annotated[int, Meta(ge=0)]


def read_as(kind: type[Kind], data: object, name: str) -> Kind:
    """Return `data` as an instance of `kind`, a `msgspec.Struct` or a type such as ``list[int]``.

    Constraints are `msgspec.Meta` annotations. If the data do not fit, ValueError names the path:
    "Expected `int` >= 0 - at `record.data.rows`", where `name` is "record".
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        message = str(error).replace("at `$", f"at `{name}", 1)
        raise ValueError(message if " - at `" in message else f"{message} - at `{name}`") from error
