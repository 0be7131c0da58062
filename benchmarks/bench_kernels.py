"""The products alone, and the fused multiply-add that their times are compared with."""

import numpy as np

from fastbp import kernels, measure_peak

from .common import DTYPES, shortest_seconds, times_ideal

# M x K x N of C (M, N) = A (M, K) B (K, N)
SHAPES = {
    "128x784x128": (128, 784, 128),
    "256^3": (256, 256, 256),
    "512^3": (512, 512, 512),
    "1024^3": (1024, 1024, 1024),
    "2048^3": (2048, 2048, 2048),
}


def make_call(product, shape, dtype):
    """Return a call ``run(n_threads)`` of one product, and its floating-point operations."""
    M, K, N = SHAPES[shape]
    rng = np.random.default_rng(0)
    a = rng.standard_normal((K, M) if product == "outer" else (M, K)).astype(dtype)
    b = rng.standard_normal((N, K) if product == "matmul_transposed" else (K, N)).astype(dtype)
    out = np.empty((M, N), dtype)

    def run(n_threads=1):
        if product == "outer":
            kernels.outer(a, b, out=out, n_threads=n_threads)
        else:
            kernels.matmul(
                a, b, transpose=product == "matmul_transposed", out=out, n_threads=n_threads
            )

    return run, 2 * M * K * N


class Products:
    """``Z = A W``, ``D W^T`` and ``G_W = A^T D``, one thread."""

    params = (("matmul", "matmul_transposed", "outer"), tuple(SHAPES), DTYPES)
    param_names = ("kernel", "shape", "dtype")

    def setup(self, product, shape, dtype):
        self.run, self.flops = make_call(product, shape, dtype)
        self.run()

    def time_product(self, product, shape, dtype):
        self.run()

    # asv calls setup for each sample, which at 2048^3 takes most of a second
    time_product.repeat = (1, 5, 2.0)

    def track_times_ideal(self, product, shape, dtype):
        return times_ideal(self.flops, self.run, dtype, 1)

    track_times_ideal.unit = "times the ideal"


class SparseProducts:
    """``Z = X W`` and ``G_W = X^T D`` of 200 sparse rows with 10,000 columns, 1 % non-zero."""

    params = (("sparse_matmul", "sparse_outer"), DTYPES)
    param_names = ("kernel", "dtype")

    def setup(self, product, dtype):
        from scipy.sparse import random_array

        rng = np.random.default_rng(0)
        X = random_array((200, 10_000), density=0.01, format="csr", dtype=dtype, rng=rng)
        other = rng.standard_normal((10_000 if product == "sparse_matmul" else 200, 100))
        kernel, other = getattr(kernels, product), other.astype(dtype)
        self.run = lambda: kernel(X, other, n_threads=1)
        self.run()

    def time_product(self, product, dtype):
        self.run()


class RampProducts:
    """``Z = F W`` and ``G_W = F^T D`` of 128 rows of 13 numbers with 32 ramps each, 256 units."""

    params = (("ramp_matmul", "ramp_outer"), DTYPES)
    param_names = ("kernel", "dtype")

    def setup(self, product, dtype):
        rng = np.random.default_rng(0)
        X = rng.random((128, 26)).astype(dtype)
        X[:, 1::2] *= 32
        starts = np.cumsum([0, *[1, 32] * 13])
        other = rng.standard_normal((starts[-1] if product == "ramp_matmul" else 128, 256))
        kernel, other = getattr(kernels, product), other.astype(dtype)
        self.run = lambda: kernel(X, starts, other, n_threads=1)
        self.run()

    def time_product(self, product, dtype):
        self.run()


class Threads:
    """The time of all threads over that of one; n threads that share the work take 1 / n."""

    params = (("matmul", "outer"), ("512^3", "1024^3"))
    param_names = ("kernel", "shape")

    def setup(self, product, shape):
        self.run, _ = make_call(product, shape, "float32")
        self.run()
        self.run("auto")

    def track_times_one(self, product, shape):
        one = shortest_seconds(self.run, budget=0.5)
        return shortest_seconds(lambda: self.run("auto"), budget=0.5) / one

    track_times_one.unit = "times one thread"


class Peak:
    """The shortest time of a fused multiply-add, which every ideal time is a multiple of."""

    params = (DTYPES, (1, "auto"))
    param_names = ("dtype", "threads")

    def setup(self, dtype, threads):
        measure_peak(dtype, threads)

    def track_multiply_add(self, dtype, threads):
        # on a busy machine a single measurement may be low; two operations each
        return 2e12 / max(measure_peak(dtype, threads) for _ in range(30))

    track_multiply_add.unit = "ps"
