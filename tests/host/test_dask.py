"""What runs on a Dask cluster beside `fit_many`: searches, and predictions of blocks."""

import json
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

from command_line import fastbp
from dask_clusters import cluster
from fastbp import MLPClassifier, MLPSearchCV, Network, TableModel, fit_many, train

distributed = pytest.importorskip("distributed", reason="needs fastbp[dask]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Stochastic Optimizer")]

rng = np.random.default_rng(0)
X = rng.normal(size=(240, 3))
Y = np.where(X[:, 0] > X[:, 1] * X[:, 2], "up", "down")
OPTIONS = {"preset": "fast", "epochs": 3, "seed": 5, "search": 5}
COMMAND = ("train", "table.csv", "--target", "y", "--preset", "fast", "--epochs", 3, "--seed", 5)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as (address, _):
        yield address


@pytest.fixture(scope="module")
def client(address):
    with distributed.Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=300)
        yield client


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Run in a folder with a table."""
    monkeypatch.chdir(tmp_path)
    rows = [",".join([*map(repr, row), label]) for row, label in zip(X.tolist(), Y, strict=True)]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,c,y", *rows]))


# ------------------------------------------------------------------ searches of tables


def check_same(found, expected):
    assert found.network.parameters.tobytes() == expected.network.parameters.tobytes()
    assert found.record["metrics"] == expected.record["metrics"]
    keys = ("options", "loss", "epochs", "error")
    searches = [dict(model.record["search"]) for model in (found, expected)]
    tried = [[{key: each[key] for key in keys} for each in s.pop("tried")] for s in searches]
    assert searches[0] == searches[1] and tried[0] == tried[1] and len(tried[0]) == 5


def test_a_search_is_that_of_this_process_by_folds_too(client, table):
    options = {**OPTIONS, "folds": 3}
    expected = train("table.csv", "y", **options)
    check_same(train("table.csv", "y", client=client, **options), expected)


def test_the_command_searches_on_a_cluster(client, address, table):
    # as ``dask scheduler --scheduler-file`` writes it, beside what is not read
    (Path.cwd() / "scheduler.json").write_text(json.dumps({"address": address, "workers": {}}))
    expected = train("table.csv", "y", **OPTIONS)
    for at in (address, "scheduler.json"):
        done = fastbp(*COMMAND, "--search", 5, "--dask", at, "-o", "model")
        assert done.code == 0, done.err
        check_same(TableModel.load("model"), expected)


@pytest.mark.parametrize(
    ("at", "code", "words"),
    [
        ("tcp://127.0.0.1:9", 1, "--dask 'tcp://127.0.0.1:9': no scheduler answered within 10 s"),
        ("nonsense", 2, "--dask 'nonsense': expected tcp://HOST:PORT, or a scheduler's file"),
        ("table.csv", 2, "--dask 'table.csv': this file is not that of a scheduler"),
    ],
)
def test_a_wrong_address_is_named_before_work(table, at, code, words):
    done = fastbp(*COMMAND, "--search", 5, "--dask", at)
    assert (done.code, done.out) == (code, "") and words in done.complaint


def test_one_training_is_refused(table):
    done = fastbp(*COMMAND, "--dask", "tcp://127.0.0.1:9")
    assert done.code == 2 and "--dask: only a search runs on a cluster" in done.complaint
    with pytest.raises(ValueError, match="client: only a search runs on a cluster"):
        train("table.csv", "y", client=object())


# ------------------------------------------------------------------ scikit-learn's searches


def test_scores_under_the_backend_of_joblib_are_the_same(client):
    classifier = MLPClassifier((8,), max_iter=3, random_state=0)
    grid = {"alpha": [1e-4, 1.0]}

    def scores():
        yield cross_val_score(classifier, X, Y, cv=2)
        for search in (GridSearchCV, MLPSearchCV):
            yield search(classifier, grid, cv=2).fit(X, Y).cv_results_["mean_test_score"]

    expected = list(scores())
    with joblib.parallel_config("dask"):
        found = list(scores())
    np.testing.assert_array_equal(found, expected)


# ------------------------------------------------------------------ arrays in blocks


def test_blocks_of_an_array_train_and_are_scored_where_they_are(client):
    array = pytest.importorskip("dask.array")
    rows = array.from_array(X, chunks=(80, 3))
    labels = array.from_array((Y == "up").astype(int), chunks=80)
    network, twin = (Network([3, 4, 2], loss="cross_entropy", seed=0) for _ in range(2))
    parts = zip(rows.to_delayed().ravel(), labels.to_delayed().ravel(), strict=True)
    network.fit(((x.compute(), y.compute()) for x, y in parts), epochs=2)
    twin.fit([(X[n : n + 80], (Y == "up")[n : n + 80].astype(int)) for n in (0, 80, 160)], epochs=2)
    assert network.parameters.tobytes() == twin.parameters.tobytes()
    predicted = rows.map_blocks(network.predict, dtype=int, drop_axis=1)
    assert (predicted.compute() == twin.predict(X)).all()
    high = rows[rows[:, 0] > X[80:, 0].max()]  # whose blocks but the first have no rows
    some = high.map_blocks(
        lambda rows: network.predict(rows) if len(rows) else np.zeros(0, int),
        dtype=int,
        drop_axis=1,
    )
    assert (some.compute() == twin.predict(high.compute())).all()


def test_arrays_of_blocks_of_unknown_length_and_frames_are_brought_here(client):
    array = pytest.importorskip("dask.array")
    frames = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    rows, labels = array.from_array(X, chunks=(80, 3)), array.from_array(Y, chunks=80)
    known = rows[:, 0] > 0
    lazy, up = rows[known], labels[known]
    here, there = X[X[:, 0] > 0], Y[X[:, 0] > 0]
    net = {"sizes": [3, 4, 2], "loss": "cross_entropy", "seed": 0}
    tables = [(lazy, up == "up"), (frames.from_pandas(pandas.DataFrame(here), 3), up == "up")]
    (expected,) = fit_many([net], here, there == "up", epochs=2, folds=None).wait()
    for x, y in tables:
        weight = array.ones(len(there), chunks=50)
        options = {"epochs": 2, "sample_weight": weight, "client": client}
        (found,) = fit_many([net], x, y, **options).wait()
        assert found.error is None
        assert found.network.parameters.tobytes() == expected.network.parameters.tobytes()
    model = MLPClassifier((4,), max_iter=2, random_state=0)
    searches = [MLPSearchCV(model, {"alpha": [1e-3, 1.0]}, cv=2) for _ in range(2)]
    scores = [
        s.fit(*data).cv_results_["mean_test_score"]
        for s, data in zip(searches, [(lazy, up), (here, there)], strict=True)
    ]
    np.testing.assert_array_equal(*scores)


def test_partitions_of_a_frame_are_predicted_where_they_are(client):
    frames = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame(X, columns=["a", "b", "c"]).assign(y=Y)
    model = train(rows, "y", preset="fast", epochs=2, seed=0)
    lazy = frames.from_pandas(rows, npartitions=3).map_partitions(model.predict)
    pandas.testing.assert_frame_equal(lazy.compute(), model.predict(rows))
