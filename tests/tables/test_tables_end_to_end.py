"""Real tables from raw CSV to scored CSV: at least as good as a scikit-learn pipeline of the net.

Both learn from the same file with the same hidden layer, Adam, learning rate, batch size and most
epochs, once with a fifth of the rows held back to stop early, once with all rows and all epochs.
``pytest -n 0 -s`` prints the scores.
"""

import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_linnerud

from fastbp import train
from fastbp.tables.result.writing import write_frames
from messy_tables import TABLES
from table_peers import ARMS, TEST_SHARE, scores_of

pytestmark = pytest.mark.slow


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


@pytest.mark.release
def test_each_table_is_scored_as_well_as_by_scikit_learn(scores):
    # two standard errors: where both were equally good, one comparison in twenty would fail
    # with less, and there are eighteen
    found = {name: difference(scores[name]) for name in TABLES}
    worse = {name: mean for name, (mean, error) in found.items() if mean < -2 * error}
    assert worse == {}


@pytest.mark.release
def test_all_tables_together_are_scored_as_well_as_by_scikit_learn(scores):
    # each table counts by its standard errors: none decides alone, as one would by its range.
    # The mean of nine such numbers of variance 1 has a standard error of 1/3
    found = [mean / max(error, 1e-9) for mean, error in map(difference, scores.values())]
    assert np.mean(np.clip(found, -3, 3)) > -1 / 3


@pytest.mark.release
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
