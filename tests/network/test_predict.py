"""Prediction: one row or many, from Python or from a caller's compiled code."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from fastbp import Dense, Dropout, Network, kernels
from fastbp.kernels import forward_row

X = np.random.default_rng(0).normal(size=(700, 6))


@njit
def outputs_of(state, rows, out):
    """Run each row on its own, as a simulation would."""
    for i in range(len(rows)):
        forward_row(state, rows[i], out[i])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_compiled_code_of_the_caller_gets_the_same_bits(dtype, loss):
    layers = [Dense(19, "tanh"), Dropout(0.5), Dense(3)]
    net = Network(inputs=6, layers=layers, loss=loss, dtype=dtype)
    state, rows, out = net.row_state(), X[:9].astype(dtype), np.zeros((9, 3), dtype)
    for _ in range(2):
        outputs_of(state, rows, out)
        np.testing.assert_array_equal(out, net.forward(rows))
        net.weights[0][:] *= 0.5  # the state shows the weights as they are


def test_weights_of_other_data_are_not_read(run_python):
    # a weighted evaluation leaves an address behind: here one that ends whoever reads it
    run_python(
        """
        import numpy as np
        from fastbp import Network
        from fastbp.kernels import forward_row
        net, X, out = Network([6, 5, 3]), np.ones((300, 6), "float32"), np.zeros(3, "float32")
        net.evaluate(X, np.zeros((300, 3)), sample_weight=np.ones(300))
        (_, run), = net.engine._idle
        assert run["sample_weight"] != 0
        run["sample_weight"] = 8
        row = net.forward(X)[0]
        state = net.row_state()
        assert state[1] is run
        forward_row(state, X[0], out)
        np.testing.assert_array_equal(row, out)
        """
    )


def test_rows_of_another_length_are_refused_and_nothing_is_written():
    net = Network([6, 5, 3])
    state, out = net.row_state(), np.zeros(3, "float32")
    for x, target in [(np.ones(5, "float32"), out), (np.ones(6, "float32"), out[:2])]:
        with pytest.raises(ValueError, match="forward_row"):
            kernels.forward_row(state, x, target)
    assert (out == 0).all()


def test_arrays_of_another_dtype_or_with_gaps_are_refused():
    state, good = Network([6, 3]).row_state(), (np.ones(6, "float32"), np.zeros(3, "float32"))
    strided = np.ones(12, "float32")[::2]
    for x in (np.ones(6), np.ones(6, "int32"), strided):
        with pytest.raises(TypingError, match="expected a contiguous array of float32"):
            forward_row(state, x, good[1])
    for out in (np.zeros(3), strided[:3]):
        with pytest.raises(TypingError, match="expected a contiguous array of float32"):
            forward_row(state, good[0], out)


def test_a_row_is_not_written_to_what_is_read_only():
    state, x = Network([6, 3]).row_state(), np.ones(6, "float32")
    content = bytes(12)
    fixed = np.zeros(3, "float32")
    fixed.flags.writeable = x.flags.writeable = False
    for out in (np.frombuffer(content, "float32"), fixed):
        with pytest.raises(TypingError, match="expected an array that can be written"):
            forward_row(state, x, out)
    assert content == bytes(12) and (fixed == 0).all()
    out = np.zeros(3, "float32")
    forward_row(state, x, out)  # inputs may be read-only
    assert (out != 0).any()


def test_a_row_does_not_depend_on_how_many_are_asked_for_nor_in_what_order():
    net = Network([6, 33, 3], "gelu", "cross_entropy")
    whole = net.forward(X)
    for rows in (slice(0, 1), slice(5, 700), slice(699, 700), slice(10, 300)):
        np.testing.assert_array_equal(net.forward(X[rows]), whole[rows])


def test_calls_of_one_row_between_do_not_forget_how_many_threads_are_quick(run_python):
    run_python(
        """
        import numpy as np
        from fastbp import Network
        from fastbp.engine import engine
        made, new = [], engine.pace_of_steps
        engine.pace_of_steps = lambda *given: made.append(given) or new(*given)
        net, X = Network([64, 256, 8]), np.ones((4000, 64), "float32")
        for _ in range(4):
            net.predict(X, n_threads=2)
            net.predict(X[:1])
        assert len(made) == 1, made
        """,
        NUMBA_NUM_THREADS=2,
    )
