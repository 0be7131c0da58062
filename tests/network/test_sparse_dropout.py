"""Inputs of sparse rows that drop out: the same masks, and the same bits, as of dense rows."""

import numpy as np
import pytest
import scipy.sparse

from fastbp import SGD, Adam, Dense, Dropout, Network, fit_many

ROWS = 96


def data_of(columns, dtype="float64"):
    """Return X (ROWS, columns) with an empty row and a full one, and two targets."""
    rng = np.random.default_rng(columns)
    X = np.where(rng.random((ROWS, columns)) < 0.1, rng.normal(size=(ROWS, columns)), 0)
    X[5], X[7] = 0, rng.normal(size=columns)
    return X.astype(dtype), rng.normal(size=(ROWS, 2))


def network(columns, optimizer=None, dtype="float64", **options):
    layers = [Dropout(0.3), Dense(33, "tanh"), Dropout(0.2), Dense(2)]
    options |= {"optimizer": optimizer or SGD(0.1), "dtype": dtype, "seed": 3}
    return Network(inputs=columns, layers=layers, **options)


def trained(columns, X, y, n_threads, optimizer, dtype):
    """Return what a net learns and says of X, whatever the form of X."""
    net = network(columns, optimizer, dtype)
    net.fit(X, y, epochs=3, batch_size=20, n_threads=n_threads)
    net.step(X[:30], y[:30])
    gradient = net.backward(X[3:50], y[3:50], n_threads=n_threads)[1].flat
    return net.parameters, gradient, *net.forward(X, dropout=True, samples=4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 7, 64, 200, 1000])
@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01, clip_norm=0.1)])
def test_sparse_rows_drop_out_as_dense_ones_do(optimizer, columns, dtype):
    X, y = data_of(columns, dtype)
    dense = trained(columns, X, y, 1, optimizer, dtype)
    for n_threads in (1, 2, 3):
        sparse = trained(columns, scipy.sparse.csr_matrix(X), y, n_threads, optimizer, dtype)
        for one, other in zip(sparse, dense, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("columns", [7, 200])
def test_norms_of_samples_are_those_of_the_inputs_that_are_kept(columns):
    X, y = data_of(columns)
    nets = [network(columns, SGD(0.1, clip_sample_norm=0.01)) for _ in range(2)]
    nets[0].fit(X, y, epochs=3, batch_size=20)
    nets[1].fit(scipy.sparse.csr_matrix(X), y, epochs=3, batch_size=20)
    np.testing.assert_allclose(nets[1].parameters, nets[0].parameters, rtol=1e-12, atol=1e-14)


def test_dropped_inputs_leave_the_caller_s_matrix_as_it_is():
    X, y = data_of(50)
    sparse = scipy.sparse.csr_matrix(X)
    for each in (sparse.data, sparse.indices, sparse.indptr):
        each.flags.writeable = False
    network(50).fit(sparse, y, epochs=2)
    np.testing.assert_array_equal(sparse.toarray(), X)


def test_blocks_whose_longest_rows_differ_are_trained_on():
    X, y = data_of(200)
    X[:40, 20:] = 0
    nets = [network(200) for _ in range(2)]
    for net, form in zip(nets, (np.asarray, scipy.sparse.csr_matrix), strict=True):
        for part in (slice(0, 40), slice(40, 96), slice(0, 40)):
            net.fit(form(X[part]), y[part], epochs=2, batch_size=16)
    np.testing.assert_array_equal(nets[1].parameters, nets[0].parameters)


def test_a_matrix_without_numbers_is_trained_on():
    nets = [network(9) for _ in range(2)]
    X, y = np.zeros((20, 9)), np.ones((20, 2))
    nets[0].fit(X, y, epochs=2)
    nets[1].fit(scipy.sparse.csr_matrix(X), y, epochs=2)
    np.testing.assert_array_equal(nets[1].parameters, nets[0].parameters)


def test_predictions_and_scores_have_no_dropout():
    X, y = data_of(200)
    sparse, net = scipy.sparse.csr_matrix(X), network(200)
    history = net.fit(sparse, y, epochs=2, validation_data=(sparse, y))
    np.testing.assert_array_equal(net.predict(sparse), net.predict(X))
    assert history["val_loss"][-1] == net.evaluate(X, y)["loss"]


def test_monotonic_weights_keep_their_signs():
    X = np.random.default_rng(0).random((16, 1000))
    layers = [Dropout(0.5), Dense(8, "tanh"), Dense(1)]
    signs = {0: 1, 1: -1}
    net = Network(inputs=1000, layers=layers, seed=0, monotonic=signs)
    for _ in range(300):
        net.step(scipy.sparse.csr_matrix(X), -5 * X[:, :1], rate=0.01)
    assert (net.weights[1] >= 0).all()


def test_many_networks_drop_out_as_one_does():
    X, y = data_of(64)
    nets = [network(64), network(64), network(64)]
    nets[1].set_learning_rate(0.05)
    list(fit_many(nets[:2], scipy.sparse.csr_matrix(X), y, epochs=2, batch_size=20))
    nets[2].fit(X, y, epochs=2, batch_size=20)
    np.testing.assert_array_equal(nets[0].parameters, nets[2].parameters)
    assert (nets[1].parameters != nets[2].parameters).any()
