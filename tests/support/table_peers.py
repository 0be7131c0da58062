"""Real tables from raw CSV to scores: by fastbp, by a scikit-learn pipeline, and by guessing.

Processes of a pool import it by name, which they cannot a module of tests.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from fastbp import TableModel, train
from fastbp.tables.result.writing import write_frames
from messy_tables import NUMBERS, messy

SEEDS, TEST_SHARE, LAYERS = 4, 0.25, (100,)
DATES, IDS = {"signed", "listed", "when"}, {"loan_id"}
ARMS = {
    "stops early": (
        {"epochs": 100},
        {"max_iter": 100, "early_stopping": True, "validation_fraction": 0.2},
    ),
    "all epochs": (
        {"epochs": 40, "valid_share": 0, "patience": 0},
        {"max_iter": 40, "n_iter_no_change": 1000},
    ),
}


def files_of(name, seed, folder):
    """Write a table as two raw CSV files, of training and of testing rows; return their paths."""
    frame = messy(name, seed)
    stratify = None if name in NUMBERS else frame["target"]
    parts = train_test_split(frame, test_size=TEST_SHARE, random_state=seed, stratify=stratify)
    paths = [folder / f"{name} {part}.csv" for part in ("train", "test")]
    for part, path in zip(parts, paths, strict=True):
        part.to_csv(path, index=False)
    return paths


def score(name, y, prediction):
    return (r2_score if name in NUMBERS else accuracy_score)(y, prediction)


# --------------------------------------------------------------------------- scikit-learn


def _dates(frame):
    """Return dates in units of a year, and their phases in a year, a week and a day."""
    columns = []
    for name in frame:
        t = (pd.to_datetime(frame[name]) - pd.Timestamp(2020, 1, 1)).dt.total_seconds().to_numpy()
        columns.append(t / 31556952)
        for period in (31556952, 604800, 86400):
            columns += [np.sin(2 * np.pi * t / period), np.cos(2 * np.pi * t / period)]
    return np.stack(columns, axis=1)


def _texts(frame):
    return frame.astype(object).where(frame.notna(), "missing").astype(str)


def pipeline_of(name, X, options):
    """Return what a data scientist would write for the columns of X."""
    numbers = list(X.select_dtypes("number"))
    dates = [column for column in X if column in DATES]
    categories = [column for column in X if column not in {*numbers, *dates, *IDS}]
    encoder = OneHotEncoder(
        max_categories=65, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    encoders = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
                numbers,
            ),
            ("categories", make_pipeline(FunctionTransformer(_texts), encoder), categories),
            ("dates", make_pipeline(FunctionTransformer(_dates), StandardScaler()), dates),
        ]
    )
    if name in NUMBERS:
        net = TransformedTargetRegressor(MLPRegressor(**options), transformer=StandardScaler())
    else:
        net = MLPClassifier(**options)
    return make_pipeline(encoders, net)


def by_scikit_learn(name, train_path, test_path, options):
    rows, new = pd.read_csv(train_path), pd.read_csv(test_path)
    X = rows.drop(columns="target")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline = pipeline_of(name, X, options).fit(X, rows["target"])
    return score(name, new["target"], pipeline.predict(new.drop(columns="target")))


# --------------------------------------------------------------------------------- fastbp


def by_fastbp(name, train_path, test_path, options):
    """Train, save, load, and score a CSV file into another; return the score and the model."""
    model = train(train_path, "target", preset="fast", hidden=LAYERS, **options)
    model.save(train_path.with_suffix(".model"))
    model = TableModel.load(train_path.with_suffix(".model"))
    scored_path = test_path.with_suffix(".scored.csv")
    rows = write_frames(scored_path, model.predictions(test_path, keep=["target"]))
    scored, raw = pd.read_csv(scored_path), pd.read_csv(test_path)
    assert rows == len(scored) == len(raw)
    assert scored["target"].equals(raw["target"])
    assert set(model.schema.ids) == IDS & set(raw)
    found = score(name, scored["target"], scored["prediction"])
    metrics = model.evaluate(test_path)
    assert metrics["r2" if name in NUMBERS else "accuracy"] == pytest.approx(found, abs=1e-6)
    return found, model


def by_guessing(name, train_path, test_path):
    rows, new = pd.read_csv(train_path), pd.read_csv(test_path)
    dummy = (DummyRegressor() if name in NUMBERS else DummyClassifier()).fit(rows, rows["target"])
    return score(name, new["target"], dummy.predict(new))


def scores_of(name, arm, folder):
    """Return the scores of fastbp, scikit-learn and guessing on a table, (SEEDS, 3)."""
    (options, sklearn_options), scores = ARMS[arm], np.empty((SEEDS, 3))
    for seed in range(SEEDS):
        paths = files_of(name, seed, folder)
        found, model = by_fastbp(name, *paths, {**options, "seed": seed})
        same = {
            "hidden_layer_sizes": LAYERS,
            "batch_size": model.record["batch_size"],
            "learning_rate_init": 1e-3,
            "alpha": 0,
            "random_state": seed,
            **sklearn_options,
        }
        scores[seed] = found, by_scikit_learn(name, *paths, same), by_guessing(name, *paths)
    return scores
