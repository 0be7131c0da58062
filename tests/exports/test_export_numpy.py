"""Networks as Python source: a module without fastbp computes the same outputs."""

import ast

import numpy as np
import pytest

from export_nets import (
    N_IN,
    both_dtypes,
    check,
    check_bad_networks,
    check_unwritable,
    every_activation,
    expected,
    net_of,
    rows,
    written,
)
from fastbp import Network
from fastbp.exports.numpy import to_numpy


def predict_of(text):
    exec(compile(text, "exported", "exec"), module := {})
    return module["predict"]


@both_dtypes
@every_activation
def test_the_module_gives_what_the_network_gives(activation, dtype):
    net, X = net_of(activation, dtype), rows()
    found = predict_of(to_numpy(net))(X)
    assert found.dtype == dtype
    check(found, net, X)


@both_dtypes
@every_activation
def test_inputs_far_from_zero_overflow_nowhere(activation, dtype):
    if activation == "exp":
        pytest.skip("it is infinite there")
    net = net_of(activation, dtype)
    X = rows() * np.array([1.0, -30, 300, -3000, 30000])
    check(predict_of(to_numpy(net))(X), net, X, tolerance=1e-4 if dtype == "float32" else 1e-9)


def test_a_single_row_may_be_a_vector():
    for activation in ("relu", "softmax"):
        net, X = net_of(activation, "float64"), rows(3)
        predict = predict_of(to_numpy(net))
        found = np.array([predict(x) for x in X.tolist()])
        np.testing.assert_allclose(found, expected(net, X), rtol=1e-12)


def test_the_parameters_are_there_to_the_last_bit():
    net = net_of("relu", "float32")
    exec(to_numpy(net), module := {})
    assert module["PARAMETERS"].tobytes() == net.parameters.tobytes()


def test_it_imports_nothing_but_numpy_and_the_standard_library():
    for activation in ("relu", "gelu", "softmax"):
        tree = ast.parse(to_numpy(net_of(activation, "float32")))
        found = {
            a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
        }
        assert found <= {"base64", "math", "numpy"}
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def test_a_net_of_one_layer_is_one_product():
    net = Network([N_IN, 2], dtype="float64")
    check(predict_of(to_numpy(net))(rows()), net, rows())


def test_the_text_is_written_as_a_whole(tmp_path):
    net = net_of("tanh", "float32")
    text = to_numpy(net, tmp_path / "net.py")
    assert (
        written(tmp_path / "net.py").read_text() == text == to_numpy(net, str(tmp_path / "net.py"))
    )


def test_the_file_is_a_module_of_its_own(tmp_path, run_python):
    net, X = net_of("gelu", "float64"), rows(4)
    to_numpy(net, tmp_path / "net.py")
    out = run_python(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import net
        assert "fastbp" not in sys.modules
        print(net.predict({X.tolist()!r}).tolist())
        """
    )
    check(np.array(ast.literal_eval(out)), net, X)


def test_what_cannot_be_exported_is_refused(tmp_path):
    check_bad_networks(to_numpy, "to_numpy")
    check_unwritable(to_numpy, tmp_path)
