"""Many trainings at once: each has the bits that it has alone, and one that fails stops none."""

import copy
import random
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold

from fastbp import (
    Adam,
    Checkpoints,
    Dense,
    DivergenceError,
    MLPClassifier,
    MLPRegressor,
    ModelFileError,
    Network,
    fit_many,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 8))
Y = (X[:, :1] * X[:, 1:2] + 0.1 * rng.normal(size=(600, 1))).astype(np.float32)
LABELS = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)


def network(number):
    """Return the n-th of many different networks."""
    width = (3, 16, 40, 65)[number % 4]
    layers = [Dense(width, ("relu", "tanh", "gelu")[number % 3]) for _ in range(1 + number % 2)]
    return Network(
        inputs=8,
        layers=[*layers, Dense(1)],
        loss=("squared_error", "huber", "absolute_error")[number % 3],
        optimizer=Adam(10 ** -(1 + number % 3)),
        dtype=("float32", "float64")[number % 5 == 0],
        seed=number,
    )


def options(number):
    return {
        "epochs": 1 + number % 4,
        "batch_size": (32, 100)[number % 2],
        "early_stopping": (None, 1)[number % 7 == 0],
        "validation_data": (X[:50], Y[:50]) if number % 7 == 0 else None,
    }


def test_two_hundred_networks_have_the_bits_they_have_alone():
    nets = [network(number) for number in range(200)]
    alone = copy.deepcopy(nets)
    jobs = [{"network": net, **options(number)} for number, net in enumerate(nets)]
    results = list(fit_many(jobs, X, Y, n_threads=4))
    assert sorted(result.job for result in results) == list(range(200))
    for number, (net, twin) in enumerate(zip(nets, alone, strict=True)):
        twin.fit(X, Y, n_threads=1, **options(number))
        assert (net.parameters == twin.parameters).all()
        assert net.history.epochs[-1]["loss"] == twin.history.epochs[-1]["loss"]
    assert all(result.network is nets[result.job] for result in results)
    assert all(result.history is result.network.history for result in results)


def test_dicts_make_networks_and_results_come_in_a_frame():
    jobs = [{"sizes": [8, width, 1], "loss": "squared_error"} for width in (4, 9)]
    results = fit_many(jobs, X, Y, seeds=[3, 5], epochs=2)
    assert len(results) == 4
    frame = results.to_frame()
    assert frame["job"].to_list() == [0, 0, 1, 1] and frame["seed"].to_list() == [3, 5, 3, 5]
    assert frame["sizes"].to_list() == ["[8, 4, 1]"] * 2 + ["[8, 9, 1]"] * 2
    assert frame["stopped"].to_list() == ["epochs"] * 4 and frame["error"].null_count() == 4
    assert isinstance(frame, pl.DataFrame) and (frame["seconds"] > 0).all()
    for result in results.wait():
        twin = Network(jobs[result.job]["sizes"], loss="squared_error", seed=result.seed)
        twin.fit(X, Y, epochs=2)
        assert (result.network.parameters == twin.parameters).all()


@pytest.mark.parametrize("folds", [3, KFold(3, shuffle=True, random_state=0), [([0, 1], [2, 3])]])
def test_folds_are_those_of_scikit_learn(folds):
    job = {"sizes": [8, 5, 1], "loss": "squared_error", "seed": 1}
    expected = KFold(3).split(X) if folds == 3 else folds
    expected = list(expected.split(X)) if hasattr(expected, "split") else list(expected)
    results = fit_many([job], X, Y, folds=folds, epochs=2).wait()
    assert [result.fold for result in results] == list(range(len(expected)))
    for result, (trains, tests) in zip(results, expected, strict=True):
        twin = Network([8, 5, 1], loss="squared_error", seed=1)
        twin.fit(X[trains], Y[trains], epochs=2)
        assert (result.network.parameters == twin.parameters).all()
        assert result.scores == twin.evaluate(X[tests], Y[tests])


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_folds_of_classes_have_their_shares():
    estimator = MLPClassifier(hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    jobs = [{"sizes": [8, 4, 3], "loss": "cross_entropy", "seed": 0}]
    for given in (jobs, [estimator]):
        results = fit_many(given, X, LABELS, folds=4).wait()
        for result, (trains, tests) in zip(
            results, StratifiedKFold(4).split(X, LABELS), strict=True
        ):
            if result.network is None:
                twin = copy.deepcopy(estimator).fit(X[trains], LABELS[trains])
                assert result.scores == {"score": twin.score(X[tests], LABELS[tests])}
                assert (result.estimator.coefs_[0] == twin.coefs_[0]).all()
                assert result.estimator.n_threads == estimator.n_threads
            else:
                twin = Network([8, 4, 3], loss="cross_entropy", seed=0)
                twin.fit(X[trains], LABELS[trains])
                assert result.scores == twin.evaluate(X[tests], LABELS[tests])
    assert not hasattr(estimator, "coefs_")


def test_weights_and_rows_are_those_of_the_job():
    weight = rng.random(600).astype(np.float32)
    rows = np.arange(0, 600, 3)
    jobs = [
        {"sizes": [8, 4, 1], "loss": "squared_error", "seed": 0, "rows": rows},
        {"sizes": [8, 4, 1], "loss": "squared_error", "seed": 0, "rows": np.arange(600) % 3 == 0},
    ]
    for result in fit_many(jobs, X, Y, sample_weight=weight, epochs=2):
        twin = Network([8, 4, 1], loss="squared_error", seed=0)
        twin.fit(X[rows], Y[rows], sample_weight=weight[rows], epochs=2)
        assert (result.network.parameters == twin.parameters).all()


@pytest.mark.parametrize("kind", ["csr", "coo", "frame", "list"])
def test_data_in_other_forms(kind):
    forms = {
        "csr": sparse.csr_matrix(np.where(X > 0, X, 0)),
        "coo": sparse.coo_matrix(np.where(X > 0, X, 0)),
        "frame": pl.DataFrame(X, schema=list("abcdefgh")).to_pandas(),
        "list": X.tolist(),
    }
    given = forms[kind]
    job = {"sizes": [8, 4, 1], "loss": "squared_error", "seed": 0}
    whole, *parts = (fit_many([job], given, Y, folds=f, epochs=2).wait() for f in (None, 2))
    twin = Network([8, 4, 1], loss="squared_error", seed=0)
    twin.fit(given, Y, epochs=2)
    assert (whole[0].network.parameters == twin.parameters).all()
    assert len(parts[0]) == 2 and all(result.error is None for result in parts[0])


def test_one_failure_stops_none_and_says_why():
    good = {"sizes": [8, 4, 1], "loss": "squared_error", "seed": 0}
    jobs = [
        good,
        {**good, "optimizer": Adam(1e30), "epochs": 20},
        {"estimator": MLPRegressor(hidden_layer_sizes=(4,), alpha=-1.0)},
        {**good, "batch_size": 0},
        good,
    ]
    results = fit_many(jobs, X, Y[:, 0]).wait()
    assert [result.error is None for result in results] == [True, False, False, False, True]
    assert isinstance(results[1].error, DivergenceError)
    assert np.isfinite(results[1].network.parameters).all()
    assert "alpha" in str(results[2].error) and "batch_size" in str(results[3].error)
    assert (results[0].network.parameters == results[4].network.parameters).all()


def test_max_time_ends_all_within_a_slice():
    job = {"sizes": [8, 64, 64, 1], "loss": "squared_error"}
    started = time.perf_counter()
    results = fit_many([job] * 6, X, Y, epochs=10**7, max_time=0.5, n_threads=2).wait()
    assert time.perf_counter() - started < 30
    assert {result.stopped.value for result in results} == {"time"}
    begun = [result for result in results if result.network is not None]
    assert len(begun) == 2 and all(len(result.history) for result in begun)


_INTERRUPTED = """
import os, signal, threading
import numpy as np
from fastbp import fit_many
X = np.random.default_rng(0).normal(size=(2000, 8))
job = {"sizes": [8, 64, 1], "loss": "squared_error"}
small = {**job, "epochs": 1, "rows": [0, 1, 2]}
results = fit_many([job, small, job, job], X, X[:, :1], epochs=10**7, n_threads=2)
threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT)).start()
print(*(str(result.stopped) for result in results.wait()))
"""


def test_ctrl_c_ends_all_and_keeps_what_is_done(run_python):
    told = run_python(_INTERRUPTED).split()
    assert len(told) == 4 and set(told) <= {"interrupted", "epochs"} and "interrupted" in told


def test_trainings_go_on_if_nobody_looks():
    nets = [network(number) for number in range(6)]
    results = fit_many(nets, X, Y, epochs=2)
    for _ in range(3_000):
        if all(net.epochs == 2 for net in nets):
            break
        time.sleep(0.01)
    assert [len(result.history) for result in results.wait()] == [2] * 6


def test_an_exception_that_ends_programs_is_a_result_too():
    def leave(entry):
        raise SystemExit(3)

    job = {"sizes": [8, 4, 1], "loss": "squared_error", "epochs": 2}
    results = fit_many([job, {**job, "callbacks": [leave]}, job], X, Y)
    assert [type(result.error) for result in results.wait()] == [type(None), SystemExit, type(None)]
    assert len(results.to_frame()) == 3


def test_a_block_ends_what_is_left():
    job = {"sizes": [8, 64, 64, 1], "loss": "squared_error"}
    with pytest.raises(KeyError), fit_many([job] * 3, X, Y, epochs=10**7, n_threads=2) as results:
        raise KeyError
    assert {result.stopped.value for result in results.wait()} == {"interrupted"}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators_say_why_they_ended():
    jobs = [
        MLPRegressor(hidden_layer_sizes=(4,), max_iter=3),
        MLPRegressor(hidden_layer_sizes=(4,), tol=1e9, n_iter_no_change=2, max_iter=50),
    ]
    ended = [result.stopped.value for result in fit_many(jobs, X, Y[:, 0], folds=2).wait()]
    assert ended == ["epochs"] * 2 + ["converged"] * 2
    long = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=10**6, n_iter_no_change=10**6)
    cut = fit_many([long] * 3, X, Y[:, 0], folds=2, max_time=0.5).wait()
    assert {result.stopped.value for result in cut} == {"time"}
    assert all(not result.scores for result in cut)


def test_settings_and_scores_are_columns_of_their_own():
    jobs = [{"sizes": [8, 4, 1], "loss": loss} for loss in ("huber", "squared_error")]
    frame = fit_many(jobs, X, Y, folds=2, epochs=1).to_frame()
    assert frame["loss"].to_list() == ["huber"] * 2 + ["squared_error"] * 2
    assert frame["test_loss"].null_count() == 0 and frame["test_r2"].null_count() == 0


NET = {"sizes": [8, 4, 1], "loss": "squared_error"}
SAME = network(0)


@pytest.mark.parametrize(
    "jobs, given, words",
    [
        ([], {}, "there are none"),
        (NET, {}, "expected a sequence"),
        (network(1), {}, "expected a sequence"),
        ([3], {}, r"jobs\[0\] is int"),
        ([LogisticRegression()], {}, "LogisticRegression"),
        ([NET, {**NET, "epoch": 3}], {}, r"jobs\[1\]: 'epoch' is none of"),
        ([NET], {"epoch": 3}, "fit_many: 'epoch' is none of"),
        ([NET], {"epochs": None}, r"jobs\[0\]: epochs=None"),
        ([{**NET, "sizes": [7, 1]}], {}, r"jobs\[0\]: X has 8 columns but the network has 7"),
        ([{**NET, "loss": "squared"}], {}, r"jobs\[0\]: .*squared_error"),
        ([{"network": network(1), "sizes": [8, 1]}], {}, "'sizes' is none of"),
        ([{"network": network(1), "estimator": MLPRegressor()}], {}, "choose one"),
        ([SAME, network(1), SAME], {}, r"jobs\[0\] and jobs\[2\] are one network"),
        ([network(1)], {"seeds": 2}, "trained in place"),
        ([network(1)], {"folds": 2}, "trained in place"),
        ([MLPRegressor()], {"epochs": 3}, "which takes no 'epochs'"),
        ([NET], {"seeds": [2**70]}, "seeds"),
        ([NET], {"seeds": 0}, "seeds=0"),
        ([NET], {"seeds": [1, 1]}, "that differ"),
        ([NET], {"folds": 1}, "n_splits"),
        ([NET], {"folds": 601}, "601"),
        ([NET], {"folds": [([0, 1], [600])]}, "fold 0"),
        ([{**NET, "rows": [0, 600]}], {}, "numbers from 0 to 599"),
        ([{**NET, "rows": [-1]}], {}, "numbers from 0 to 599"),
        ([{**NET, "rows": [True, False]}], {}, "a mask of 600"),
        ([{**NET, "rows": np.zeros(600, bool)}], {}, "rows="),
        ([NET], {"folds": [([0.5], [1.5])]}, "fold 0"),
        ([NET], {"folds": [([0], [1], [2])]}, "folds="),
        ([NET], {"folds": [1, 2]}, r"folds=\[1, 2\]"),
        ([NET], {"folds": "abc"}, "folds='abc'"),
        ([{**NET, "rows": []}], {}, "rows="),
        ([{**NET, "rows": [0, 1]}], {"folds": 2}, "leave one out"),
        ([NET], {"max_time": 0}, "max_time=0"),
        ([NET], {"n_threads": 0}, "n_threads=0"),
        ([NET], {"sample_weight": np.ones(3)}, "sample_weight"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(jobs, given, words):
    with pytest.raises((ValueError, TypeError), match=words):
        fit_many(jobs, X, Y, **given)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="y has shape"):
        fit_many([NET], X, Y[:5])
    with pytest.raises(ValueError, match="X has shape"):
        fit_many([NET], X[:, 0], Y)


# -------------------------------------------------------------------------- checkpoints


KILLED = """
import sys
import numpy as np
from fastbp import Adam, Checkpoints, fit_many
X = np.random.default_rng(0).normal(size=(500, 8))
jobs = [
    {"sizes": [8, 4 + n % 50, 1], "loss": "squared_error", "optimizer": Adam(), "seed": n,
     "epochs": 10 + 5 * (n % 5)}
    for n in range(200)
]
kept = None if sys.argv[1] == "-" else Checkpoints(sys.argv[1], every=float(sys.argv[2]))
print("begins", flush=True)
for result in fit_many(jobs, X, X[:, :1], n_threads=2, checkpoints=kept).wait():
    assert result.error is None
    print(result.network.parameters.tobytes().hex()[:400], result.history["seconds"][-1])
"""


def test_two_hundred_jobs_killed_ten_times(tmp_path):
    def start(folder, every="0"):
        command = [sys.executable, "-c", KILLED, str(folder), every]
        # in a folder without a fastbp/ of its own, which would hide an installed one
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)

    def end_of(process):
        out = process.communicate()[0]
        assert process.returncode == 0
        return [line.split() for line in out.splitlines() if line != "begins"]

    whole = end_of(start("-"))
    folder, done, lives, was_cut = tmp_path / "kept", {}, 0, 0
    while lives < 10 or not done:  # a busy machine may end no job in ten short lives
        process = start(folder)
        assert process.stdout.readline() == "begins\n"
        time.sleep(random.uniform(0.0, 1.0))
        process.kill()
        process.communicate()
        lives += 1
        was_cut += process.returncode == -signal.SIGKILL
        for path in folder.glob("job-*"):
            latest = Checkpoints(path).latest()
            entries = [] if latest is None else latest.sections["training"]["entries"]
            if len(entries) == 10 + 5 * (int(path.name.removeprefix("job-")) % 5):
                seconds = entries[-1]["seconds"]
                assert done.setdefault(path.name, seconds) == seconds, "it was trained again"
    result = end_of(start(folder, every="30"))  # nobody kills it
    assert was_cut
    assert [parameters for parameters, _ in result] == [parameters for parameters, _ in whole]
    for name, seconds in done.items():
        assert float(result[int(name.removeprefix("job-"))][1]) == seconds


def test_a_folder_of_other_jobs_is_refused(tmp_path):
    kept = {"checkpoints": tmp_path / "kept", "epochs": 2}
    job = {**NET, "seed": 1}
    first = fit_many([job, job], X, Y, folds=2, **kept).wait()
    again = fit_many([job, job], X, Y, folds=2, **kept).wait()
    for one, other in zip(first, again, strict=True):
        assert (one.network.parameters == other.network.parameters).all()
        assert one.scores == other.scores and one.history["seconds"] == other.history["seconds"]
    for others in ([job], [job, {**job, "seed": 2}], [job, {**job, "epochs": 3}]):
        with pytest.raises(ModelFileError, match="other jobs"):
            fit_many(others, X, Y, folds=2, **kept)
    with pytest.raises(ModelFileError, match="other jobs"):
        fit_many([job, job], X, Y, folds=3, **kept)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(ModelFileError, match="not empty"):
        fit_many([job], X, Y, checkpoints=tmp_path / "other")
    with pytest.raises(ValueError, match=r"jobs\[0\] is an estimator"):
        fit_many([MLPRegressor()], X, Y, checkpoints=tmp_path / "third")


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_other_data_than_before_are_refused(tmp_path, form):
    kept = {"epochs": 2, "seeds": [1], "checkpoints": tmp_path}
    fit_many([NET], form(X), Y, **kept).wait()
    changed = X.copy()
    changed[-1, -1] += 1
    for others in ((form(changed), Y), (form(X), Y + 1)):
        with pytest.raises(ModelFileError, match="other data"):
            fit_many([NET], *others, **kept)
    assert fit_many([NET], form(X), Y, **kept).wait()[0].error is None
