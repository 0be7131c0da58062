"""Frames that are no pandas' or polars' own: subclasses, and what is known by its stream."""

import pandas as pd


class Places(pd.DataFrame):
    """As geopandas makes its frames: what is cut from one is one."""

    @property
    def _constructor(self):
        return Places


class Placed(pd.DataFrame):
    """A subclass that is made in a way of its own, and whose method does something else."""

    def __init__(self, data, place):
        super().__init__(data)
        self.attrs["place"] = place

    def rename(self, *args, **kwargs):
        raise AssertionError


class Streamed:
    """A table of a library that is known by its stream alone, such as a relation of DuckDB."""

    def __init__(self, frame):
        self._frame, self.columns = frame, frame.columns

    def __arrow_c_stream__(self, requested_schema=None):
        return self._frame.__arrow_c_stream__(requested_schema)
