"""Every operation that a formula may use, as each export writes it; other formulas are refused."""

import ctypes
import shutil
import subprocess
from importlib.util import find_spec

import numpy as np
import pytest

from fastbp import ACTIVATIONS, Dense, Network
from fastbp.exports.c import to_c
from fastbp.exports.numpy import to_numpy
from fastbp.exports.onnx import to_onnx
from fastbp.exports.torch import to_torch
from fastbp.exports.trace import formula_of
from fastbp.kernels.compiler.jit import inner
from fastbp.kernels.formulas.activations import Activation
from fastbp.kernels.simd import elementary
from fastbp.kernels.simd.elementary import clamp, exp, expm1, log, log1p, sign, tanh
from fastbp.kernels.simd.intrinsics import (
    absolute,
    broadcast,
    copy_sign,
    fma,
    nearest,
    select,
    square_root,
)

Z = np.array([[-30.0, -3.0, -1.0, -0.5, -1e-4, 0.0, 1e-4, 0.5, 1.0, 3.0, 30.0, 200.0]])
ALPHA = 0.25


@inner
def _helper(x, shift=2.0):
    return select(x >= shift, x - shift, -x / 3)


def _closing_over(factor, function):
    def formula(z, alpha):
        return function(factor * z)

    return formula


def _by_module(z, alpha):
    return elementary.exp(-elementary.clamp(z, 0, 5))


def _signs(z, alpha):
    less = -z
    return -less - (-(z + alpha))


# name: (formula, the same in NumPy)
FORMULAS = {
    "arithmetic": (
        lambda z, alpha: 1 - (2 - z / 3) * (z - (alpha - 0.5)) / (1 / (4 + z * z)),
        lambda z: 1 - (2 - z / 3) * (z - (ALPHA - 0.5)) * (4 + z * z),
    ),
    "signs": (_signs, lambda z: 2 * z + ALPHA),
    "order": (
        lambda z, alpha: z / (z / 7 + 100) * (z * (z * 0.1)),
        lambda z: z / (z / 7 + 100) * 0.1 * z**2,
    ),
    "less": (
        lambda z, alpha: select(z < -alpha, z, alpha * z),
        lambda z: np.where(z < -ALPHA, z, ALPHA * z),
    ),
    "no more": (lambda z, alpha: select(z <= 1, 5, z), lambda z: np.where(z <= 1, 5, z)),
    "no less": (lambda z, alpha: select(z >= 1, alpha, z), lambda z: np.where(z >= 1, ALPHA, z)),
    "steps": (lambda z, alpha: select(z > 1, 1, alpha), lambda z: np.where(z > 1, 1, ALPHA)),
    "choices of choices": (
        lambda z, alpha: select(select(z < 0, -z, z) < 1, select(z > 0, z, 2), select(z > 1, 3, z)),
        lambda z: np.where(np.abs(z) < 1, np.where(z > 0, z, 2), np.where(z > 1, 3, z)),
    ),
    "limits": (
        lambda z, alpha: clamp(z, -alpha, 2) + clamp(0.5 * z, -1, alpha),
        lambda z: np.clip(z, -ALPHA, 2) + np.clip(0.5 * z, -1, ALPHA),
    ),
    "sign": (lambda z, alpha: sign(z) * alpha, lambda z: np.sign(z) * ALPHA),
    "constant": (lambda z, alpha: exp(broadcast(z, alpha)) * z, lambda z: np.exp(ALPHA) * z),
    "fma": (lambda z, alpha: fma(z, alpha, 3.0), lambda z: z * ALPHA + 3),
    "growth": (
        lambda z, alpha: select(z > 0, 1, expm1(z)) + exp(-absolute(z)),
        lambda z: np.where(z > 0, 1, np.expm1(np.minimum(z, 0))) + np.exp(-np.abs(z)),
    ),
    "logarithms": (
        lambda z, alpha: log(absolute(z) + 1e-6) + log1p(exp(-absolute(z))),
        lambda z: np.log(np.abs(z) + 1e-6) + np.log1p(np.exp(-np.abs(z))),
    ),
    "roots": (
        lambda z, alpha: square_root(z * z + 1) * tanh(z),
        lambda z: np.sqrt(z * z + 1) * np.tanh(z),
    ),
    "logistic": (
        lambda z, alpha: 1 / (1 + exp(-(z * 0.5))),
        lambda z: 0.5 + 0.5 * np.tanh(0.25 * z),
    ),
    "shared": (
        lambda z, alpha: (tanh(z) + 1) * (tanh(z) + 1) / (tanh(z) + 2),
        lambda z: (np.tanh(z) + 1) ** 2 / (np.tanh(z) + 2),
    ),
    "helper": (
        lambda z, alpha: _helper(z) + _helper(z, 1.0),
        lambda z: np.where(z >= 2, z - 2, -z / 3) + np.where(z >= 1, z - 1, -z / 3),
    ),
    "closure": (_closing_over(-0.5, tanh), lambda z: np.tanh(-0.5 * z)),
    "module": (_by_module, lambda z: np.exp(-np.clip(z, 0, 5))),
}


def net_with(monkeypatch, formula, dtype="float64", name="odd"):
    """A network of one layer, z = x, with an activation of this formula."""
    record = Activation(name, "odd", formula, None, alpha=1.0)
    monkeypatch.setitem(ACTIVATIONS, name, record)
    net = Network(inputs=1, layers=[Dense(1, name, alpha=ALPHA)], dtype=dtype)
    net.weights[0][:] = 1
    return net


def by_c(net, X, folder):
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc to compile with")
    to_c(net, folder / "net.c")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    subprocess.run(["gcc", *strict, "-o", folder / "n.so", folder / "net.c", "-lm"], check=True)
    predict, out = ctypes.CDLL(str(folder / "n.so")).net_predict, np.empty_like(X)
    for x, row in zip(X, out, strict=True):
        predict(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(row.ctypes.data))
    return out


def by_numpy(net, X, folder):
    exec(to_numpy(net), module := {})
    return module["predict"](X)


def by_onnx(net, X, folder):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    content = to_onnx(net).SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})[0]


def by_torch(net, X, folder):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        return to_torch(net)(torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("run", [by_c, by_numpy, by_onnx, by_torch])
@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_the_same_in_every_language(
    name, run, dtype, tolerance, monkeypatch, tmp_path
):
    formula, expected = FORMULAS[name]
    net, X = net_with(monkeypatch, formula, dtype), Z.T.astype(dtype)
    found, right = run(net, X, tmp_path), expected(X.astype(float))
    assert (found.dtype, found.shape) == (dtype, X.shape)
    assert (np.abs(found - right) <= tolerance * (1 + np.abs(right))).all(), found - right


@pytest.mark.parametrize("run", [by_c, by_numpy, by_onnx, by_torch])
def test_nan_is_not_hidden(run, monkeypatch, tmp_path):
    net = net_with(monkeypatch, lambda z, alpha: clamp(z, -1, 1) + select(z < 0, 0, z))
    found = run(net, np.array([[np.nan], [-4.0], [0.5]]), tmp_path)
    assert np.array_equal(found, [[np.nan], [-1], [1]], equal_nan=True)


def test_equal_expressions_are_written_once(monkeypatch):
    text = to_c(net_with(monkeypatch, FORMULAS["shared"][0]))
    assert text.count("tanh(") == 1
    assert formula_of("to_c", "odd").result.operation == "divide"


@pytest.mark.parametrize("run", [by_c, by_numpy])
@pytest.mark.parametrize(
    "name", ["dense", "predict", "w1", "W1", "X", "a", "np", "math", "lambda", "2x", "NAME", "REAL"]
)
def test_the_name_of_an_activation_hides_no_other_name(name, run, monkeypatch, tmp_path):
    net, X = net_with(monkeypatch, lambda z, alpha: z / (1 + absolute(z)), name=name), Z.T
    np.testing.assert_allclose(run(net, X, tmp_path), X / (1 + np.abs(X)), rtol=1e-13)


@pytest.mark.parametrize("export", [to_c, to_numpy])
@pytest.mark.parametrize("name", ["soft-sign", "soft sign", "é", "*/", '"""', ""])
def test_a_name_that_is_no_identifier_is_refused(name, export, monkeypatch, tmp_path):
    net = net_with(monkeypatch, lambda z, alpha: -z, name=name)
    with pytest.raises(ValueError) as caught:
        export(net, tmp_path / "net")
    assert f"activation {name!r} cannot be exported: its name has" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def _branch(z, alpha):
    if alpha > 0.5:
        return z
    return -z


def _equals(z, alpha):
    return select(z == 0, 1, z)


def _polynomial(z, alpha):
    return elementary._erf_series(z)


REFUSED = {
    "copy_sign": (lambda z, alpha: copy_sign(z, alpha), "calls copy_sign"),
    "nearest": (lambda z, alpha: nearest(z), "calls nearest"),
    "polynomial": (_polynomial, "calls _erf_series"),
    "branch": (_branch, "branches on a value"),
    "equals": (_equals, "computes equal"),
    "infinity": (lambda z, alpha: select(z < 0, -np.inf, z), "computes with -inf"),
    "constant": (lambda z, alpha: 2 * alpha, "does not depend on z"),
    "selection": (lambda z, alpha: select(z, 0, z), "selects by something other"),
}


@pytest.mark.parametrize("export", [to_c, to_numpy, to_onnx, to_torch])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_refused_by_name(name, export, monkeypatch, tmp_path):
    for module in {to_onnx: ["onnx"], to_torch: ["torch"]}.get(export, []):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    formula, reason = REFUSED[name]
    net = net_with(monkeypatch, formula, name="my_own")
    path = [] if export is to_torch else [tmp_path / "net"]
    message = rf"fastbp\.{export.__name__}: activation 'my_own' .*: its formula {reason}"
    with pytest.raises(ValueError, match=message):
        export(net, *path)
    assert list(tmp_path.iterdir()) == []
