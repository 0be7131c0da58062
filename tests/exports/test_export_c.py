"""Networks as C source: once compiled, it computes the same outputs."""

import ctypes
import subprocess

import numpy as np
import pytest

from compiled_c import GCC, compiled, needs_gcc
from export_nets import (
    N_IN,
    both_dtypes,
    check,
    check_bad_networks,
    check_unwritable,
    every_activation,
    filled,
    net_of,
    rows,
    written,
)
from fastbp import Network
from fastbp.exports.c import to_c


def outputs_of(net, X, folder):
    """The outputs of the function of a shared library, row by row."""
    to_c(net, folder / "net.c")
    library = ctypes.CDLL(str(compiled(folder / "net.c", folder / "net.so", "-shared", "-fPIC")))
    X = np.ascontiguousarray(X, net.dtype)
    # a number behind the outputs shows if too many are written
    out = np.full((len(X), net.weights[-1].shape[1] + 1), 77, net.dtype)
    for x, row in zip(X, out, strict=True):
        library.net_predict(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(row.ctypes.data))
    assert (out[:, -1] == 77).all()
    return out[:, :-1]


@needs_gcc
@both_dtypes
@every_activation
def test_the_function_gives_what_the_network_gives(activation, dtype, tmp_path):
    net, X = net_of(activation, dtype), rows()
    check(outputs_of(net, X, tmp_path), net, X)


DEPTHS = pytest.mark.parametrize("sizes", [[N_IN, 1], [N_IN, 3, 2], [N_IN, 2, 9, 3, 8, 1]])


@needs_gcc
@DEPTHS
def test_nets_of_any_depth_have_room_for_their_layers(sizes, tmp_path):
    net = filled(Network(sizes, "tanh", dtype="float64"))
    check(outputs_of(net, rows(), tmp_path), net, rows())


@needs_gcc
@DEPTHS
def test_the_program_reads_and_writes_where_it_may(sizes, tmp_path):
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    probe = [GCC, *checks, "-o", tmp_path / "empty", tmp_path / "empty.c"]
    if subprocess.run(probe, capture_output=True).returncode != 0:
        pytest.skip("this gcc comes without the libraries of its sanitizers")
    to_c(Network(sizes, "tanh"), tmp_path / "net.c")
    done = run(program(tmp_path, *checks), "1 2 3 4 5\n5 4 3 2 1\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


def program(folder, *options):
    return compiled(folder / "net.c", folder / "net", "-DNET_MAIN", *options)


def run(path, text):
    return subprocess.run([path], input=text, capture_output=True, text=True)


@needs_gcc
@both_dtypes
@pytest.mark.parametrize("separator", [" ", ",", ", ", ";", "\t"])
def test_the_program_reads_rows_and_prints_outputs(dtype, separator, tmp_path):
    net, X = net_of("softmax", dtype), rows(6).astype(dtype)
    to_c(net, tmp_path / "net.c")
    path = program(tmp_path)
    lines = [separator.join(map(repr, x.tolist())) for x in X]
    for end in ("\n", "\r\n", "\n\n"):
        done = run(path, end.join(lines) + (end if end == "\n" else ""))
        assert (done.returncode, done.stderr) == (0, "")
        found = np.array([line.split() for line in done.stdout.splitlines()], float)
        check(found, net, X)


@needs_gcc
@pytest.mark.parametrize(
    "text", ["1 2 3 4\n", "1 2 3 4 5 6\n", "1 2 3 4 five\n", "1 2 3 4\n5\n", "1 2 3 4 5x\n", "1 2"]
)
def test_the_program_says_where_rows_are_of_another_length(text, tmp_path):
    to_c(net_of("relu", "float32"), tmp_path / "net.c")
    done = run(program(tmp_path), text)
    assert done.returncode == 1
    assert done.stderr == "expected rows of 5 numbers\n"
    assert done.stdout == ""


@needs_gcc
def test_two_nets_go_into_one_program(tmp_path):
    nets = {name: net_of(name, "float32") for name in ("relu", "softmax")}
    for name, net in nets.items():
        to_c(net, tmp_path / f"{name}.c", name)
    (tmp_path / "main.c").write_text(
        "#include <stdio.h>\n"
        "void relu_predict(const float *x, float *out);\n"
        "void softmax_predict(const float *x, float *out);\n"
        "int main(void)\n{\n    float x[5] = {1, -2, 3, -4, 5}, out[3];\n"
        '    relu_predict(x, out);\n    printf("%.9g %.9g %.9g\\n", out[0], out[1], out[2]);\n'
        '    softmax_predict(x, out);\n    printf("%.9g %.9g %.9g\\n", out[0], out[1], out[2]);\n'
        "    return 0;\n}\n"
    )
    sources = [str(tmp_path / f"{name}.c") for name in nets]
    done = run(compiled(tmp_path / "main.c", tmp_path / "main", *sources), "")
    for net, line in zip(nets.values(), done.stdout.splitlines(), strict=True):
        check(np.array([line.split()], float), net, [[1, -2, 3, -4, 5]])


def test_weights_stand_there_to_the_last_bit():
    for dtype in ("float32", "float64"):
        net = net_of("relu", dtype)
        net.weights[0][0, :4] = [0, 1, -np.finfo(dtype).tiny, np.nextafter(np.array(1, dtype), 2)]
        text = to_c(net).split("net_w1[35] = {")[1].split("}")[0]
        suffix = "f" if dtype == "float32" else ""
        found = [float.fromhex(word.strip().removesuffix(suffix)) for word in text.split(",")]
        assert np.array_equal(np.array(found, dtype).reshape(5, 7), net.weights[0])


def test_no_header_but_math_is_included_outside_the_program():
    for dtype in ("float32", "float64"):
        text = to_c(net_of("mish", dtype), name="my_net")
        library = text.split("#ifdef MY_NET_MAIN")[0]
        assert [line for line in library.splitlines() if "include" in line] == ["#include <math.h>"]
        assert "malloc" not in text


@pytest.mark.parametrize("name", ["Name", "UPPER", "REAL", "f", "x_N_IN", "net2"])
def test_any_identifier_is_a_name(name):
    text = to_c(net_of("relu", "float32"), name=name)
    assert f"void {name}_predict(const float *x, float *out);" in text
    assert f"#define {name.upper()}_INPUTS 5\n" in text


@pytest.mark.parametrize(
    "name", ["", "int", "restrict", "2d", "a-b", "a b", "_x", "é", "a\n", "a;"]
)
def test_what_is_no_identifier_is_no_name(name):
    with pytest.raises(ValueError, match=r"to_c: name=.*expected a C identifier"):
        to_c(net_of("relu", "float32"), name=name)


def test_a_name_is_text():
    with pytest.raises(TypeError, match="to_c: name=3: expected text"):
        to_c(net_of("relu", "float32"), name=3)


def test_the_text_is_written_as_a_whole(tmp_path):
    net = net_of("tanh", "float32")
    text = to_c(net, tmp_path / "net.c")
    assert written(tmp_path / "net.c").read_text() == text == to_c(net)


def test_what_cannot_be_exported_is_refused(tmp_path):
    check_bad_networks(to_c, "to_c")
    check_unwritable(to_c, tmp_path)
