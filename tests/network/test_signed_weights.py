"""Weights below 0, as policy gradients need them: the mean of w_i L_i over the rows of a batch."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastbp import LBFGS, SGD, Adam, LevenbergMarquardt, Network, fit_many
from smooth_nets import build

RNG = np.random.default_rng(6)
X = RNG.normal(size=(64, 4))
Y = RNG.random((64, 3))
LABELS = np.arange(64) % 3
WEIGHT = RNG.normal(size=64) - 0.2
WORDS = (
    "at least 0, not all 0; fit, step and backward take negative ones to train on with signed=True"
)


def network(loss="cross_entropy", **options):
    return Network([4, 6, 3], "tanh", loss, **{"seed": 1, **options})


@pytest.mark.parametrize("total", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error", "binary_cross_entropy"])
def test_the_gradient_is_the_mean_over_the_rows(loss, total):
    net, twin, x, y, rng = build([4, 5, 3], ["tanh", None], loss)
    weight = rng.normal(size=len(x))
    weight += (total - weight.sum()) / len(x)
    assert weight.min() < 0
    expected, value = 0.0, 0.0
    for row, target, w in zip(x, y, weight, strict=True):
        of_row, *slopes = twin.backward(row, target)
        expected = expected + w * twin.flat(*slopes) / len(x)
        value += w * of_row / len(x)
    found, grads = net.backward(x, y, weight, signed=True)
    assert found == pytest.approx(value, rel=1e-10, abs=1e-12)
    np.testing.assert_allclose(grads.flat, expected, rtol=1e-9, atol=1e-12)


def test_a_policy_gradient_is_the_mean_of_advantage_times_grad_log_pi():
    net = network(dtype="float64")
    _, grads = net.backward(X, LABELS, WEIGHT, signed=True)
    slopes = np.eye(3)[LABELS] / net.forward(X)  # of log pi(action), by the outputs
    expected = [net.vjp(X[i : i + 1], slopes[i : i + 1])[0].flat for i in range(64)]
    np.testing.assert_allclose(-grads.flat, WEIGHT @ expected / 64, rtol=1e-9, atol=1e-12)


def test_weights_of_outputs_may_be_negative_too():
    net, twin, x, y, rng = build([4, 5, 3], ["tanh", None], "squared_error")
    weight = rng.normal(size=y.shape)
    expected = 0.0
    for row, target, w in zip(x, y, weight, strict=True):
        for j in range(3):  # the gradient of one output's loss is of a target that others meet
            a = twin.forward(row)[1][-1]
            only = np.where(np.arange(3) == j, target, a)
            expected = expected + w[j] * twin.flat(*twin.backward(row, only)[1:]) / len(x)
    loss, grads = net.backward(x, y, weight, signed=True)
    np.testing.assert_allclose(grads.flat, expected, rtol=1e-9, atol=1e-12)
    squares = weight * (net.forward(x) - y) ** 2 / 2
    assert loss == pytest.approx(squares.sum() / len(x), rel=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_output", [False, True])
def test_a_step_has_the_bits_of_a_fit_on_any_threads(by_output, dtype):
    loss, y = ("squared_error", Y) if by_output else ("cross_entropy", LABELS)
    weight = (np.outer(WEIGHT, [1, -1, 0.5]) if by_output else WEIGHT).astype(dtype)
    x = X.astype(dtype)
    nets = [network(loss, dtype=dtype) for _ in range(5)]
    for threads, net in enumerate(nets[:3], start=1):
        net.fit(x, y, 2, 64, sample_weight=weight, signed=True, shuffle=False, n_threads=threads)
    for _ in range(2):
        nets[3].step(x, y, weight, signed=True, n_threads=2)
        nets[4].update(nets[4].backward(x, y, weight.tolist(), signed=True)[1])
    assert len({net.parameters.tobytes() for net in nets}) == 1
    # the next step has no sign
    plain = network(loss, dtype=dtype)
    plain.parameters[:] = nets[0].parameters
    first = nets[0].backward(x, y, np.abs(weight))[1].flat
    assert np.array_equal(first, plain.backward(x, y, np.abs(weight))[1].flat)


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows():
    net = network(dtype="float64", optimizer=SGD(1e-12))
    history = net.fit(X, LABELS, 1, 10, sample_weight=WEIGHT, signed=True)
    losses = -np.log(net.forward(X)[np.arange(64), LABELS])
    assert history["loss"][0] == pytest.approx((WEIGHT * losses).mean(), rel=1e-8)


def test_rows_count_not_their_weights():
    weight = np.abs(WEIGHT)
    signed, plain = network(dtype="float64"), network(dtype="float64")
    _, of_rows = signed.backward(X, LABELS, weight, signed=True)
    _, of_weights = plain.backward(X, LABELS, weight)
    np.testing.assert_allclose(of_rows.flat, weight.mean() * of_weights.flat, rtol=1e-9)
    assert not signed.backward(X, LABELS, 0 * weight, signed=True)[1].flat.any()


@pytest.mark.parametrize("by_output", [False, True])
def test_samples_are_clipped_whatever_their_sign(by_output):
    weight = np.outer(WEIGHT, [1, -1, 0.5]) if by_output else WEIGHT
    most = 0.1
    clipped = network("squared_error", dtype="float64", optimizer=SGD(0.1, clip_sample_norm=most))
    expected = 0.0
    for i in range(64):
        row = slice(i, i + 1)
        plain = network("squared_error", dtype="float64")
        gradient = plain.backward(X[row], Y[row], weight[row], signed=True)[1].flat
        limit = most * np.abs(weight[i]).mean()
        expected = expected + gradient * min(1, limit / np.linalg.norm(gradient)) / 64
    found = clipped.backward(X, Y, weight, signed=True)[1].flat
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_sparse_rows_streams_and_checkpoints_take_them(tmp_path):
    sparse = csr_array(np.where(np.abs(X) > 1, X, 0))
    dense = [network(dtype="float64") for _ in range(2)]
    dense[0].step(sparse, LABELS, WEIGHT, signed=True)
    dense[1].step(sparse.toarray(), LABELS, WEIGHT, signed=True)
    np.testing.assert_allclose(dense[0].parameters, dense[1].parameters, rtol=1e-9)
    whole, stream, again = (network() for _ in range(3))
    options = {"batch_size": 16, "shuffle": False, "signed": True}
    whole.fit(X, LABELS, 4, sample_weight=WEIGHT, **options)
    parts = [(X[i : i + 16], LABELS[i : i + 16], WEIGHT[i : i + 16]) for i in range(0, 64, 16)]
    stream.fit(parts, epochs=4, **options)
    given = {"sample_weight": WEIGHT, "checkpoints": tmp_path, **options}
    network().fit(X, LABELS, 2, **given)
    again.fit(X, LABELS, 4, resume=True, **given)
    assert len({net.parameters.tobytes() for net in (whole, stream, again)}) == 1


def test_negative_weights_are_refused_without_their_name():
    net = network()
    before = net.parameters.copy()
    for call in (net.fit, net.step, net.backward, net.evaluate):
        for weight in (WEIGHT, WEIGHT.astype("float32")):
            with pytest.raises(ValueError, match=WORDS):
                call(X, LABELS, sample_weight=weight)
    # they are of the training alone
    with pytest.raises(ValueError, match=r"validation_data\[2\]"):
        net.fit(X, LABELS, validation_data=(X, LABELS, WEIGHT), signed=True)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"sample_weight\[3\]"):
            net.step(X, LABELS, np.where(np.arange(64) == 3, bad, WEIGHT), signed=True)
    with pytest.raises(TypeError, match="signed='yes'"):
        net.step(X, LABELS, WEIGHT, signed="yes")
    with pytest.raises(ValueError, match="fit_many: 'signed' is none of"):
        fit_many([net], X, LABELS, sample_weight=WEIGHT, signed=True)
    assert np.array_equal(net.parameters, before) and net.steps == 0


@pytest.mark.parametrize("optimizer", [LevenbergMarquardt(), LBFGS()], ids=["lm", "lbfgs"])
def test_optimizers_that_minimize_refuse_them(optimizer):
    net = network("squared_error", optimizer=optimizer)
    with pytest.raises(ValueError, match=r"signed=True: .*expected False, or an optimizer"):
        net.fit(X, Y, sample_weight=WEIGHT, signed=True)


def test_reinforce_learns_which_arm_pays():
    # of two arms, the one that pays is told by the sign of the first input
    policy = Network([4, 8, 2], "tanh", "cross_entropy", optimizer=Adam(0.02), seed=0)
    rng = np.random.default_rng(1)
    for _ in range(150):
        seen = rng.normal(size=(64, 4)).astype("float32")
        arms = (rng.random(64) < policy.forward(seen)[:, 1]).astype(np.int64)
        pays = np.where(arms == (seen[:, 0] > 0), 1.0, 0.0).astype("float32")
        policy.step(seen, arms, pays - pays.mean(), signed=True)
    seen = rng.normal(size=(1000, 4))
    assert np.mean(policy.predict(seen) == (seen[:, 0] > 0)) > 0.95
