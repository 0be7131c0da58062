"""Frames with nullable and Arrow columns, and sparse rows: what the same numbers give as arrays."""

import numpy as np
import pytest
from scipy import sparse

from fastbp import DivergenceError, MLPClassifier, Network
from fastbp.data import ArraySource

pd = pytest.importorskip("pandas")

rng = np.random.default_rng(0)
# small whole numbers, which every type below holds exactly
WHOLE = rng.integers(-3, 4, size=(40, 4)).astype(float) * (rng.random((40, 4)) < 0.6)
LABELS = np.arange(40) % 3
WEIGHT = 1.0 + LABELS
NULLABLE = ["Float64", "Float32", "Int64", "Int8", "double[pyarrow]", "float[pyarrow]"]
NULLABLE += ["int64[pyarrow]", "int8[pyarrow]"]


def results(X, y, weight=None, held=None):
    """Return all that a network makes of data."""
    loss = "cross_entropy" if np.ndim(y) == 1 else "squared_error"
    net = Network([4, 5, 3], "tanh", loss, seed=1)
    held = (X, y) if held is None else held
    options = {"sample_weight": weight, "validation_data": held, "n_threads": 1}
    history = net.fit(X, y, epochs=2, batch_size=7, **options)
    loss, grads = net.backward(X, y, weight)
    scores = net.evaluate(X, y, weight)
    return [
        net.parameters, grads.flat, loss, net.forward(X), net.predict(X),
        *scores.values(), *history["val_loss"],
    ]  # fmt: skip


def same(found, expected, tolerance=0.0):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def needs(dtype):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("dtype", NULLABLE)
@pytest.mark.parametrize("one_hot", [False, True])
def test_nullable_and_arrow_columns_are_numbers(dtype, one_hot):
    needs(dtype)
    y = np.eye(3)[LABELS] if one_hot else LABELS
    frame = pd.DataFrame(WHOLE, columns=list("abcd"), index=np.arange(40)[::-1]).astype(dtype)
    given_y = pd.DataFrame(y).astype(dtype) if one_hot else pd.Series(y).astype(dtype)
    weight = pd.Series(WEIGHT).astype(dtype)
    same(results(frame, given_y, weight), results(WHOLE, y, WEIGHT))


@pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]", "bool"])
def test_truth_values_beside_numbers_are_numbers(dtype):
    needs(dtype)
    bits = WHOLE > 0
    frame = pd.DataFrame({"a": bits[:, 0], "b": bits[:, 1]}).astype(dtype)
    frame["c"], frame["d"] = WHOLE[:, 2], pd.array(WHOLE[:, 3].astype(int), "Int16")
    plain = np.c_[bits[:, :2], WHOLE[:, 2:]]
    same(results(frame, LABELS), results(plain, LABELS))
    frame.columns = ["x", "x", "x", "x"]
    same(results(frame, LABELS), results(plain, LABELS))
    answers = pd.Series(bits[:, 0]).astype(dtype)
    one, other = (Network([4, 1], loss="binary_cross_entropy", seed=1) for _ in range(2))
    one.fit(frame, answers, epochs=2), other.fit(plain, bits[:, 0], epochs=2)
    assert np.array_equal(one.parameters, other.parameters)


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "double[pyarrow]", "boolean"])
def test_a_missing_number_is_named_by_its_cell(dtype):
    needs(dtype)
    frame = pd.DataFrame(WHOLE).astype("Int64" if dtype == "boolean" else dtype)
    frame[1] = frame[1] if dtype != "boolean" else pd.array(WHOLE[:, 1] > 0, "boolean")
    frame.iloc[5, 1] = pd.NA
    net = Network([4, 5, 3], loss="cross_entropy")
    for call in (net.predict, net.forward, lambda X: net.fit(X, LABELS)):
        with pytest.raises(ValueError, match=r"X\[5, 1\] is nan in float32: expected finite"):
            call(frame)
    labels = pd.Series(LABELS).astype("Int64")
    labels[7] = pd.NA
    with pytest.raises(ValueError, match="y holds nan in row 7"):
        net.fit(WHOLE, labels)


def test_a_column_that_holds_no_numbers_is_named():
    frame = pd.DataFrame(WHOLE, columns=list("abcd")).astype("Float64")
    net = Network([4, 5, 3], loss="cross_entropy")
    for column in (["x"] * 40, pd.Categorical(["u"] * 40), pd.date_range("2020", periods=40)):
        frame["c"] = column
        with pytest.raises(TypeError, match=r"X: column 'c' has dtype .*: expected real"):
            net.predict(frame)


def test_frames_of_polars_and_tables_of_arrow_are_numbers():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    columns = dict(zip("abcd", WHOLE.T, strict=True))
    for frame, y in [
        (pl.DataFrame(columns), pl.Series(LABELS)),
        (pa.table(columns), pa.array(LABELS)),
    ]:
        same(results(frame, y), results(WHOLE, LABELS))


# ---------------------------------------------------------------- sparse rows

FORMS = {
    "csr_matrix": sparse.csr_matrix,
    "csr_array": sparse.csr_array,
    "csc": sparse.csc_array,
    "coo": sparse.coo_array,
    "unsorted": lambda X: unsorted(sparse.csr_array(X)),
    "float32": lambda X: sparse.csr_array(X.astype("f4")),
    "integers": lambda X: sparse.csr_array(X.astype(int)),
}


def unsorted(X):
    """Store the numbers of each row in another order."""
    for first, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[first:end] = X.indices[first:end][::-1].copy()
        X.data[first:end] = X.data[first:end][::-1].copy()
    X.has_sorted_indices = False
    return X


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_sparse_rows_are_the_same_numbers(form, weight):
    given = FORMS[form](WHOLE)
    kept = given.copy()
    # sums of products are rounded in another order
    same(results(given, LABELS, weight), results(WHOLE, LABELS, weight), 1e-5)
    assert (given != kept).nnz == 0, "the caller's matrix is not written"
    dense_held = results(given, LABELS, weight, held=(WHOLE, LABELS))
    same(dense_held, results(WHOLE, LABELS, weight), 1e-5)


def test_sparse_rows_train_as_the_estimators_do():
    X = sparse.random_array((300, 50), density=0.05, rng=rng, format="csr")
    y = np.asarray(X.sum(axis=1) > 1.2).astype(int)
    clf = MLPClassifier((6,), solver="sgd", momentum=0, alpha=0, shuffle=False, random_state=0)
    clf.set_params(batch_size=30, max_iter=1, n_iter_no_change=100)
    with pytest.warns(match="Maximum iterations"):
        clf.fit(X, y)
    net = Network([50, 6, 1], loss="binary_cross_entropy", optimizer="sgd", dtype="float64")
    start = MLPClassifier(**{**clf.get_params(), "learning_rate_init": 1e-300})
    with pytest.warns(match="Maximum iterations"):
        start.fit(X, y)
    net.parameters[:] = start.network_.parameters
    rate = net.optimizer.hyper_parameters["learning_rate"]
    clf.set_params(learning_rate_init=rate)
    with pytest.warns(match="Maximum iterations"):
        clf.fit(X, y)
    net.fit(X, y, epochs=1, batch_size=30, shuffle=False)
    np.testing.assert_allclose(net.parameters, clf.network_.parameters, rtol=1e-12, atol=1e-14)


def test_rows_of_zeros_alone_are_rows():
    empty = sparse.csr_array((40, 4))
    same(results(empty, LABELS), results(np.zeros((40, 4)), LABELS), 1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X: X[:, :3], "X has 3 columns but the network has 4 inputs"),
        (lambda X: X[:0], r"X has shape \(0, 4\): expected at least one"),
        (lambda X: X * 1j, "X has dtype complex128: expected real"),
        (lambda X: with_number(X, np.nan), r"X\[6, 2\] is nan in float32: expected finite"),
        (lambda X: with_number(X, 1e200), r"X\[6, 2\] is inf in float32: expected finite"),
        (lambda X: with_number(X, -np.inf), r"X\[6, 2\] is -inf in float32: expected finite"),
    ],
)
def test_wrong_sparse_rows_are_named_as_dense_ones(change, words):
    X = sparse.csr_array(WHOLE)
    net = Network([4, 5, 3], loss="cross_entropy")
    for call in (net.predict, lambda X: net.fit(X, LABELS)):
        with pytest.raises((TypeError, ValueError), match=words):
            call(change(X))


def with_number(X, number):
    X = X.toarray()
    X[6, 2] = number
    return sparse.csr_array(X)


def test_targets_and_weights_are_dense():
    net = Network([4, 5, 3])
    y = sparse.csr_array(np.eye(3)[LABELS])
    with pytest.raises(TypeError, match="y is a sparse matrix: expected a dense array"):
        net.fit(WHOLE, y)
    with pytest.raises(TypeError, match="X is a sparse matrix: expected a dense array"):
        net.fit(iter([(sparse.csr_array(WHOLE), LABELS)]))


def test_a_net_of_sparse_rows_that_diverges_says_why():
    net = Network([4, 5, 3], "identity", optimizer="sgd")
    with pytest.raises(DivergenceError, match=r"X reaches 3e\+06"):
        net.fit(sparse.csr_array(WHOLE) * 1e6, np.eye(3)[LABELS], epochs=50)


def test_a_source_takes_frames_too():
    frame = pd.DataFrame(WHOLE).astype("Float64")
    one, other = (Network([4, 5, 3], loss="cross_entropy", seed=1) for _ in range(2))
    one.fit(ArraySource(frame, pd.Series(LABELS, dtype="Int64")), epochs=2)
    other.fit(ArraySource(WHOLE, LABELS), epochs=2)
    assert np.array_equal(one.parameters, other.parameters)
    iterated = Network([4, 5, 3], loss="cross_entropy", seed=1)
    iterated.fit(iter([(frame, pd.Series(LABELS, dtype="Int64"))]), epochs=2)
    assert np.isfinite(iterated.parameters).all()
