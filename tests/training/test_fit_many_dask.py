"""`fit_many` on the workers of a Dask cluster: the results of this process, whatever is lost."""

import gc
import os
import signal
import time

import numpy as np
import pytest
from scipy.sparse import csr_array

from dask_clusters import cluster
from fastbp import SGD, DivergenceError, MLPClassifier, Network, fit_many
from fastbp.kernels import forward_row
from fastbp.many.cluster import Cluster, pickled, unpickled
from fastbp.many.jobs import Job
from fastbp.many.shared import Shared
from fastbp.training.interrupt import Stop

distributed = pytest.importorskip("distributed", reason="needs fastbp[dask]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Stochastic Optimizer")]

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 8)).astype(np.float32)
Y = (X[:, 0] > X[:, 1] * X[:, 2]).astype(int)
WEIGHT = rng.uniform(0.5, 2, 600)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Return the client of a cluster of two processes of one thread."""
    with (
        cluster(tmp_path_factory.mktemp("cluster")) as (address, _),
        distributed.Client(address, timeout=60) as client,
    ):
        yield client


@pytest.fixture
def there(crowd):
    """Return the client once both workers are there, and nothing is left of other tests."""
    crowd.wait_for_workers(2, timeout=300)
    gc.collect()  # an error holds the frames that it went through
    wait_for(lambda: not crowd.futures)
    return crowd


def networks(count, units=64):
    return [Network([8, units, 2], loss="cross_entropy", seed=seed) for seed in range(count)]


def facts(results):
    """Return what must not depend on where the jobs were trained."""
    found = []
    for each in results:
        model = each.network if each.estimator is None else each.estimator.network_
        kept = None if model is None else model.to_model()
        weights = kept and (kept.params.tobytes(), kept.moments.tobytes(), kept.steps, kept.epochs)
        losses = None if each.history is None else each.history["loss"]
        error = None if each.error is None else (type(each.error), str(each.error))
        settings = {name: str(value) for name, value in each.settings.items()}
        place = each.job, each.fold, each.seed, settings
        found.append((place, weights, losses, each.scores, each.stopped, error))
    return found


SIZES = {"sizes": [8, 4, 2], "loss": "cross_entropy"}
DICTS = [{"sizes": [8, n, 2], "loss": "cross_entropy"} for n in (4, 4, 9)]
HALF = np.arange(600) % 2 == 0
CASES = {
    "folds and seeds": (DICTS, X, {"folds": 3, "seeds": 2, "sample_weight": WEIGHT, "epochs": 4}),
    "sparse": (DICTS, csr_array(X * (X > 0)), {"seeds": 1, "epochs": 4}),
    "validated": (
        [{**each, "rows": HALF} for each in DICTS],
        X,
        {"seeds": 2, "epochs": 9, "validation_data": (X[:99], Y[:99]), "early_stopping": 1},
    ),
    "weights of its own": ([{**SIZES, "sample_weight": WEIGHT, "seed": 1}], X, {"epochs": 4}),
    "estimators": ([MLPClassifier(n, max_iter=3) for n in (9, 5)], X, {"folds": 2, "seeds": 1}),
    "one diverges": ([SIZES, {**SIZES, "optimizer": SGD(1e35)}, SIZES], X, {"seeds": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_results_are_those_of_this_process(there, case):
    jobs, data, options = CASES[case]
    found = fit_many(jobs, data, Y, client=there, **options).wait()
    assert facts(found) == facts(fit_many(jobs, data, Y, **options).wait())
    errors = [type(each.error) for each in found if each.error is not None]
    assert errors == ([DivergenceError] if case == "one diverges" else [])


def test_networks_are_trained_in_place_and_go_on(there):
    nets, twins = networks(3), networks(3)
    states = [net.row_state() for net in nets]
    results = fit_many(nets, X, Y, epochs=3, client=there)
    frame = results.to_frame()
    assert frame["job"].to_list() == [0, 1, 2] and len(results) == 3
    for net, twin, state, result in zip(nets, twins, states, results.wait(), strict=True):
        twin.fit(X, Y, epochs=3)
        assert result.network is net and result.history is net.history
        net.fit(X, Y, epochs=1)
        twin.fit(X, Y, epochs=1)
        assert (net.parameters == twin.parameters).all()
        out = np.empty(2, np.float32)
        forward_row(state, X[0], out)
        assert (out == twin.forward(X[:1])[0]).all()


def test_an_error_of_the_caller_is_that_of_its_job(there):
    def note(entry):
        raise LookupError(f"in process {os.getpid()}")

    bad, good = fit_many([{**SIZES, "callbacks": note}, SIZES], X, Y, client=there).wait()
    assert isinstance(bad.error, LookupError) and good.stopped == "epochs"
    assert str(bad.error) in [f"in process {pid}" for pid in there.run(os.getpid).values()]


@pytest.mark.parametrize("error", [SystemExit("enough"), KeyboardInterrupt("enough")])
def test_an_error_that_would_end_a_worker_is_that_of_its_job(there, error):
    def leave(entry):
        raise error

    workers = there.run(os.getpid)
    for client in (there, None):
        jobs = [{**SIZES, "callbacks": leave}, SIZES]
        bad, good = fit_many(jobs, X, Y, client=client).wait()
        assert type(bad.error) is type(error) and bad.error.args == ("enough",)
        assert good.stopped == "epochs" and good.error is None
    assert there.run(os.getpid) == workers


def test_data_are_sent_and_converted_once_and_a_task_has_one_thread(there):
    class Asked:
        jobs = (Job(0, None, {}, None, {}, {}),)

        def run(self, shared, stop, n_threads):
            converted = shared.rows(np.dtype("float64"), None)
            for job in self.jobs:
                yield job, job.result(scores=(os.getpid(), id(converted), n_threads))

    workers = Cluster(there, Shared(X, Y, None), [])
    assert workers.threads == 2
    asked = [list(workers.run(Asked(), Stop())) for _ in range(6)]
    found = {result.scores for results in asked for _, result in results}
    assert len(found) <= 2 and {threads for *_, threads in found} == {1}


# ------------------------------------------------------------------ ends


def long(folder):
    """Return arguments of trainings that never end, and tell in a folder who trains."""

    def tell(entry):
        (folder / str(os.getpid())).touch()

    return {"epochs": 10**7, "callbacks": tell}


def wait_for(is_so, seconds=600):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_two(folder):
    """Wait until both workers train, and forget it."""
    wait_for(lambda: len(list(folder.iterdir())) == 2)
    for path in folder.iterdir():
        path.unlink()


def keys_of(client):
    """Return the keys of the tasks of `fit_many` that the client waits for."""
    return [key for key in client.futures if str(key).startswith("fastbp-")]


def test_the_end_of_a_block_ends_what_is_trained(there, tmp_path):
    with fit_many(networks(6), X, Y, client=there, **long(tmp_path)) as results:
        wait_for_two(tmp_path)
    found = results.wait()
    assert [each.stopped for each in found] == 6 * ["interrupted"]
    assert sum(each.network.steps > 0 for each in found) == 2
    wait_for(lambda: not there.futures)  # neither tasks nor data are left on the cluster


def test_the_time_ends_what_is_trained(there, tmp_path):
    found = fit_many(networks(6), X, Y, client=there, max_time=2, **long(tmp_path)).wait()
    assert [each.stopped for each in found] == 6 * ["time"]


def test_what_is_cancelled_ends_and_the_others_go_on(there, tmp_path):
    with fit_many(networks(8), X, Y, client=there, **long(tmp_path)) as results:
        wait_for_two(tmp_path)
        keys = keys_of(there)
        assert len(keys) == 4  # one waits for each thread
        there.cancel([distributed.Future(key, there) for key in keys])
        assert {next(results).stopped for _ in keys} == {"interrupted"}
        for path in tmp_path.iterdir():
            path.unlink()
        wait_for_two(tmp_path)  # the threads of the workers are free for the others
    rest = results.wait()
    assert len(rest) == 8 and {each.stopped for each in rest} == {"interrupted"}
    assert sum(each.network.steps > 0 for each in rest) == 2


# ------------------------------------------------------------------ what is lost


@pytest.mark.parametrize("killed", [1, 2])
def test_killed_workers_lose_no_result(there, killed):
    expected = facts(fit_many(networks(8), X, Y, epochs=300).wait())
    results = fit_many(networks(8), X, Y, epochs=300, client=there)
    next(results)
    for pid in list(there.run(os.getpid).values())[:killed]:
        os.kill(pid, signal.SIGKILL)
    assert facts(results.wait()) == expected


def test_a_killed_scheduler_and_a_closed_client_fail_the_jobs(tmp_path):
    folder = tmp_path / "told"
    folder.mkdir()
    with cluster(tmp_path) as (address, server):
        for end in (distributed.Client.close, lambda _: server.kill()):
            client = distributed.Client(address, timeout=60)
            client.wait_for_workers(2, timeout=300)
            with fit_many(networks(6), X, Y, client=client, **long(folder)) as results:
                wait_for_two(folder)
                end(client)
                found = results.wait()
            assert {type(each.error) for each in found} == {ConnectionError}
            assert all("the scheduler went away" in str(each.error) for each in found)
            assert [each.job for each in found] == list(range(6))
            client.close()
            with pytest.raises(ValueError, match="client: it is closed; expected one that"):
                fit_many(networks(1), X, Y, client=client)


def test_a_client_that_is_closed_while_a_result_is_fetched_fails_the_job(tmp_path, monkeypatch):
    """The result never comes then: who waits for it must look at the client now and then."""
    asked = []
    with cluster(tmp_path, workers=1) as (address, _):
        client = distributed.Client(address, timeout=60)
        client.wait_for_workers(1, timeout=300)

        def never(future, timeout=None):
            asked.append(timeout)
            client.close()
            raise TimeoutError

        monkeypatch.setattr(distributed.Future, "result", never)
        (found,) = fit_many(networks(1), X, Y, epochs=1, client=client).wait()
    assert isinstance(found.error, ConnectionError) and "went away" in str(found.error)
    assert asked and None not in asked  # without a limit it would wait for ever


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("wrong", ["tcp://localhost:8786", 0, False, (), np])
def test_what_is_no_client_is_refused_by_name(wrong):
    with pytest.raises(TypeError, match=r"client=.*: expected a distributed\.Client, such as"):
        fit_many([SIZES], X, Y, client=wrong)


@pytest.mark.parametrize("given", [{"n_threads": 2}, {"checkpoints": "folder"}])
def test_what_a_client_does_not_take_is_refused(there, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"{next(iter(given))}: the workers of a client have"):
        fit_many([SIZES], X, Y, client=there, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_without_workers_is_refused(tmp_path):
    with (
        cluster(tmp_path, workers=0) as (address, _),
        distributed.Client(address, timeout=60) as client,
        pytest.raises(ValueError, match="client: its cluster has no workers; start some"),
    ):
        fit_many([SIZES], X, Y, client=client)


# ------------------------------------------------------------------ what travels


def test_a_task_travels_without_the_data_of_all():
    data = np.zeros((100_000, 8), "f4")
    task = {"seed": 3, "validation_data": (data, None), "X": data}
    content = pickled(task, [data, None])
    assert len(content) < 500
    found = unpickled(content, [data, None])
    assert found["X"] is found["validation_data"][0] is data and found["seed"] == 3
