"""The kinds of columns, in the order in which a column of text is tried as each of them.

To add a kind, write its subclass of `Column` in a file of its own, and list it here; to export
it to ONNX, add its graph to ``fastbp.exports.onnx_tables``.
"""

from typing import get_args

from .boolean import Boolean
from .category import Category
from .column import Column
from .date import Date
from .number import Number

AnyColumn = Number | Boolean | Date | Category

KINDS: tuple[type[Column], ...] = get_args(AnyColumn)
