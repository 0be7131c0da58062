"""Training inside the user's own compiled code: the bits of steps from Python, and errors."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from fastbp import Adam, Dense, Dropout, Network
from fastbp.kernels import forward_batch, train_step, train_steps

RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, 5))
LAYERS = [Dropout(0.1), Dense(18, "relu"), Dropout(0.4), Dense(17, "silu"), Dense(3)]
TARGETS = {
    "squared_error": RNG.normal(size=(40, 3)),
    "quantile": RNG.normal(size=(40, 3)),
    "binary_cross_entropy": RNG.random((40, 3)),
    "cross_entropy": RNG.integers(0, 3, 40),
}
PARAMETERS = {"quantile": [0.2, 0.5, 0.9]}


def network(loss="squared_error", dtype="float32", **optimizer):
    optimizer = Adam(0.01, **optimizer)
    more = {"loss": loss, "loss_parameter": PARAMETERS.get(loss), "optimizer": optimizer}
    return Network(inputs=5, layers=LAYERS, dtype=dtype, seed=7, **more)


def bits(net):
    return net.parameters.tobytes(), net.engine.moments.tobytes(), net.steps


def arrays(loss, dtype):
    y = TARGETS[loss]
    return X.astype(dtype), y if y.dtype == np.int64 else y.astype(dtype)


@njit
def several(state, X, y, losses):
    """Make a step for each loss, as a simulation would between two episodes."""
    for i in range(len(losses)):
        losses[i] = train_step(state, X, y)


@pytest.mark.parametrize("clip_norm", [None, 0.2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", TARGETS)
def test_compiled_code_of_the_caller_trains_with_the_bits_of_steps(loss, dtype, clip_norm):
    compiled, stepped = (network(loss, dtype, clip_norm=clip_norm) for _ in range(2))
    x, y = arrays(loss, dtype)
    state, losses = compiled.train_state(40), np.zeros(3)
    several(state, x, y, losses)
    assert losses.tolist() == [stepped.step(x, y) for _ in range(3)]
    assert bits(compiled) == bits(stepped) and compiled.steps == 3


def test_a_state_stays_right_while_its_network_trains_and_changes():
    compiled, stepped = network(), network()
    x, y = arrays("squared_error", "float32")
    state = compiled.train_state(64)
    for _ in range(2):
        assert train_step(state, x[:30], y[:30]) == stepped.step(x[:30], y[:30])
        for net in (compiled, stepped):
            net.fit(x, y, epochs=2, batch_size=7, n_threads=1)
            net.step(x[3:9], y[3:9])
            net.weights[1][:] *= 0.5
            net.biases[2][:] = 1
    assert bits(compiled) == bits(stepped)


def test_two_states_of_one_network_take_turns():
    compiled, stepped = network(), network()
    x, y = arrays("squared_error", "float32")
    states = compiled.train_state(8), compiled.train_state(40)
    for state, rows in zip(states * 2, (slice(0, 8), slice(0, 40)) * 2, strict=True):
        assert train_step(state, x[rows], y[rows]) == stepped.step(x[rows], y[rows])
    assert bits(compiled) == bits(stepped)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", TARGETS)
def test_steps_take_the_rows_of_an_order(loss, dtype):
    compiled, stepped = network(loss, dtype), network(loss, dtype)
    x, y = arrays(loss, dtype)
    order = RNG.integers(0, 40, 27)
    mean = train_steps(compiled.train_state(10), x, y, order)
    parts = [order[:10], order[10:20], order[20:]]
    losses = [stepped.step(x[part], y[part]) * len(part) for part in parts]
    assert mean == pytest.approx(sum(losses) / 27, rel=1e-12)
    assert bits(compiled) == bits(stepped)


def test_one_output_takes_flat_targets_and_probabilities_are_targets():
    x = X.astype("float32")
    nets = [Network([5, 4, 1], seed=1) for _ in range(2)]
    y = TARGETS["squared_error"][:, 0].astype("float32")
    assert train_step(nets[0].train_state(40), x, y) == nets[1].step(x, y)
    assert bits(nets[0]) == bits(nets[1])
    nets = [network("cross_entropy", "float64") for _ in range(2)]
    y = np.eye(3)[TARGETS["cross_entropy"]]
    assert train_step(nets[0].train_state(40), X, y) == nets[1].step(X, y)
    assert bits(nets[0]) == bits(nets[1])
    before = bits(nets[0])
    with pytest.raises(ValueError, match="targets that the loss"):
        train_step(nets[0].train_state(40), X, y * 0.9)
    assert bits(nets[0]) == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_forward_has_the_bits_of_forward(dtype):
    net = network(dtype=dtype)
    x, y = arrays("squared_error", dtype)
    state = net.train_state(16)
    for _ in range(2):  # of any number of rows, before and after steps
        for rows in (0, 1, 16, 40):
            out = np.zeros((rows, 3), dtype)
            forward_batch(state, x[:rows], out)
            if rows:
                np.testing.assert_array_equal(out, net.forward(x[:rows]))
        train_step(state, x[:16], y[:16])


def spoiled(array, value):
    copy = array.copy()
    copy[9] = value
    return copy


@pytest.mark.parametrize("loss", TARGETS)
def test_what_is_not_finite_is_returned_and_updates_nothing(loss):
    net = network(loss)
    x, y = arrays(loss, "float32")
    state, order = net.train_state(40), np.arange(40)
    before = bits(net)
    for value in (np.nan, np.inf, -np.inf):
        cases = [(spoiled(x, value), y)]
        if loss != "cross_entropy":
            cases.append((x, spoiled(y, value)))
        for case in cases:
            assert np.isnan(train_step(state, *case))
            assert np.isnan(train_steps(state, *case, order))
    if loss == "squared_error":
        assert train_step(state, x * np.float32(1e30), y) == np.inf
    assert bits(net) == before
    # what is not trained on may be anything
    assert np.isfinite(train_steps(state, spoiled(x, np.nan), y, np.arange(9)))


WRONG = {"binary_cross_entropy": [-0.5, 1.5], "cross_entropy": [-1, 3]}


@pytest.mark.parametrize("loss", WRONG)
def test_targets_out_of_range_are_refused_and_nothing_is_updated(loss):
    net = network(loss)
    x, y = arrays(loss, "float32")
    state, before = net.train_state(40), bits(net)
    for value in WRONG[loss]:
        with pytest.raises(ValueError, match="train_step: y holds targets"):
            train_step(state, x, spoiled(y, value))
        with pytest.raises(ValueError, match="train_steps: y holds targets"):
            train_steps(state, x, spoiled(y, value), np.arange(40))
    assert bits(net) == before
    with pytest.raises(ValueError, match="targets"):  # labels for another loss
        train_step(network().train_state(40), x, np.zeros(40, np.int64))


def test_other_shapes_are_refused_and_nothing_is_written():
    net = network()
    x, y = arrays("squared_error", "float32")
    state, before = net.train_state(16), bits(net)
    labels = np.zeros(5, np.int64)
    for given in [
        (x, y),  # more rows than the state was made for
        (x[:0], y[:0]),
        (np.ascontiguousarray(x[:9, :4]), y[:9]),
        (x[:9], y[:8]),
        (x[:9], np.ascontiguousarray(y[:9, :2])),
        (x[:9], labels),
        (x[:9], np.ascontiguousarray(y[:9].T)),  # as large, but of another shape
        (x[:9], y[:9].ravel()),
    ]:
        with pytest.raises(ValueError, match="train_step: "):
            train_step(state, *given)
    for order in ([], [40], [-1], [0, 1, 2**40]):
        with pytest.raises(ValueError, match="train_steps: the order"):
            train_steps(state, x, y, np.array(order, np.int64))
    out = np.zeros((9, 3), "float32")
    for given in [(x[:8], out), (x[:9], out[:, :2].copy()), (x[:9, :4].copy(), out)]:
        with pytest.raises(ValueError, match="forward_batch: "):
            forward_batch(state, *given)
    assert bits(net) == before and not out.any()
    with pytest.raises(ValueError, match="batch_size=0"):
        net.train_state(0)


def test_arrays_of_other_types_are_not_compiled():
    net = network()
    x, y = arrays("squared_error", "float32")
    state, before = net.train_state(40), bits(net)
    fixed = np.zeros((40, 3), "float32")
    fixed.flags.writeable = False
    strided = np.repeat(x, 2, axis=0)[::2]
    for bad in (X, x.astype("int32"), np.asfortranarray(x), strided):
        with pytest.raises(TypingError, match="expected a contiguous array of float32"):
            train_step(state, bad, y)
        with pytest.raises(TypingError, match="expected a contiguous array of float32"):
            forward_batch(state, bad, y)
    for bad in (y.astype("float64"), np.zeros(40, np.int32), np.zeros((40, 3), np.int64)):
        with pytest.raises(TypingError, match="expected a contiguous array of float32"):
            train_step(state, x, bad)
    with pytest.raises(TypingError, match="64-bit integers"):
        train_steps(state, x, y, np.arange(4, dtype=np.int32))
    with pytest.raises(TypingError, match="expected an array that can be written"):
        forward_batch(state, x, fixed)
    assert bits(net) == before and not fixed.any()
    x.flags.writeable = False  # what is only read may be so
    assert np.isfinite(train_step(state, x, y))


def test_a_state_outlives_its_network(run_python):
    run_python(
        """
        import gc
        import numpy as np
        from fastbp import Network
        from fastbp.kernels import train_step
        X = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")
        def make():
            return Network([4, 6, 2], loss="quantile", loss_parameter=[0.1, 0.8], seed=0)
        state = make().train_state(9)
        gc.collect()
        garbage = [np.full(2, 9, "float32") for _ in range(1000)]
        net = make()
        for _ in range(3):
            assert train_step(state, X, X[:, :2].copy()) == net.step(X, X[:, :2])
        assert state[2].tobytes() == net.parameters.tobytes()
        """
    )


def test_steps_allocate_nothing(run_python):
    run_python(
        """
        import numpy as np
        from numba import njit
        from numba.core.runtime import rtsys
        from fastbp import Network
        from fastbp.kernels import forward_batch, train_step, train_steps

        @njit
        def several(state, X, y, order, out, count):
            for _ in range(count):
                train_step(state, X, y)
                train_steps(state, X, y, order)
                forward_batch(state, X, out)

        @njit
        def allocates(count):
            return np.zeros(count)

        net, X = Network([3, 5, 3]), np.ones((9, 3), "float32")
        given = net.train_state(4), X[:4], X[:4], np.arange(4), X[:4].copy()
        several(*given, 1)
        def made(function, *given):
            before = rtsys.get_allocation_stats().alloc
            function(*given)
            return rtsys.get_allocation_stats().alloc - before
        assert made(allocates, 3) > 0  # else nothing would be counted
        assert made(several, *given, 1) == made(several, *given, 50)
        """,
        NUMBA_NRT_STATS=1,
    )
