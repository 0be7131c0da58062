"""What cannot fit into memory is refused before work, with the numbers and a remedy."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastbp import MLPRegressor, Network, fit_many
from fastbp.data import Spool
from fastbp.memory import SMALL, Free

# the smallest machine on which anything is refused
TINY = Free(SMALL - 1, "this test")
ROWS = 700_000  # with 24 outputs, or 12 units, above what is never looked at


@pytest.fixture
def no_memory(monkeypatch):
    """Leave less memory free than what is never refused."""
    monkeypatch.setattr("fastbp.memory.least_free", lambda **_: TINY)


def _refused(what):
    return pytest.raises(
        MemoryError, match=rf"^{what} needs about .*B, and this test leaves 64 MiB"
    )


def _zeros(*shape):
    return np.zeros(shape, "float32")


@pytest.mark.parametrize("sizes", [[10**6, 10**6], [10**9, 10**10], [3, 10**12, 1]])
def test_a_network_larger_than_any_machine_is_refused_with_its_size(sizes):
    with pytest.raises(MemoryError, match=r"a network of [\d,]+ parameters needs about .* TiB"):
        Network(sizes)


@pytest.mark.usefixtures("no_memory")
def test_a_network_is_refused():
    with _refused("a network of 16,781,312 parameters"):
        Network([4096, 4096])


@pytest.mark.usefixtures("no_memory")
def test_outputs_are_refused():
    net = Network([1, 24])
    for call in (net.predict, net.forward):
        with _refused(r"the array \(700000, 24\) of outputs"):
            call(_zeros(ROWS, 1))
    with _refused(r"the array \(700000, 24\) of outputs"):
        net.evaluate(_zeros(ROWS, 1), np.broadcast_to(_zeros(1), (ROWS, 24)).copy())


@pytest.mark.usefixtures("no_memory")
def test_a_copy_in_the_dtype_of_the_network_is_refused():
    with _refused("a copy of X as float32"):
        Network([24, 1]).predict(np.broadcast_to(np.float64(0), (ROWS, 24)))


@pytest.mark.usefixtures("no_memory")
def test_a_batch_is_refused_before_its_buffers_are_made():
    X, y = _zeros(ROWS, 1), _zeros(ROWS, 1)
    net = Network([1, 12, 1])
    start = net.parameters.copy()
    with _refused(r"training \(.* for a batch of 700,000 rows\)"):
        net.fit(X, y, batch_size=ROWS)
    with _refused("a batch of 700,000 rows"):
        net.backward(X, y)
    np.testing.assert_array_equal(net.parameters, start)
    assert net.history is None


@pytest.mark.usefixtures("no_memory")
def test_validation_is_refused_before_the_first_epoch():
    X, y = _zeros(10, 1), _zeros(10, 24)
    valid = _zeros(ROWS, 1), _zeros(ROWS, 24)
    with _refused(r"training \(.*, 64.1 MiB for outputs of the validation data\)"):
        Network([1, 24]).fit(X, y, validation_data=valid)


def test_a_network_that_can_be_made_but_not_trained_is_refused(monkeypatch):
    net = Network([2048, 4096])
    monkeypatch.setattr("fastbp.memory.least_free", lambda **_: TINY)
    with _refused(r"training \(128 MiB for the network, .*\)"):
        net.fit(_zeros(8, 2048), _zeros(8, 4096))


@pytest.mark.usefixtures("no_memory")
def test_estimators_are_refused():
    X, y = _zeros(ROWS, 1), np.zeros(ROWS)
    with _refused(r"training \(.* for a batch of 700,000 rows\)"):
        MLPRegressor(hidden_layer_sizes=(12,), batch_size=ROWS, max_iter=1).fit(X, y)
    with _refused("a batch of 700,000 rows"):
        MLPRegressor(hidden_layer_sizes=(12,), solver="lbfgs", max_iter=1).fit(X, y)


@pytest.mark.usefixtures("no_memory")
def test_the_windows_of_a_stream_are_refused():
    spool = Spool()
    spool.append(_zeros(ROWS, 12), _zeros(ROWS, 1))
    with _refused("two windows of 700,000 rows"):
        Network([12, 1]).fit(spool.source(window_rows=ROWS))


@pytest.mark.usefixtures("no_memory")
def test_many_networks_are_refused_together():
    jobs = [{"sizes": [1000, 1000], "seed": seed} for seed in range(5)]
    with _refused("5 networks"):
        fit_many(jobs, _zeros(4, 1000), _zeros(4, 1000), epochs=1)


def test_small_calls_do_not_look_at_what_is_free(monkeypatch):
    def never(**_):
        pytest.fail("asked for what is free")

    monkeypatch.setattr("fastbp.memory.least_free", never)
    net = Network([8, 16, 3])
    X, y = _zeros(1000, 8), _zeros(1000, 3)
    net.fit(X, y, epochs=1, validation_data=(X, y))
    net.predict(X)
    net.evaluate(X.astype("float64"), y)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is taken")
def test_what_fits_is_trained_where_little_is_free(run_python):
    """A training that takes 400 MiB is done where 768 are left, and refused where 256 are."""
    code = """
    import json, resource
    import numpy as np
    from fastbp import Network
    net = Network([256, 1024, 1])
    X, y = np.zeros((32_768, 256), "float32"), np.zeros(32_768, "float32")
    net.fit(X[:64], y[:64], epochs=1, batch_size=64, n_threads=1)  # loads the kernels
    ended = []
    for more in (1 << 28, 3 << 28):
        lines = open("/proc/self/status").read().splitlines()
        taken = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmSize:"))
        resource.setrlimit(resource.RLIMIT_AS, (taken + more, resource.RLIM_INFINITY))
        try:
            net.fit(X, y, epochs=1, batch_size=32_768, n_threads=1)
            ended.append("done")
        except MemoryError as error:
            ended.append(str(error))
    print(json.dumps(ended))
    """
    refused, done = json.loads(run_python(code))
    assert refused.startswith("training (") and "`ulimit -v`, " in refused
    assert done == "done"
