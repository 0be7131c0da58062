"""Frames as libraries take them: numbers and categories, learned from the rows that train."""

import numpy as np
import pandas as pd

# HistGradientBoosting takes at most 255 categories; the rarer ones share one
MOST_CATEGORIES = 254
RARE = "(rare)"


class Frames:
    """Makes frames of numbers and of categories, which are those of the rows that it was fitted on.

    A category that is new is missing. With `words`, categories are words, and so are missing ones;
    with `median`, missing numbers are the median. The columns are named by their places:
    LightGBM refuses names with brackets, colons or quotation marks.
    """

    def __init__(self, words=False, median=False):
        self.words, self.median = words, median

    def fit(self, frame):
        """Learn the categories and the medians."""
        frame = _plain(frame)
        self.levels, self.medians = {}, {}
        for name, column in frame.items():
            if not pd.api.types.is_numeric_dtype(column):
                self.levels[name] = list(column.value_counts().index[:MOST_CATEGORIES])
            else:
                self.medians[name] = column.median()
        return self

    @property
    def categories(self):
        """The names of the columns of categories."""
        return list(self.levels)

    def transform(self, frame):
        """Return the frame of some rows."""
        frame = _plain(frame)
        for name, levels in self.levels.items():
            column = frame[name]
            if len(levels) == MOST_CATEGORIES:
                column = column.where(column.isin(levels) | column.isna(), RARE)
                levels = [*levels, RARE]
            known = column.where(column.isin(levels))
            column = pd.Series(pd.Categorical(known, levels), frame.index)
            # as objects: CatBoost does not know the type of words of pandas 3
            frame[name] = column.astype(object).fillna("nan") if self.words else column
        return frame.fillna(self.medians) if self.median else frame


def _plain(frame):
    """Return a frame of numbers and, as objects, of words: dates are days, and booleans 0 or 1."""
    columns = {}
    for place, (_, column) in enumerate(frame.items()):
        if pd.api.types.is_datetime64_any_dtype(column):
            first = pd.Timestamp(0, tz=column.dt.tz)
            column = (column - first) / pd.Timedelta(days=1)
        elif pd.api.types.is_numeric_dtype(column):
            column = column.astype(np.float64)
        else:
            column = column.astype(object).map(str, na_action="ignore")
        columns[f"x{place}"] = column
    return pd.DataFrame(columns)
