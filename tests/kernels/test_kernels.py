"""The public kernels on NumPy arrays: shapes, strides, threads, processors, bad input."""

import platform
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from fastbp import ACTIVATIONS, LOSSES, OPTIMIZERS, kernels
from fastbp.kernels.simd.intrinsics import address_of, pointer
from fastbp.kernels.simd.prefetch import ahead_integers, fetch_ahead, start_ahead

DTYPES = [np.float32, np.float64]
# sizes on both sides of every tile, panel and vector, and large enough to be packed
SIZES = [0, 1, 2, 3, 4, 5, 11, 12, 13, 15, 16, 17, 31, 32, 33, 47, 48, 49, 100]


def _normal(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def _tolerance(dtype, terms):
    # a chain of `terms` roundings of half an ulp each, of numbers of order one
    return np.finfo(dtype).eps * (terms + 4) * 4


def _agree(value, exact, terms):
    assert value.dtype in DTYPES
    np.testing.assert_allclose(value, exact, rtol=0, atol=_tolerance(value.dtype, terms))


sizes = st.sampled_from(SIZES)


@settings(max_examples=150)
@given(sizes, sizes, sizes, st.sampled_from(DTYPES), st.booleans())
def test_matmul_is_the_product_for_any_shape(m, k, n, dtype, with_bias):
    a, w = _normal((m, k), dtype), _normal((k, n), dtype, 1)
    bias = _normal(n, dtype, 2) if with_bias else None
    exact = a.astype(np.float64) @ w.astype(np.float64) + (0 if bias is None else bias)
    _agree(kernels.matmul(a, w, bias, n_threads=1), exact, k)
    _agree(kernels.matmul(a, w.T, bias, transpose=True, n_threads=1), exact, k)


@settings(max_examples=150)
@given(sizes, sizes, sizes, st.sampled_from(DTYPES))
def test_outer_is_the_sum_of_outer_products_for_any_shape(batch, n_in, n_out, dtype):
    a, d = _normal((batch, n_in), dtype), _normal((batch, n_out), dtype, 1)
    weights, biases = kernels.outer(a, d, n_threads=1)
    exact = sum(np.outer(x, y) for x, y in zip(a.astype(float), d.astype(float), strict=True))
    _agree(weights, exact if batch else np.zeros((n_in, n_out)), batch)
    _agree(biases, d.astype(float).sum(axis=0), batch)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_large_enough_to_be_packed(dtype):
    # B of more than 2 MB, depth beyond one packed panel, ragged in every direction
    a, b = _normal((61, 1030), dtype), _normal((1030, 1100), dtype, 1)
    _agree(kernels.matmul(a, b), a.astype(float) @ b.astype(float), 1030)
    d = _normal((1030, 1100), dtype, 2)
    _agree(kernels.outer(b[:, :70], d)[0], b[:, :70].T.astype(float) @ d.astype(float), 1030)


def test_a_row_does_not_depend_on_its_neighbours():
    a, w, bias = _normal((70, 53), np.float32), _normal((53, 41), np.float32, 1), None
    whole = kernels.matmul(a, w, bias)
    for rows in (1, 2, 5, 13, 69):
        np.testing.assert_array_equal(kernels.matmul(a[-rows:], w, bias), whole[-rows:])


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_strides_are_read_and_never_written(dtype):
    a, w = _normal((40, 60), dtype), _normal((30, 44), dtype, 1)
    for view in (a[::-2, ::2], np.asfortranarray(a[:20, :30]), a.T[:20, ::-1][:, :30]):
        before = view.copy()
        view.flags.writeable = False
        _agree(kernels.matmul(view, w), view.astype(float) @ w.astype(float), 30)
        _agree(kernels.outer(view, view)[0], view.T.astype(float) @ view.astype(float), 20)
        np.testing.assert_array_equal(view, before)
    _agree(kernels.hadamard(a.T, a.T), a.T.astype(float) ** 2, 1)


def test_infinity_and_nan_go_through():
    a = np.array([[np.nan, 1.0], [np.inf, 1.0], [1.0, 1.0]])
    product = kernels.matmul(a, np.ones((2, 3)))
    assert np.isnan(product[0]).all() and np.isinf(product[1]).all() and (product[2] == 2).all()
    for name in ACTIVATIONS:
        assert np.isnan(kernels.activation(np.full((1, 3), np.nan), name)).all(), name


def test_out_is_written_in_place():
    a, w = _normal((5, 6), np.float64), _normal((6, 7), np.float64, 1)
    out = np.full((5, 7), np.nan)
    assert kernels.matmul(a, w, out=out) is out
    np.testing.assert_array_equal(out, kernels.matmul(a, w))
    for call in (
        lambda z, out: kernels.activation(z, "tanh", out=out),
        lambda z, out: kernels.activation(z, "softmax", out=out),
        lambda z, out: kernels.activation(z, "ascending", out=out),
        lambda z, out: kernels.activation_derivative(z, "tanh", out=out),
        lambda z, out: kernels.activation_derivative(z, "gelu", out=out),
        lambda z, out: kernels.hadamard(z, z, out=out),
    ):
        z = a.copy()
        assert call(z, z) is z
        np.testing.assert_array_equal(z, call(a, None))


def test_an_out_that_overlaps_an_input_elsewhere_is_refused():
    memory = np.ones(100)
    a, shifted = memory[:36].reshape(6, 6), memory[1:37].reshape(6, 6)
    for call in (
        lambda: kernels.matmul(a, np.ones((6, 6)), out=a),
        lambda: kernels.matmul(np.ones((6, 6)), np.ones((6, 6)), a[0], out=a),
        lambda: kernels.outer(a, np.ones((6, 6)), out=shifted),
        lambda: kernels.activation(a, "tanh", out=shifted),
        lambda: kernels.activation_derivative(a, "tanh", out=shifted),
        lambda: kernels.hadamard(a, np.ones((6, 6)), out=shifted),
        lambda: kernels.hadamard(np.ones((6, 6)), a, out=shifted),
    ):
        with pytest.raises(ValueError, match="out overlaps"):
            call()
    assert (memory == 1).all()


def test_the_loss_of_no_outputs_is_nothing():
    for name in ("squared_error", "cross_entropy"):
        for Z in (None, np.ones((3, 0))):
            value, D = kernels.loss(np.ones((3, 0)), np.ones((3, 0)), name, Z=Z)
            assert value == 0 and D.shape == (3, 0)


def test_numbers_out_of_range_are_refused_and_nothing_is_written():
    w, a = np.ones(3), np.full((2, 3), 0.3)
    sgd = partial(kernels.update, "sgd", w, w / 2, np.zeros((2, 3)), 1)
    cases = [
        (partial(sgd, learning_rate=-1.0), "learning_rate"),
        (partial(sgd, learning_rate="a"), "learning_rate"),
        (partial(sgd, l1=-1.0), "l1"),
        (partial(sgd, l2=np.nan), "l2"),
        (partial(sgd, clip_norm=-1.0), "clip_norm"),
        (partial(sgd, step_rate=1.0), "step_rate"),
        (lambda: kernels.update("adam", w, w, np.zeros((2, 3)), 1, beta1=1.0), "beta1"),
        (lambda: kernels.update("sgd", w, w, np.zeros((2, 3)), 1.5), "step"),
        (lambda: kernels.loss(a, a, "huber", parameter=-1.0), "parameter"),
        (lambda: kernels.loss(a, a, "quantile", parameter=1.0), "parameter"),
        (lambda: kernels.loss(a, a, "huber", sample_weight=np.array([1, -1.0])), "sample_weight"),
        (lambda: kernels.activation(a, "relu", 0.5), "alpha"),
        (lambda: kernels.activation(a, "elu", -0.5), "alpha"),
        (lambda: kernels.dropout(a, 1.0, 0), "rate"),
        (lambda: kernels.dropout(a, 0.5, -1), "seed"),
        (lambda: kernels.random_uniform((300, 4000), 0), "n="),
        (lambda: kernels.random_normal(5, 1.5), "seed"),
        (lambda: kernels.random_normal(5, 1, purpose="a"), "purpose"),
        (lambda: kernels.random_uniform(5, 1, place=2**70), "place"),
        (lambda: kernels.permutation(-1, 0), "n="),
        (lambda: kernels.matmul(a, a.T.copy(), n_threads=np.array([1, 2])), "n_threads"),
    ]
    for call, name in cases:
        with pytest.raises((TypeError, ValueError), match=name):
            call()
    assert (w == 1).all()


def test_update_has_one_signature_whatever_numbers_it_is_given():
    from fastbp.kernels.update import update_flat

    w, moments = np.ones(3), np.zeros((2, 3))
    for rate in (1, 0.1, np.float32(0.1), np.int64(1)):
        kernels.update("sgd", w, w, moments, 1, learning_rate=rate, l1=0, clip_norm=1, n_threads=1)
    float64 = [s for s in update_flat.serial.signatures if "float64, 1d" in str(s[1])]
    assert len(float64) == 1


# every kernel as (name, arguments, keywords); the same bits are asked of any number of threads
CALLS = """
    import hashlib, sys
    import numpy as np
    from fastbp import kernels, ACTIVATIONS, LOSSES, OPTIMIZERS

    def digest(values):
        values = values if isinstance(values, tuple) else (values,)
        content = b"".join(np.asarray(v).tobytes() for v in values)
        return hashlib.sha256(content).hexdigest()

    def run(threads):
        rng, results = np.random.default_rng(0), {}
        for dtype in (np.float32, np.float64):
            for m, k, n in [(1, 1, 1), (70, 33, 7), (128, 100, 130), (5, 2000, 600)]:
                a, w = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
                d, t = rng.normal(size=(m, n)).astype(dtype), {"n_threads": threads}
                key = (np.dtype(dtype).name, m, k, n)
                results["matmul", key] = kernels.matmul(a, w, d[0], **t)
                results["transposed", key] = kernels.matmul(d, w, transpose=True, **t)
                results["outer", key] = kernels.outer(a, d, **t)
                results["hadamard", key] = kernels.hadamard(d, d, **t)
                results["dropout", key] = kernels.dropout(d, 0.3, 1, **t)
                y = abs(d) / abs(d).sum(axis=1, keepdims=True)
                for name in LOSSES:
                    results[name, key] = kernels.loss(y, y[::-1], name, **t)
                for name in ACTIVATIONS:
                    results[name, key] = kernels.activation(d, name, **t)
                    if not ACTIVATIONS[name].of_rows:
                        results[name, "slope", key] = kernels.activation_derivative(d, name, **t)
                for name in OPTIMIZERS:
                    p, moments = w.copy().ravel(), np.zeros((2, w.size), dtype)
                    kernels.update(name, p, w.ravel() / 2, moments, 1, clip_norm=1.0, **t)
                    results[name, key] = (p, moments)
        results["uniform"] = kernels.random_uniform(1001, 3, n_threads=threads)
        results["normal"] = kernels.random_normal(1001, 3, n_threads=threads)
        return {key: digest(value) for key, value in results.items()}
"""


@pytest.mark.slow
def test_every_kernel_gives_the_same_bits_from_1_2_and_3_threads(run_python):
    code = (
        CALLS
        + """
    one = run(1)
    assert len(one) > 200
    for threads in (2, 3):
        differ = [key for key, value in run(threads).items() if value != one[key]]
        assert not differ, differ
    print("same")
    """
    )
    assert run_python(code, NUMBA_NUM_THREADS=3).strip() == "same"


ISA = """
    import numpy as np
    from fastbp import Adam, Network, kernels
    from fastbp.kernels.simd.tile import tile_shapes
    from fastbp.kernels.simd.vector import lanes
    from numba import float32

    for dtype in (np.float32, np.float64):
        rng = np.random.default_rng(0)
        a, w = rng.normal(size=(29, 37)).astype(dtype), rng.normal(size=(37, 45)).astype(dtype)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(kernels.matmul(a, w), a.astype(float) @ w, atol=600 * eps)
        np.testing.assert_allclose(kernels.outer(a, a)[0], a.T.astype(float) @ a, atol=600 * eps)
        np.testing.assert_allclose(
            kernels.matmul(a, w.T.copy(), transpose=True), a.astype(float) @ w, atol=600 * eps)
        # large and ragged enough that A^T, A and B are each packed
        for a, w in [((600, 130), (600, 100)), ((130, 512), (130, 1100)), ((70, 3000), (70, 65))]:
            a, w = rng.normal(size=a).astype(dtype), rng.normal(size=w).astype(dtype)
            np.testing.assert_allclose(
                kernels.outer(a, w)[0], a.T.astype(float) @ w, atol=4000 * eps)
            np.testing.assert_allclose(
                kernels.matmul(a.T.copy(), w), a.T.astype(float) @ w, atol=4000 * eps)
        np.testing.assert_allclose(
            kernels.activation(a, "tanh"), np.tanh(a.astype(float)), atol=8 * eps)
        if dtype is np.float64:
            import scipy.sparse
            a, w = rng.normal(size=(29, 37)), rng.normal(size=(37, 45))
            x = a * (a > 1)
            rows = scipy.sparse.csr_array(x)
            np.testing.assert_allclose(kernels.sparse_matmul(rows, w), x @ w, atol=600 * eps)
            np.testing.assert_allclose(kernels.sparse_outer(rows, a), x.T @ a, atol=600 * eps)
            # a column, and four numbers of nine ramps
            starts = np.cumsum([0, 1, 9, 9, 9, 9])
            p = np.column_stack([a[:, 0], np.abs(a[:, 1:5])])
            ramps = (np.clip(c[:, None] - np.arange(9), 0, 1) for c in p.T[1:])
            x = np.column_stack([p[:, :1], *ramps])
            np.testing.assert_allclose(kernels.ramp_matmul(p, starts, w), x @ w, atol=600 * eps)
            np.testing.assert_allclose(kernels.ramp_outer(p, starts, a), x.T @ a, atol=600 * eps)
    # ReLU in the product, one column, rows that are read beyond their end
    for sizes in ([37, 45, 33, 1], [5, 1, 9, 2], [70, 130, 64, 3]):
        net = Network(sizes, dtype="float64")
        X, Y = rng.normal(size=(29, sizes[0])), rng.normal(size=(29, sizes[-1]))
        outputs = [X]
        for w in net.weights:
            outputs.append(np.maximum(outputs[-1] @ w, 0))
        D = (outputs[-2] @ w - Y) / 29
        for g, a, w in zip(net.backward(X, Y)[1].weights[::-1], outputs[-2::-1], net.weights[::-1]):
            np.testing.assert_allclose(g, a.T @ D, atol=1e-13)
            D = D @ w.T * (a > 0)
    X = rng.uniform(-1, 1, size=(256, 2)); y = (X[:, 0] * X[:, 1] > 0).astype(int)
    net = Network([2, 24, 2], "tanh", "cross_entropy", Adam(1e-2))
    net.fit(X, y, epochs=150, batch_size=32)
    assert net.evaluate(X, y)["accuracy"] > 0.9
    print(lanes(float32), *tile_shapes())
"""


# of a level its feature, numbers of float32 in a vector, and rows of a tile
LEVELS = {
    "x86-64-v2": ("sse2", 4, 6),
    "x86-64-v3": ("avx2", 8, 6),
    "x86-64-v4": ("avx512f", 16, 12),
}


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="there are no levels of x86-64"
)
def test_tiles_of_each_processor_level(run_python):
    def run(level):
        words = run_python(ISA, NUMBA_CPU_NAME=level, NUMBA_CPU_FEATURES="").split()
        return int(words[0]), int(words[1].strip("(,"))

    # all other tests are of the highest
    *here, _ = [level for level, (feature, *_) in LEVELS.items() if _runs_here(feature)]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(here, pool.map(run, here), strict=True))
    assert found == {level: LEVELS[level][1:] for level in here}


def _runs_here(feature):
    from llvmlite.binding import get_host_cpu_features

    return bool(get_host_cpu_features().get(feature))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_update_rejects_what_it_cannot_write(name):
    w = np.zeros(3)
    with pytest.raises(ValueError, match="moments"):
        kernels.update(name, w, w, np.zeros((3, 2)), 1)
    with pytest.raises(ValueError, match="g has shape"):
        kernels.update(name, w, np.zeros(2), np.zeros((2, 3)), 1)
    with pytest.raises(ValueError, match="step=0"):
        kernels.update(name, w, w, np.zeros((2, 3)), 0)
    w.flags.writeable = False
    with pytest.raises(ValueError, match="w: expected a writable"):
        kernels.update(name, w, np.zeros(3), np.zeros((2, 3)), 1)


def test_bad_arrays_are_named():
    good = np.zeros((2, 3))
    with pytest.raises(TypeError, match="A has dtype int64"):
        kernels.matmul(np.zeros((2, 3), int), good.T)
    with pytest.raises(TypeError, match="W has dtype float32 but the others float64"):
        kernels.matmul(good, np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match=r"W has shape \(2, 3\): expected \(3, 3\)"):
        kernels.matmul(good, good)
    with pytest.raises(ValueError, match=r"A has shape \(3,\): expected 2 dimensions"):
        kernels.matmul(np.zeros(3), good)
    with pytest.raises(ValueError, match="out: expected a writable C-contiguous float64"):
        kernels.hadamard(good, good, out=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="unknown activation 'rellu'; did you mean 'relu'"):
        kernels.activation(good, "rellu")
    for name in ("softmax", "ascending"):
        with pytest.raises(ValueError, match=f"{name} has a Jacobian"):
            kernels.activation_derivative(good, name)
    with pytest.raises(ValueError, match="label outside 0 to 2"):
        kernels.loss(good, np.array([0, 3]), "cross_entropy")
    with pytest.raises(ValueError, match="out overlaps A"):
        kernels.matmul(good[:, :2], good[:, :2], out=good[:, :2])
    with pytest.raises(ValueError, match="out overlaps D"):
        kernels.outer(np.ones((2, 2)), good[:, :2], out=good[:, :2])
    with pytest.raises(ValueError, match="n_threads=0"):
        kernels.matmul(good, good.T, n_threads=0)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_a_canonical_pair_agrees_with_the_formula(name):
    record = LOSSES[name]
    if record.from_logits is None:
        pytest.skip("no partner activation")
    z = _normal((6, 4), np.float64)
    a = kernels.activation(z, record.partner)
    y = np.abs(_normal((6, 4), np.float64, 1))
    y /= y.sum(axis=1, keepdims=True)
    by_formula, _ = kernels.loss(a, y, name)
    from_logits, delta = kernels.loss(a, y, name, Z=z)
    assert from_logits == pytest.approx(by_formula, rel=1e-12)
    np.testing.assert_allclose(delta, (a - y) / 6, atol=1e-15)


def test_sample_weights_of_zero_give_zero():
    a = np.abs(_normal((3, 2), np.float64))
    value, derivative = kernels.loss(a, a[::-1].copy(), "squared_error", sample_weight=np.zeros(3))
    assert value == 0 and not derivative.any()


@njit
def ask_ahead(todo, rows, row_bytes, tiles):
    start_ahead(address_of(pointer(todo)), rows, row_bytes, tiles)
    for _ in range(tiles):
        fetch_ahead(address_of(pointer(todo)))


@pytest.mark.parametrize("rows, row_bytes, tiles", [(128, 3136, 264), (3, 64, 3), (5, 4000, 77)])
def test_all_rows_are_asked_for_in_the_course_of_the_tiles(rows, row_bytes, tiles):
    todo = np.zeros(ahead_integers(rows), np.int64)
    row, step = 0, 4
    ask_ahead(todo, rows, row_bytes, tiles)
    assert todo[row] == rows
    # a row begins anywhere in a line; no more than a line beyond its share is asked for at a time
    assert row_bytes <= todo[step] * (tiles // rows) < row_bytes + 64 * (tiles // rows + 1)
