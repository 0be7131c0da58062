"""Products with sparse rows: the bits of the dense products, in whatever form X comes."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier, Network, kernels
from fastbp.data.samples import Samples
from fastbp.data.windows import Whole, Window
from fastbp.kernels.simd.gemm import SCRATCH_FLOATS
from fastbp.kernels.support.sparse_rows import sparse_rows
from fastbp.training.history import History
from fastbp.training.interrupt import Interrupt
from fastbp.training.loop import Loop, Policy
from fastbp.training.state import State

SHAPES = [(7, 5, 3), (50, 300, 100), (33, 1000, 17), (20, 40, 16), (3, 9, 33), (1, 1, 2)]
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def matrices(shape, dtype, density=0.1):
    rows, n_in, n_out = shape
    rng = np.random.default_rng(3)
    X = sp.random_array((rows, n_in), density=density, format="csr", dtype=dtype, rng=rng)
    X.data -= dtype(0.5)
    shapes = (n_in, n_out), (n_out,), (rows, n_out)
    return X, *(rng.normal(size=s).astype(dtype) for s in shapes)


@both_dtypes
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bits_are_those_of_the_dense_products(shape, threads, dtype):
    X, W, b, D = matrices(shape, dtype)
    dense = X.toarray()
    Z = kernels.sparse_matmul(X, W, b, n_threads=threads)
    assert np.array_equal(Z, kernels.matmul(dense, W, b))
    assert np.array_equal(kernels.sparse_matmul(X, W), kernels.matmul(dense, W))
    G = kernels.sparse_outer(X, D, n_threads=threads)
    assert np.array_equal(G, kernels.outer(dense, D)[0])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(Z, dense.astype(float) @ W + b, atol=100 * eps, rtol=10 * eps)
    np.testing.assert_allclose(G, dense.T.astype(float) @ D, atol=100 * eps, rtol=10 * eps)


@both_dtypes
def test_one_column_agrees_with_numpy(dtype):
    X, W, b, D = matrices((40, 200, 1), dtype)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(kernels.sparse_matmul(X, W, b), X @ W + b, atol=50 * eps)
    np.testing.assert_allclose(kernels.sparse_outer(X, D), X.T @ D, atol=50 * eps)


def test_every_form_of_a_matrix_gives_the_same_and_stays_as_it_is():
    X, W, b, D = matrices((20, 30, 5), np.float64, density=0.3)
    expected = kernels.sparse_matmul(X, W, b), kernels.sparse_outer(X, D)
    long = X.copy()
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    shuffled = X.copy()
    for row in range(len(X.indptr) - 1):
        part = slice(X.indptr[row], X.indptr[row + 1])
        shuffled.indices[part] = shuffled.indices[part][::-1].copy()
        shuffled.data[part] = shuffled.data[part][::-1].copy()
    shuffled.has_sorted_indices = False
    # entries that add up to those of X
    halves = sp.coo_array(
        (np.tile(X.data / 2, 2), (np.tile(X.tocoo().row, 2), np.tile(X.tocoo().col, 2))),
        shape=X.shape,
    )
    read_only = X.copy()
    read_only.data.flags.writeable = False
    forms = [long, shuffled, halves, read_only, X.tocsc(), X.tocoo(), X.todok(), sp.csr_matrix(X)]
    for form in forms:
        before = form.toarray()
        order = getattr(form, "indices", np.zeros(0)).copy()
        assert np.array_equal(kernels.sparse_matmul(form, W, b), expected[0])
        assert np.array_equal(kernels.sparse_outer(form, D), expected[1])
        assert np.array_equal(form.toarray(), before)
        assert np.array_equal(getattr(form, "indices", np.zeros(0)), order)


def test_rows_without_numbers_and_matrices_without_any():
    W, b = np.ones((4, 3)), np.array([1.0, 2.0, 3.0])
    X = sp.csr_array((5, 4))
    assert np.array_equal(kernels.sparse_matmul(X, W, b), np.tile(b, (5, 1)))
    assert np.array_equal(kernels.sparse_outer(X, np.ones((5, 3))), np.zeros((4, 3)))
    assert kernels.sparse_matmul(sp.csr_array((0, 4)), W, b).shape == (0, 3)


@pytest.mark.parametrize(
    "X, W, error, says",
    [
        (sp.csr_array(np.eye(3, dtype=int)), np.eye(3), TypeError, "X has dtype int64"),
        (sp.csr_array(np.eye(3)), np.eye(3, dtype="f4"), TypeError, "W has dtype float32"),
        (sp.csr_array(np.eye(3)), np.ones((4, 3)), ValueError, r"W has shape \(4, 3\)"),
        (sp.csr_array(np.eye(3) * 1j), np.eye(3), TypeError, "X has dtype complex128"),
    ],
)
def test_what_does_not_fit_is_named(X, W, error, says):
    with pytest.raises(error, match=says):
        kernels.sparse_matmul(X, W)


def test_slices_and_chosen_rows():
    X, *_ = matrices((12, 9, 2), np.float64, density=0.4)
    rows, dense = sparse_rows("X", X), X.toarray()

    def back(part):
        return sp.csr_array((part.data, part.columns, part.starts), shape=part.shape).toarray()

    assert np.array_equal(back(rows[3:7]), dense[3:7])
    assert np.array_equal(back(rows[:0]), dense[:0])
    chosen = np.array([5, 0, 5, 11])
    assert np.array_equal(back(rows.take(chosen)), dense[chosen])
    with pytest.raises(IndexError, match="consecutive"):
        _ = rows[::2]


class Drawn(Whole):
    """60 of the rows in an order of their own."""

    def __init__(self, data):
        super().__init__(data, 16, True, 0)
        self.rows = 60

    def windows(self, epoch, done=0, more=False, must_end=None):
        yield Window(self.head, np.random.default_rng(epoch).permutation(70)[:60], 0)


class Recording(Policy):
    """Constant rates; keeps the losses and penalties of every epoch."""

    def __init__(self):
        self.seen = []

    def rates(self, epoch, batches):
        return np.full(batches, 0.01)

    def score(self, epoch, goes_on):
        self.seen.append((epoch.losses, epoch.penalties))
        return True

    def verdict(self, epoch):
        return None


@both_dtypes
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_training_on_sparse_rows_has_the_bits_of_dense_ones(dtype, threads, clip_norm):
    from fastbp import Adam

    X, _, _, Y = matrices((70, 300, 4), dtype)
    nets = []
    for x in (X.toarray(), sparse_rows("X", X)):
        # 300 inputs are several blocks of the gradient, 70 rows a short last batch
        net = Network([300, 24, 4], optimizer=Adam(1e-2, clip_norm=clip_norm), dtype=dtype)
        data = Samples(x, Y)
        net.engine.set_objective(penalty=0.1)
        recorded, state = Recording(), State(History(dtype), net.parameters)
        Loop(net.engine, Drawn(data), recorded, state, Interrupt(), 3, threads).run()
        assert [len(losses) for losses, _ in recorded.seen] == [4, 4, 4]
        nets.append((net, data, recorded.seen))
    (one, dense, a), (two, sparse, b) = nets
    assert np.array_equal(one.parameters, two.parameters)
    assert np.array_equal(a, b)
    assert np.all(np.array(a) > 0)
    assert np.array_equal(one.engine.forward(dense), two.engine.forward(sparse))
    # the workspace of sparse rows has no room for dense ones, and the next call is dense
    assert np.array_equal(two.engine.forward(dense), one.engine.forward(dense))
    assert np.array_equal(two.engine.forward(sparse), one.engine.forward(dense))
    assert one.engine.gradient(dense) == two.engine.gradient(sparse)
    assert np.array_equal(one.engine.grads, two.engine.grads)


def test_the_penalty_is_that_of_mathematics():
    X, _, _, Y = matrices((30, 8, 3), np.float64)
    weight = np.random.default_rng(0).uniform(0.5, 2, 30)
    net = Network([8, 5, 3], "tanh", dtype="float64")
    data = Samples(X.toarray(), Y, weight=weight)
    plain, penalty = net.engine.gradient(data)
    assert penalty == 0
    grads = net.engine.grads.copy()
    net.engine.set_objective(penalty=0.7)
    loss, penalty = net.engine.gradient(data)
    squares = sum((w**2).sum() for w in net.weights)
    assert loss == plain
    assert penalty == pytest.approx(0.35 * squares / weight.sum(), rel=1e-14)
    added = net.engine.plan.weights(net.engine.grads - grads)
    for more, w in zip(added, net.weights, strict=True):
        np.testing.assert_allclose(more, 0.7 * w / weight.sum(), atol=1e-15)
    for more in net.engine.plan.biases(net.engine.grads - grads):
        assert not more.any()


@both_dtypes
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_a_limit_of_the_loss_leaves_the_gradient_as_it_is(loss, dtype):
    rng = np.random.default_rng(1)
    X = (20 * rng.normal(size=(40, 3))).astype(dtype)
    Y = np.eye(4, dtype=dtype)[rng.integers(0, 4, 40)]
    net = Network([3, 4], loss=loss, dtype=dtype)
    data = Samples(X, Y)
    free, _ = net.engine.gradient(data)
    grads = net.engine.grads.copy()
    net.engine.set_objective(loss_limit=3.0)
    limited, _ = net.engine.gradient(data)
    assert np.array_equal(net.engine.grads, grads)
    outputs = net.engine.forward(data).astype(float)
    logits = X.astype(float) @ net.weights[0] + net.biases[0]
    if loss == "cross_entropy":
        losses = -(logits * Y).sum(axis=1) + np.log(np.exp(logits).sum(axis=1))
        expected = np.minimum(losses, 3).mean()
    else:
        losses = np.logaddexp(0, logits) - Y * logits
        expected = np.minimum(losses, 3).sum(axis=1).mean()
    assert outputs.shape == Y.shape
    assert limited < free
    assert limited == pytest.approx(expected, rel=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_a_sparse_fit_takes_no_more_than_three_times_the_matrix(form, options):
    X = sp.random_array((6000, 3000), density=0.05, format=form, rng=np.random.default_rng(0))
    y = np.random.default_rng(0).integers(0, 2, 6000)
    matrix = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    clf = MLPClassifier((8,), max_iter=2, random_state=0, n_threads=1, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X[:300], y[:300])  # what is loaded once
        tracemalloc.start()
        try:
            clf.fit(X, y)
            grown = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    parameters = 8 * clf._run.network.parameters.size
    # moments, gradient, best weights, squares; of "lbfgs" ten pairs of vectors and more
    several = 40 if "solver" in options else 8
    batch = 6000 if "solver" in options else 200
    # the matrix itself is the first of three; X would be 144 MB if it were dense
    buffers = batch * 8 * 64 + 2 * 8 * SCRATCH_FLOATS  # of training and of prediction
    assert grown < 2 * matrix + several * parameters + buffers + 500_000
