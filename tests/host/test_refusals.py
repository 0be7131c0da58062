"""What cannot be used is refused with one line that names it, however long it is."""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from damage import BAD_DATA, DONE, bench, model_content
from damage_models import rewritten
from fastbp import Adam, Network, fit_many, kernels, model_file, to_c
from fastbp.quoted import LONGEST, quoted, shortened

__all__ = ["bench"]  # a fixture
LONG = "x-" * 50_000
F4 = np.ones((3, 3), np.float32)


class Bad:
    def __repr__(self):
        raise RuntimeError("no repr")


def test_a_value_is_quoted_on_one_line():
    long = (LONG, LONG.encode(), [LONG] * 9, [*range(10**5)], {1: LONG}, 10**9000)
    for value in (*long, F4, Bad(), "a\nb"):
        text = quoted(value)
        assert text and len(text) <= LONGEST and "\n" not in text


def test_what_is_short_is_quoted_as_it_is():
    for value in ("text", 3, -1.5, None, [1, "a"], (1, 2), {"a": [1]}):
        assert quoted(value) == repr(value)
    assert shortened("a\n  b") == "a b"


CALLS = {
    "activation": lambda value: Network([2, 2], value),
    "loss": lambda value: Network([2, 2], loss=value),
    "dtype": lambda value: Network([2, 2], dtype=value),
    "sizes": lambda value: Network(value),
    "seed": lambda value: Network([2, 2], seed=value),
    "optimizer": lambda value: Network([2, 2], optimizer=value),
    "learning_rate": lambda value: Adam(value),
    "max_time": lambda value: Network([2, 2]).fit(F4[:, :2], F4[:, :2], max_time=value),
    "n_threads": lambda value: kernels.matmul(F4, F4, n_threads=value),
    "jobs": lambda value: fit_many(value, F4, F4),
    "name": lambda value: to_c(Network([2, 2]), name=value),
    "net": lambda value: to_c(value),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "value", [LONG, [LONG] * 3, {LONG: LONG}, -(10**9000)], ids=["text", "list", "dict", "int"]
)
def test_no_argument_makes_a_long_message(name, value):
    with pytest.raises((TypeError, ValueError)) as refused:
        CALLS[name](value)
    text = str(refused.value)
    assert (len(text) < 600 and "\n" not in text and name in text) or "unknown" in text


@pytest.mark.parametrize("X", [F4, [[1.0]], None, "text"])
def test_a_dense_X_is_no_sparse_one(X):
    for kernel in (kernels.sparse_matmul, kernels.sparse_outer):
        with pytest.raises(TypeError, match=r"X is a \w+: expected a sparse matrix"):
            kernel(X, F4)


def test_a_sparse_X_of_one_dimension_or_of_objects_is_refused():
    with pytest.raises(ValueError, match=r"X has shape \(3,\): expected 2"):
        kernels.sparse_matmul(sp.coo_array(np.ones(3, "f4")), F4)
    with pytest.raises(TypeError, match="complex128: expected real"):
        kernels.sparse_matmul(sp.csr_array(np.eye(3) * 1j), F4)


@pytest.mark.parametrize("out", [[[0.0]], "text", (1, 2)])
def test_what_is_no_array_is_no_output(out):
    for call in (kernels.matmul, kernels.outer, kernels.hadamard):
        with pytest.raises(ValueError, match="out: expected a writable"):
            call(F4, F4, out=out)


def with_nan():
    model = model_file.from_bytes(model_content())
    params = model.params.copy()
    params[0] = np.nan
    return model_file.to_bytes(replace(model, params=params))


@pytest.mark.parametrize("output", ["net.c", "net.onnx", "net.py"])
def test_weights_that_are_nan_are_not_exported(bench, output):
    bench.put("nan.safetensors", with_nan())
    words = ("nan.safetensors", "hold NaN")
    bench.judge("export", "nan.safetensors", output=output, codes=(BAD_DATA,), words=words)


def test_predictions_of_weights_that_are_nan_are_warned_of(bench):
    bench.put("nan.safetensors", with_nan())
    arguments = ["predict", "nan.safetensors", "good.csv"]
    outcome = bench.judge(*arguments, output="out.csv", codes=(DONE,))
    assert any("hold NaN" in line for line in outcome.warnings)


def paths(data, before=()):
    """Yield the places of all entries of JSON data."""
    each = data.items() if isinstance(data, dict) else enumerate(data[:1])
    for key, value in each:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*before, key))


GONE = object()


def changed(data, path, value):
    data = place = copy.deepcopy(data)
    for key in path[:-1]:
        place = place[key]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return data


@pytest.mark.slow
@pytest.mark.parametrize("section", ["record", "history"])
@pytest.mark.parametrize("command", ["info", "report"])
def test_an_entry_that_is_gone_or_odd_ends_no_command_with_a_traceback(
    bench, capfd, monkeypatch, section, command
):
    sections = model_file.from_bytes(model_content()).sections
    found = 0
    odd = itertools.cycle(["text", -1, {}, [], 1e300])
    for path in paths(sections[section]):
        for value in (GONE, None, next(odd)):
            bench.put(
                "odd.safetensors", rewritten(**{section: changed(sections[section], path, value)})
            )
            arguments = [command, "odd.safetensors"]
            if command == "report":
                arguments += ["-o", "out.html"]
            outcome = bench.run(*arguments)
            assert outcome.code in (DONE, BAD_DATA), (path, value, outcome)
            assert len(outcome.stderr) < 1000 and "Traceback" not in outcome.stderr
            found += outcome.code == BAD_DATA
    assert found
