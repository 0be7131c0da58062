"""A frame with columns of all kinds, missing values too, that the tests of estimators share."""

import numpy as np
import pandas as pd

RNG = np.random.default_rng(0)
ROWS = 120
AGE = np.where(np.arange(ROWS) % 7 == 0, np.nan, RNG.uniform(18, 80, ROWS))
CITY = RNG.choice(["Oslo", "Rome", "Lima"], ROWS)
PEOPLE = pd.DataFrame(
    {
        "age": AGE,
        "city": pd.Series(CITY, dtype=object).mask(np.arange(ROWS) % 11 == 0),
        "size": pd.Categorical(RNG.choice(["S", "M", "L"], ROWS)),
        "floor": pd.Categorical(RNG.integers(0, 4, ROWS)),
        "born": pd.Timestamp("1990-01-01") + pd.to_timedelta(RNG.integers(0, 9_000, ROWS), "D"),
        "smokes": RNG.random(ROWS) < 0.4,
    }
)
RICH = np.where(np.nan_to_num(AGE, nan=40) + 20 * (CITY == "Oslo") > 55, "yes", "no")
INCOME = np.nan_to_num(AGE, nan=40) * 10 + 100.0 * (CITY == "Oslo")
