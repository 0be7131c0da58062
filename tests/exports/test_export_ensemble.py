"""Exports of ensembles: each computes the mean of what its members compute."""

import ctypes

import numpy as np
import pytest

from compiled_c import compiled, needs_gcc
from export_nets import N_IN, TOLERANCE, both_dtypes, expected, net_of, rows
from fastbp import (
    Dense,
    Ensemble,
    Network,
    state_dict,
    to_c,
    to_numpy,
    to_onnx,
    to_sklearn,
    to_torch,
)

X = rows()
# the last layer and its loss, of which each export has its own functions
every_output = pytest.mark.parametrize("activation", ["identity", "softmax", "logistic", "exp"])


def ensemble_of(activation, dtype):
    """Return two networks of one shape and other numbers, and one with another hidden layer."""
    first, second = net_of(activation, dtype), net_of(activation, dtype)
    second.parameters[:] *= 0.75  # more, and exponentials of exponentials lose digits
    layers = [Dense(9, "gelu"), Dense(3, activation)]
    third = Network(inputs=N_IN, layers=layers, loss=first.loss, dtype=dtype, seed=4)
    return Ensemble([first, second, third])


def check(found, ensemble):
    """Hold outputs against the mean of the members by the oracle, and against `forward`."""
    mean = np.mean([expected(member, X) for member in ensemble], axis=0)
    size = np.abs(mean).max()
    for right in (mean, ensemble.forward(X)):
        assert found.shape == right.shape
        assert (np.abs(found - right) <= TOLERANCE[ensemble.dtype.name] * size).all()


@needs_gcc
@every_output
@both_dtypes
def test_c_computes_the_mean(activation, dtype, tmp_path):
    ensemble = ensemble_of(activation, dtype)
    to_c(ensemble, tmp_path / "net.c")
    shared = compiled(tmp_path / "net.c", tmp_path / "net.so", "-shared", "-fPIC")
    library = ctypes.CDLL(str(shared))
    data, found = np.ascontiguousarray(X, dtype), np.full((len(X), 4), 77, dtype)
    for x, out in zip(data, found, strict=True):
        library.net_predict(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data))
    assert (found[:, -1] == 77).all()
    check(found[:, :-1], ensemble)


@every_output
@both_dtypes
def test_numpy_computes_the_mean(activation, dtype, tmp_path):
    ensemble = ensemble_of(activation, dtype)
    exec(to_numpy(ensemble, tmp_path / "net.py"), module := {})
    found = module["predict"](X)
    assert found.dtype == dtype
    check(found, ensemble)


@every_output
@both_dtypes
def test_onnx_computes_the_mean(activation, dtype):
    runtime = pytest.importorskip("onnxruntime")
    ensemble = ensemble_of(activation, dtype)
    content = to_onnx(ensemble).SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, {"X": X.astype(dtype)})
    # Erf of onnxruntime, for gelu, has 7 digits in float64 too
    loose = {"float32": TOLERANCE["float32"], "float64": 1e-6}[dtype]
    mean = ensemble.forward(X)
    assert (np.abs(found[0] - mean) <= loose * np.abs(mean).max()).all()
    if activation in ("softmax", "logistic"):
        assert (found[1] == ensemble.predict(X)).all()


@pytest.mark.parametrize("export", [to_sklearn, to_torch, state_dict])
def test_what_takes_one_network_says_what_to_do_with_several(export):
    ensemble = ensemble_of("softmax", "float32")
    with pytest.raises(TypeError, match=rf"{export.__name__}.*ensemble of 3 .*members.*to_onnx"):
        export(ensemble)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    ensemble = ensemble_of("softmax", "float32")
    ensemble.members[1].parameters[3] = np.nan
    for export in (to_c, to_numpy, to_onnx):
        with pytest.raises(ValueError, match="NaN"):
            export(ensemble, tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_the_head_of_a_file_says_that_it_is_a_mean():
    assert to_c(ensemble_of("exp", "float32")).startswith("/* The mean of 3 multilayer perceptrons")
    assert to_c(net_of("exp", "float32")).startswith("/* A multilayer perceptron, 5-7-6-3, ")
