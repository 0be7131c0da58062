"""A kind of column is a file and an entry of the list; what it lacks is refused by name."""

import shutil
from pathlib import Path

import polars as pl
import pytest

import fastbp
import fastbp.kernels
from fastbp import Network, TableModel, to_onnx
from fastbp.tables.columns.column import Column
from fastbp.tables.columns.kinds import KINDS
from fastbp.tables.columns.schema import Schema, Target

PERCENT = '''
"""Columns of percentages, such as 12.5%: shares."""

import numpy as np
import polars as pl

from .column import Column
from .values import parsed_text, unreadable


class Percent(Column, frozen=True):
    """A column of percentages: one feature, the share; 0 where missing."""

    unit: float = 0.01

    plural = "percentages"
    expected = "a percentage"
    formula = "share"
    in_text = True

    @classmethod
    def read(cls, series, words, text=None):
        """Read shares."""
        if series.dtype != pl.String:
            raise unreadable(series, cls.plural)
        return parsed_text(series, words, _parsed)

    def write(self, values, missing, features):
        """Write shares."""
        features[:, 0] = np.where(missing, 0, values * self.unit)


def _parsed(series):
    return series.str.strip_suffix("%").cast(pl.Float64, strict=False).set(
        ~series.str.ends_with("%"), None
    )
'''

USED = """
import numpy as np, polars as pl, fastbp
from fastbp.errors import DataError
from fastbp.tables.columns.encoding import Encoder
from fastbp.tables.columns.inference import infer
from fastbp.tables.columns.schema import Schema
from fastbp.tables.read.table import open_table
from fastbp.tables.result.notes import notes_of
print(fastbp.__file__)
shares = ["50%", " 25%", "NA", "5%"] * 8
frame = pl.DataFrame({"p": shares, "x": [1, 2, 4, 3] * 8, "y": ["a", "b"] * 16})
schema = infer(open_table(frame), "y")
assert [column.kind for column in schema.columns] == ["percent", "number"]
data = schema.to_data()
assert data["columns"][0]["unit"] == 0.01 and data["columns"][0]["clock"] is False
assert Schema.from_data(data) == schema
features = Encoder(schema).encode(frame)[:4, :2]
np.testing.assert_allclose(features, [[0.5, 0], [0.25, 0], [0, 1], [0.05, 0]])
assert "  0: p: share" in notes_of(schema)
try:
    Encoder(schema).encode(frame.with_columns(p=pl.lit("half")))
except DataError as error:
    assert str(error) == "column 'p' is 'half' in row 1: expected a percentage"
else:
    raise AssertionError("half is no percentage")
"""


def test_a_kind_is_added_by_a_file_and_its_entry(tmp_path, run_python):
    copy = tmp_path / "fastbp"
    ignored = shutil.ignore_patterns("__pycache__", "kernels")
    shutil.copytree(Path(fastbp.__file__).parent, copy, ignore=ignored)
    kernels = Path(fastbp.kernels.__file__).parent
    shutil.copytree(kernels, copy / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    columns = copy / "tables" / "columns"
    (columns / "percent.py").write_text(PERCENT)
    kinds = (columns / "kinds.py").read_text()
    kinds = kinds.replace("from .number", "from .percent import Percent\nfrom .number")
    (columns / "kinds.py").write_text(kinds.replace("Number |", "Percent | Number |"))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USED}"
    assert run_python(code).strip() == str(copy / "__init__.py")


class Colour(Column, frozen=True):
    """A kind that is not listed and lacks everything."""

    plural = "colours"


@pytest.mark.parametrize("name", ["read", "write"])
def test_what_a_kind_lacks_is_refused_by_name(name):
    colour = Colour("sky", missing=False)
    with pytest.raises(NotImplementedError, match=f"^columns of kind colour have no {name}$"):
        if name == "read":
            colour.read(pl.Series(["blue"]), ())
        else:
            colour.write(None, None, None)


def test_a_kind_without_a_graph_is_refused_by_name():
    target = Target("y", "classification", "text", ("a", "b"), (1, 1))
    schema = Schema((Colour("sky", missing=False),), target)
    model = TableModel(Network([1, 2], loss="cross_entropy"), schema)
    with pytest.raises(ValueError, match="column 'sky' holds colours, which have no ONNX export"):
        to_onnx(model)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_complete(kind):
    for name in ("plural", "expected", "formula"):
        assert isinstance(getattr(kind, name), str)
    assert kind.__name__.lower() == kind.__struct_config__.tag
