"""Real tables from raw CSV to scored CSV: at least as good as a scikit-learn pipeline of the net.

Both learn from the same file with the same hidden layer, Adam, learning rate, batch size and most
epochs, once with a fifth of the rows held back to stop early, once with all rows and all epochs.
``pytest -n 0 -s`` prints the scores.
"""

import itertools
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_linnerud
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
from messy_tables import NUMBERS, TABLES, messy

pytestmark = pytest.mark.slow

SEEDS, TEST_SHARE, LAYERS = 6, 0.25, (100,)
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
    train(train_path, "target", hidden=LAYERS, **options).save(train_path.with_suffix(".model"))
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
            "hidden_layer_sizes": LAYERS, "batch_size": model.record["batch_size"],
            "learning_rate_init": 1e-3, "alpha": 0, "random_state": seed, **sklearn_options,
        }  # fmt: skip
        scores[seed] = found, by_scikit_learn(name, *paths, same), by_guessing(name, *paths)
    return scores


@pytest.fixture(scope="module")
def all_scores(tmp_path_factory):
    """Return `scores_of` every table by arm and table, two of which run at a time."""
    todo = list(itertools.product(TABLES, ARMS))
    folders = [tmp_path_factory.mktemp("tables") for _ in todo]
    context = multiprocessing.get_context("spawn")
    with pytest.MonkeyPatch.context() as patch, ProcessPoolExecutor(2, context) as pool:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patch.setenv(name, "1")  # or two processes are in each other's way
        found = pool.map(scores_of, *zip(*todo, strict=True), folders)
        return dict(zip(todo, found, strict=True))


@pytest.fixture(scope="module", params=ARMS)
def scores(request, all_scores):
    """Return the scores of an arm by table."""
    scores = {name: all_scores[name, request.param] for name in TABLES}
    print(f"\n{request.param:14}  fastbp  scikit-learn  guess  difference")
    for name in TABLES:
        one, other, guess = scores[name].mean(axis=0)
        mean, error = difference(scores[name])
        print(f"{name:14}  {one:6.4f}  {other:12.4f}  {guess:5.2f}  {mean:+.4f} +- {error:.4f}")
    return scores


def difference(scores):
    """Return the mean of fastbp's score less scikit-learn's, and its standard error.

    Test rows of one seed are training rows of another: the variance of the mean is that of
    Nadeau and Bengio, Inference for the generalization error, 2003, (1/n + test/train) s^2.
    """
    paired = scores[:, 0] - scores[:, 1]
    factor = 1 / len(paired) + TEST_SHARE / (1 - TEST_SHARE)
    return paired.mean(), np.sqrt(factor * paired.var(ddof=1))


def test_each_table_is_scored_as_well_as_by_scikit_learn(scores):
    # two standard errors: where both were equally good, one comparison in twenty would fail
    # with less, and there are eighteen
    found = {name: difference(scores[name]) for name in TABLES}
    worse = {name: mean for name, (mean, error) in found.items() if mean < -2 * error}
    assert worse == {}


def test_all_tables_together_are_scored_as_well_as_by_scikit_learn(scores):
    # each table counts by its standard errors: none decides alone, as one would by its range.
    # The mean of nine such numbers of variance 1 has a standard error of 1/3
    found = [mean / max(error, 1e-9) for mean, error in map(difference, scores.values())]
    assert np.mean(np.clip(found, -3, 3)) > -1 / 3


def test_each_table_is_scored_better_than_by_guessing(scores):
    for name in TABLES:
        one, _, guess = scores[name].T
        assert (one > guess).all(), name


def test_a_table_of_twenty_rows_and_three_numbers_is_scored(tmp_path):
    data = load_linnerud(as_frame=True)
    frame = data.data.assign(Weight=data.target["Weight"], name=[f"P. {n}" for n in range(20)])
    frame.loc[3, "Jumps"] = None
    frame.to_csv(tmp_path / "linnerud.csv", index=False)
    model = train(tmp_path / "linnerud.csv", "Weight", drop=["name"])
    rows = write_frames(tmp_path / "scored.csv", model.predictions(tmp_path / "linnerud.csv"))
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert rows == len(scored) == 20
    assert scored["prediction"].between(50, 350).all()
