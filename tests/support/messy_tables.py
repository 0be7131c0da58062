"""Raw CSV files as people have them: mixed columns, text, dates, what is missing, rare classes.

Those of scikit-learn get missing values, a column of text in place of a number, and a column
that tells nothing; the others are generated, with a rule that is known.
"""

import numpy as np
import pandas as pd
from sklearn import datasets

_WORDS = np.array(["very low", "low", "medium", "high", "very high"])


def _shipped(load, rng, share=0.08):
    """Return a data set of scikit-learn as a frame, made messy."""
    data = load(as_frame=True)
    frame = data.frame.drop(columns=data.target.name)
    frame.columns = [str(name).replace(" ", "_") for name in frame]
    names = list(frame)
    varying = [name for name in names if frame[name].nunique() > 10]
    worded = varying[1]
    ranks = frame[worded].rank(pct=True).to_numpy()
    frame[worded] = _WORDS[np.minimum((ranks * 5).astype(int), 4)]
    frame["clerk"] = rng.choice(["Ada", "Blaise", "Carl, Friedrich", 'Émilie "du"'], len(frame))
    for name in names[::2]:
        frame.loc[rng.random(len(frame)) < share, name] = None
    names = getattr(data, "target_names", None)
    frame["target"] = data.target if names is None or "pixel_0_0" in frame else names[data.target]
    return frame


def _loans(rng, rows=3000):
    """Loans, of which one in eight is not paid back: a rare class, and informative gaps."""
    income = rng.lognormal(7.8, 0.5, rows)
    amount = rng.lognormal(9, 0.8, rows)
    job = rng.choice(
        ["clerk", "nurse", "farmer", "driver", "none"], rows, p=[0.3, 0.2, 0.2, 0.2, 0.1]
    )
    owner = rng.random(rows) < 0.4
    day = rng.integers(0, 1500, rows)
    debt = amount / income / 8
    says_nothing = rng.random(rows) < 0.1 + 0.2 * (debt > 0.7)
    risk = 1.6 * np.log(debt) + 1.5 * (job == "none") - owner + 1.2 * says_nothing
    risk += 0.8 * np.sin(2 * np.pi * day / 365.2425) + rng.logistic(0, 0.5, rows)
    paid = risk < np.quantile(risk, 0.875)
    return pd.DataFrame(
        {
            "loan_id": [f"L-{n:06d}" for n in rng.permutation(rows)],
            "signed": pd.Timestamp("2019-03-01") + pd.to_timedelta(day, unit="D"),
            "income": np.where(says_nothing, np.nan, income.round(0)),
            "amount": amount.round(2),
            "job": np.where(rng.random(rows) < 0.05, None, job),
            "owner": np.where(owner, "yes", "no"),
            "branch": 7,
            "target": np.where(paid, "paid", "default"),
        }
    )


def _flats(rng, rows=3000):
    """Rents of flats: a number by district (300 of them, most of them rare), size and season."""
    effects = rng.normal(0, 0.35, 300)
    weights = 1 / np.arange(1, 301)
    district = rng.choice(300, rows, p=weights / weights.sum())
    size = rng.gamma(6, 12, rows)
    rooms = np.clip(np.round(size / 25 + rng.normal(0, 0.6, rows)), 1, 9)
    lift, floor = rng.random(rows) < 0.5, rng.integers(0, 8, rows)
    day = rng.integers(0, 2000, rows)
    value = 0.8 * np.log(size) + effects[district] + 0.04 * floor * (2 * lift - 1)
    value += 0.08 * np.sin(2 * np.pi * day / 365.2425) + day / 8000 + rng.normal(0, 0.1, rows)
    return pd.DataFrame(
        {
            "listed": (pd.Timestamp("2018-01-01") + pd.to_timedelta(day, unit="D")).astype(str),
            "district": [f"District {n}" for n in district],
            "size": np.where(rng.random(rows) < 0.04, np.nan, size.round(1)),
            "rooms": pd.array(np.where(rng.random(rows) < 0.1, np.nan, rooms)).astype("Int64"),
            "lift": np.where(rng.random(rows) < 0.1, None, lift),
            "floor": floor,
            "target": (300 * np.exp(value - 3)).round(2),
        }
    )


def _visits(rng, rows=4000):
    """Visits to a shop, four outcomes, by the hour, the device and things that interact."""
    minute = rng.integers(0, 60 * 24 * 300, rows)
    device = rng.choice(["phone", "tablet", "desktop"], rows, p=[0.6, 0.1, 0.3])
    pages, seconds = rng.poisson(4, rows) + 1, rng.exponential(120, rows)
    returning = rng.random(rows) < 0.35
    hour = minute / 60 % 24
    evening = np.cos(2 * np.pi * (hour - 20) / 24)
    scores = np.stack(
        [
            np.full(rows, 1.2),
            0.5 * pages - 1.5 + (device == "phone"),
            0.01 * seconds * (1 + returning) + evening - 0.8,
            1.5 * returning * (device == "desktop") + 0.3 * pages - 0.8 - evening,
        ]
    )
    outcome = (2 * scores + rng.gumbel(size=scores.shape)).argmax(axis=0)
    stamps = pd.Timestamp("2023-01-01") + pd.to_timedelta(minute, unit="min")
    return pd.DataFrame(
        {
            "when": stamps.strftime("%Y-%m-%d %H:%M"),
            "device": np.where(rng.random(rows) < 0.1, None, device),
            "pages": pages,
            "seconds": np.where(rng.random(rows) < 0.15, np.nan, seconds.round(1)),
            "returning": returning,
            "target": np.array(["left", "browsed", "asked", "bought"])[outcome],
        }
    )


def _sensors(rng, rows=2500):
    """A number that is a smooth function of five sensors, of which some fail at times."""
    X = rng.uniform(0, 1, (rows, 8))
    y = (
        10 * np.sin(np.pi * X[:, 0] * X[:, 1])
        + 20 * (X[:, 2] - 0.5) ** 2
        + 10 * X[:, 3]
        + 5 * X[:, 4]
    )
    mode = rng.choice(["A", "B", "C"], rows)
    y = y * np.where(mode == "B", 1.3, 1) + 3 * (mode == "C") + rng.normal(0, 1, rows)
    frame = pd.DataFrame(X.round(4) * [1, 100, 1, 1000, 1, 5, 1e6, 1], columns=list("abcdefgh"))
    for name in "adg":
        frame.loc[rng.random(rows) < 0.08, name] = None
    return frame.assign(mode=mode, target=y.round(4))


_SHIPPED = {
    "digits": datasets.load_digits,
    "breast cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}
_GENERATED = {"loans": _loans, "flats": _flats, "visits": _visits, "sensors": _sensors}
TABLES = [*_SHIPPED, *_GENERATED]
NUMBERS = ("diabetes", "flats", "sensors")  # their targets are numbers


def messy(name, seed=0):
    """Return a table by name as a pandas frame; its target is the column "target"."""
    rng = np.random.default_rng([seed, TABLES.index(name)])
    return _shipped(_SHIPPED[name], rng) if name in _SHIPPED else _GENERATED[name](rng)
