"""What `fit` learns, and data of odd shapes and weights."""

import numpy as np
import pytest

from fastbp import SGD, Adam, Network
from fastbp.data.samples import samples

rng = np.random.default_rng(3)
X, LABELS = rng.normal(size=(24, 4)), rng.integers(0, 3, 24)
TARGETS = rng.normal(size=(24, 2))


# gradients of several blocks; data larger than the caches, which are asked for ahead, or not;
# deltas that are packed for each block
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "rows, sizes, batch",
    [(70, [500, 130, 33, 10], 32), (2200, [500, 130, 10], 32), (2100, [1100, 257, 10], 2100)],
)
def test_an_epoch_of_fit_is_as_many_passes_by_hand(rows, sizes, batch, threads):
    X = np.random.default_rng(0).standard_normal((rows, sizes[0]), "float32")
    y, weight = np.arange(rows) % 10, np.linspace(0.5, 2, rows, dtype="float32")
    net, by_hand = (Network(sizes, loss="cross_entropy") for _ in range(2))
    options = {"epochs": 1, "batch_size": batch, "shuffle": False, "n_threads": threads}
    net.fit(X, y, sample_weight=weight, **options)
    for start in range(0, rows, batch):
        part = slice(start, start + batch)
        by_hand.update(by_hand.backward(X[part], y[part], weight[part])[1])
    assert np.array_equal(net.parameters, by_hand.parameters)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_rows_asked_for_ahead_are_those_of_the_next_batch(threads):
    X = np.random.default_rng(0).standard_normal((5000, 300), "float32")  # beyond the caches
    net = Network([300, 20, 2])
    engine, data = net.engine, samples(X, np.zeros((5000, 2)), net.engine.plan, net.loss)
    order = np.random.default_rng(1).permutation(5000)
    threads = engine.threads_of_step(threads, data, 64)  # as many as there are
    engine.start_training(data, 64, 2)
    for steps, next_place, count in [(2, 4928, 64), (1, 4964, 36)]:
        first = next_place - 64 * steps
        rates, losses, penalties = np.full(steps, 1e-3), np.zeros(steps), np.zeros(steps)
        engine.train(data, order, rates, first, 64, losses, penalties, threads)
        here, asked = engine._training, []
        for task in range(threads):
            todo = here.work[here.ahead + task * here.ahead_row :].view(np.int64)
            rows = todo[2]
            asked += list(todo[5 : 5 + rows])
        expected = data.x.ctypes.data + order[next_place : next_place + count] * 1200
        np.testing.assert_array_equal(asked, expected)


def test_a_weight_that_is_not_a_number_shows_in_the_outputs():
    net = Network([4, 20, 2])  # the ReLU of the first layer is part of its product
    net.weights[0][1, 5] = np.nan
    assert np.isnan(net.forward(X)).all()


@pytest.mark.parametrize("seed", range(3))
def test_learns_xor(seed):
    corners, xor = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    net = Network([2, 16, 1], "tanh", "binary_cross_entropy", Adam(0.05), seed=seed)
    history = net.fit(corners, xor, epochs=400)
    np.testing.assert_array_equal(net.predict(corners), xor)
    assert history["loss"][-1] < 0.05  # chance is log 2 = 0.69


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_learns_a_curve(dtype):
    x = np.linspace(-2, 2, 400)[:, None]
    y = np.sin(3 * x[:, 0])
    net = Network([1, 32, 32, 1], "tanh", optimizer=Adam(0.01), dtype=dtype)
    net.fit(x, y, epochs=300, batch_size=50)
    assert net.evaluate(x, y)["r2"] > 0.99
    assert net.predict(x).shape == (400,)


def test_learns_real_digits():
    images, digits = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[360:], order[:360]
    net = Network([64, 100, 10], "relu", "cross_entropy", Adam(3e-3))
    net.fit(images[train] / 16, digits[train], epochs=60, batch_size=128)
    assert net.evaluate(images[test] / 16, digits[test])["accuracy"] >= 0.97
    assert (net.predict(images[test] / 16) == digits[test]).mean() >= 0.97


@pytest.mark.parametrize(
    ("loss", "y"), [("cross_entropy", LABELS), ("squared_error", TARGETS)], ids=["labels", "reals"]
)
@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01)], ids=["sgd", "adam"])
def test_a_weight_is_worth_as_many_rows(loss, y, optimizer):
    times = np.arange(24) % 4  # 0 to 3: a row of weight 0 is as if it were not there
    sizes = [4, 7, 3 if loss == "cross_entropy" else 2]
    weighted, repeated = (
        Network(sizes, "tanh", loss, optimizer, dtype="float64") for _ in range(2)
    )
    options = {"epochs": 10, "batch_size": 1000, "shuffle": False}
    one = weighted.fit(X, y, sample_weight=times, **options)
    two = repeated.fit(X.repeat(times, 0), y.repeat(times, 0), **options)
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-12)
    # and so in scores and gradients
    scores = (
        weighted.evaluate(X, y, times),
        weighted.evaluate(X.repeat(times, 0), y.repeat(times, 0)),
    )
    for name, value in scores[0].items():
        assert value == pytest.approx(scores[1][name], rel=1e-12)
    grads = [
        weighted.backward(X, y, times)[1].flat,
        weighted.backward(X.repeat(times, 0), y.repeat(times, 0))[1].flat,
    ]
    np.testing.assert_allclose(*grads, rtol=0, atol=1e-12)


# a power of two rounds nothing; of those in float32 the reciprocal of the sum is out of range
@pytest.mark.parametrize(
    "dtype, scale", [("float64", 8), ("float32", 2**-140), ("float32", 2**123)]
)
def test_the_scale_of_the_weights_does_not_matter(dtype, scale):
    weight = 2.0 ** rng.integers(-3, 0, 24)
    nets = [Network([4, 7, 2], dtype=dtype) for _ in range(2)]
    for net, factor in zip(nets, (1, scale), strict=True):
        net.fit(X, TARGETS, sample_weight=factor * weight, epochs=5, batch_size=7)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_a_batch_whose_weights_are_all_zero_teaches_nothing():
    weight = np.r_[np.zeros(12), np.ones(12)]
    nets = [Network([4, 7, 2], optimizer=SGD(0.1), dtype="float64") for _ in range(2)]
    nets[0].fit(X, TARGETS, sample_weight=weight, epochs=3, batch_size=12, shuffle=False)
    nets[1].fit(X[12:], TARGETS[12:], epochs=3, batch_size=12, shuffle=False)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert nets[0].history["loss"] == pytest.approx(nets[1].history["loss"], rel=1e-12)


def test_a_batch_larger_than_the_data_is_all_of_it():
    nets = [Network([4, 7, 2]) for _ in range(2)]
    for net, batch in zip(nets, (24, 10**9), strict=True):
        net.fit(X, TARGETS, epochs=5, batch_size=batch)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("rows", [1, 2, 24])
@pytest.mark.parametrize("sizes", [[1, 1], [1, 3, 1], [4, 1, 2], [4, 2]], ids=str)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_one_row_and_one_column_train(rows, sizes, batch):
    net = Network(sizes, "tanh", optimizer=SGD(0.02))
    x, y = X[:rows, : sizes[0]], TARGETS[:rows, : sizes[-1]]
    before = net.evaluate(x, y)["loss"]
    history = net.fit(x, y, epochs=20, batch_size=batch)
    assert len(history) == 20
    assert net.evaluate(x, y)["loss"] < before
    assert net.forward(x).shape == (rows, sizes[-1])


def test_a_prediction_does_not_depend_on_the_rows_beside_it():
    net = Network([4, 33, 2], "gelu")
    rows = rng.normal(size=(600, 4))
    together = net.forward(rows)
    for part in (slice(0, 1), slice(599, 600), slice(250, 263), slice(3, 600)):
        np.testing.assert_array_equal(net.forward(rows[part]), together[part])


@pytest.mark.parametrize(
    ("loss", "y"),
    [("cross_entropy", LABELS), ("squared_error", TARGETS), ("huber", TARGETS[:, 0])],
    ids=["labels", "two columns", "one column"],
)
def test_targets_in_one_column_or_one_hot_teach_the_same(loss, y):
    n_out = 3 if loss == "cross_entropy" else np.atleast_2d(y.T).shape[0]
    nets = [Network([4, 7, n_out], loss=loss, dtype="float64") for _ in range(2)]
    full = np.eye(3)[y] if loss == "cross_entropy" else y.reshape(24, -1)
    for net, form in zip(nets, (y, full), strict=True):
        net.fit(X, form, epochs=3, batch_size=10)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-12, atol=1e-15)
