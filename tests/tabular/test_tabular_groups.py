"""Each sample has a group, in whatever form groups are given."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastbp import TabularRegressor

X = np.random.default_rng(7).normal(size=(150, 2))
QUICK = {"epochs": 1, "preset": "fast", "random_state": 0}

MISSING = {
    "none": lambda names, rows: [None if p in rows else n for p, n in enumerate(names)],
    "nan": lambda names, rows: np.where(np.isin(np.arange(150), rows), np.nan, np.arange(150) // 9),
    "objects": lambda names, rows: pd.Series(MISSING["none"](names, rows), dtype=object),
    "text": lambda names, rows: pd.Series(MISSING["none"](names, rows), dtype="string"),
    "integers": lambda names, rows: pd.Series(MISSING["nan"](names, rows)).astype("Int64"),
    "categories": lambda names, rows: pd.Categorical(MISSING["none"](names, rows)),
    "days": lambda names, rows: pd.to_datetime(pd.Series(MISSING["nan"](names, rows)), unit="D"),
    "objects of days": lambda names, rows: MISSING["days"](names, rows).astype(object),
    "polars": lambda names, rows: pl.Series(MISSING["none"](names, rows)),
    "numbers of polars": lambda names, rows: pl.Series(
        MISSING["nan"](names, rows), nan_to_null=True
    ),
}


@pytest.mark.parametrize("form", MISSING)
def test_a_missing_group_is_named_by_its_row(form):
    names = [f"patient {place // 9}" for place in range(150)]
    for rows, first in (((0, 7), 1), ((149,), 150)):
        with pytest.raises(ValueError, match=f"groups has no value in row {first}: give one"):
            TabularRegressor(**QUICK).fit(X, X[:, 0], groups=MISSING[form](names, rows))
    # a sample of weight 0 needs none
    weight = np.arange(150) > 20
    given = MISSING[form](names, (3, 4))
    fitted = TabularRegressor(**QUICK).fit(X, X[:, 0], weight, groups=given)
    alone = TabularRegressor(**QUICK).fit(X[21:], X[21:, 0], weight[21:], groups=given[21:])
    assert (fitted.predict(X) == alone.predict(X)).all()


def test_groups_of_several_types_are_refused():
    groups = [place if place % 2 else str(place) for place in range(150)]
    with pytest.raises(TypeError, match="groups has values of several types, int, str: expected"):
        TabularRegressor(**QUICK).fit(X, X[:, 0], groups=np.array(groups, object))
