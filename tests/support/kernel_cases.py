"""Random calls of the public kernels: the oracle's result, or a TypeError or ValueError of a line.

Arrays end where memory ends: a page that nobody may read or write follows them, or lies before
them. NumPy's bounds checks would not see the kernels' pointers; this does, and ends the process.
"""

import ctypes
import mmap
import warnings

import numpy as np
import scipy.sparse as sp

import oracle
from fastbp import Network, kernels

_PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)
_SIZES = (0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 65, 130)
_WRONG = ([[1.0, 2.0], [3.0]], None, "text", 3, np.ones((2, 2), "c8"), np.ones(3, object))
_LONGEST = 400


def guarded(array, at_end=True):
    """Return a copy of an array in memory that ends, or begins, beside a forbidden page."""
    pages = -(-max(array.nbytes, 1) // _PAGE)
    memory = mmap.mmap(-1, (pages + 1) * _PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    forbidden = first + (pages * _PAGE if at_end else 0)
    if _LIBC.mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(_PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    start = pages * _PAGE - array.nbytes if at_end else _PAGE
    flat = np.frombuffer(memory, np.uint8, array.nbytes, start).view(array.dtype)
    made = flat.reshape(array.shape)
    made[...] = array
    return made


class Cases:
    """Draws arguments, calls a kernel, and compares with plain NumPy in double precision."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(("f4", "f8")[self.rng.integers(2)])
        self.given = {}

    def size(self):
        """Return a size, often one at which tiles or vectors end."""
        return int(_SIZES[self.rng.integers(len(_SIZES))])

    def numbers(self, *shape):
        """Return random numbers, sometimes zeros or very small and large ones."""
        kind = self.rng.integers(8)
        values = self.rng.normal(size=shape)
        if kind == 0:
            values *= 10.0 ** self.rng.integers(-30, 15, shape)
        elif kind == 1:
            values[self.rng.random(shape) < 0.7] = 0
        return values.astype(self.dtype)

    def array(self, name, values):
        """Return values in one of many layouts, under a name."""
        kind = self.rng.integers(10) if values.ndim == 2 else self.rng.integers(4)
        if kind == 0:
            made = guarded(values, at_end=False)
        elif kind == 4:
            made = guarded(np.ascontiguousarray(values.T)).T
        elif kind == 5:  # a part of a wider matrix
            wide = np.full((len(values), values.shape[1] + 3), np.nan, self.dtype)
            wide[:, 1:-2] = values
            made = guarded(wide)[:, 1:-2]
        elif kind == 6:
            made = guarded(np.ascontiguousarray(values[::-1, ::-1]))[::-1, ::-1]
        elif kind == 7:
            wide = np.full((2 * len(values), 2 * values.shape[1]), np.nan, self.dtype)
            wide[::2, ::2] = values
            made = guarded(wide)[::2, ::2]
        elif kind == 8:  # not aligned
            raw = np.zeros(values.nbytes + 1, np.uint8)
            made = raw[1:].view(self.dtype).reshape(values.shape)
            made[...] = values
        else:
            made = guarded(values)
        if self.rng.random() < 0.2:
            made.flags.writeable = False
        self.given[name] = made
        return values.astype("f8")

    def close(self, found, wanted, bound):
        """Check numbers whose sum of absolute terms is `bound`."""
        assert found.shape == wanted.shape and found.dtype == self.dtype
        some = np.isfinite(wanted) & (np.abs(bound) < np.finfo(self.dtype).max / 1e4)
        error = np.abs(found.astype("f8")[some] - wanted[some])
        least = 1e3 * np.finfo(self.dtype).tiny
        assert (error <= 2e3 * np.finfo(self.dtype).eps * np.abs(bound)[some] + least).all()

    def call(self, kernel, **more):
        """Call a kernel; None if it refuses an argument that is wrong, which one in six has."""
        given = {**self.given, **more, "n_threads": 1}
        wrong = self.rng.random() < 1 / 6
        if wrong:
            name = list(given)[self.rng.integers(len(given))]
            given[name] = _WRONG[self.rng.integers(len(_WRONG))]
        before = {n: np.array(v) for n, v in self.given.items() if isinstance(v, np.ndarray)}
        try:
            found = kernel(**given)
        except (TypeError, ValueError) as error:
            text = str(error)
            assert wrong, text
            assert len(text) < _LONGEST and "\n" not in text, text
            return None
        for name, value in before.items():  # inputs are not written
            assert np.array_equal(self.given[name], value, equal_nan=True)
        return None if wrong else found

    def matmul(self):
        """``A W + bias``, or with W transposed."""
        m, k, n = self.size(), self.size(), self.size()
        A, W = self.array("A", self.numbers(m, k)), self.array("W", self.numbers(k, n))
        bias = self.array("bias", self.numbers(n)) if self.rng.random() < 0.5 else np.zeros(n)
        turned = bool(self.rng.integers(2))
        if turned:
            self.given["W"] = self.given["W"].T
        found = self.call(kernels.matmul, transpose=turned)
        if found is not None:
            self.close(found, A @ W + bias, np.abs(A) @ np.abs(W) + np.abs(bias))

    def outer(self):
        """``A^T D`` and the column sums of D."""
        m, k, n = self.size(), self.size(), self.size()
        A, D = self.array("A", self.numbers(m, k)), self.array("D", self.numbers(m, n))
        found = self.call(kernels.outer)
        if found is not None:
            self.close(found[0], A.T @ D, np.abs(A).T @ np.abs(D))
            self.close(found[1], D.sum(axis=0), np.abs(D).sum(axis=0))

    def hadamard(self):
        """``D . S``."""
        m, n = self.size(), self.size()
        D, S = self.array("D", self.numbers(m, n)), self.array("S", self.numbers(m, n))
        found = self.call(kernels.hadamard)
        if found is not None:
            self.close(found, D * S, D * S)

    def activation(self):
        """``sigma(Z)`` of a random activation."""
        m, n = self.size(), self.size()
        names = sorted(oracle.ACTIVATIONS)
        name = names[self.rng.integers(len(names))]
        Z = self.array("Z", np.clip(self.numbers(m, n), -30, 30))
        alpha = kernels_alpha(name)
        found = self.call(kernels.activation, name=name)
        if found is not None and found.size:
            wanted = np.stack([oracle.ACTIVATIONS[name][0](z, alpha) for z in Z])
            self.close(found, wanted, np.abs(wanted) + np.abs(Z) + 1)

    def sparse(self):
        """``X W + b`` and ``X^T D`` of sparse rows."""
        m, k, n = self.size(), self.size(), self.size()
        dense = self.numbers(m, k) * (self.rng.random((m, k)) < 0.3)
        dense = dense.astype(self.dtype)
        forms = (sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix)
        self.given["X"] = forms[self.rng.integers(len(forms))](dense)
        X = dense.astype("f8")
        if self.rng.integers(2):
            W = self.array("W", self.numbers(k, n))
            found, wanted = self.call(kernels.sparse_matmul), X @ W
            bound = np.abs(X) @ np.abs(W)
        else:
            D = self.array("D", self.numbers(m, n))
            found, wanted = self.call(kernels.sparse_outer), X.T @ D
            bound = np.abs(X).T @ np.abs(D)
        if found is not None:
            self.close(found, wanted, bound)

    def ramps(self):
        """``F W + b`` of numbers with ramps."""
        m, columns, n = self.size(), int(self.rng.integers(1, 6)), self.size()
        counts = self.rng.integers(1, 9, columns)
        starts = np.concatenate([[0], np.cumsum(counts)])
        X = np.where(counts > 1, self.rng.random((m, columns)) * counts, self.numbers(m, columns))
        X = X.astype(self.dtype)
        parts = [
            np.clip(X[:, [c]].astype("f8") - np.arange(b), 0, 1) if b > 1 else X[:, [c]]
            for c, b in enumerate(counts)
        ]
        F = np.concatenate(parts, axis=1).astype("f8")
        self.given["X"], self.given["starts"] = guarded(X), starts
        W = self.array("W", self.numbers(int(starts[-1]), n))
        found = self.call(kernels.ramp_matmul)
        if found is not None:
            self.close(found, F @ W, len(W) * np.abs(F) @ np.abs(W) + np.abs(W).sum(axis=0))

    def randoms(self):
        """Streams and orders: of the length asked for, and in range."""
        n, seed = self.size(), int(self.rng.integers(2**62))
        uniform = kernels.random_uniform(n, seed, n_threads=1)
        assert uniform.shape == (n,) and ((uniform >= 0) & (uniform < 1)).all()
        assert sorted(kernels.permutation(n, seed)) == list(range(n))

    def network(self):
        """``forward`` and a step of a network, against plain NumPy."""
        sizes = [max(1, self.size()) for _ in range(int(self.rng.integers(2, 5)))]
        net = Network(sizes, "relu", dtype=self.dtype.name, seed=int(self.rng.integers(2**31)))
        rows = max(1, self.size())
        a = self.array("X", np.clip(self.numbers(rows, sizes[0]), -1e3, 1e3))
        bound = np.abs(a)
        X = self.given["X"]
        for n, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
            a = a @ W.astype("f8") + b
            bound = bound @ np.abs(W).astype("f8") + np.abs(b)
            a = a if n + 2 == len(sizes) else np.maximum(a, 0)
        self.close(net.forward(X, 1), a, bound)
        if self.rng.random() < 0.2:
            y = self.numbers(rows, sizes[-1]) * 0
            net.fit(X, y, epochs=1, batch_size=max(1, rows // 2), n_threads=1)
            assert net.steps == -(-rows // max(1, rows // 2))
            assert not np.isnan(net.parameters).any()


def kernels_alpha(name):
    """Return the default parameter of an activation, 0 if it has none."""
    from fastbp import ACTIVATIONS

    return ACTIVATIONS[name].alpha or 0.0


KINDS = [kind for kind in vars(Cases) if not kind.startswith("_")]
KINDS = [k for k in KINDS if k not in ("size", "numbers", "array", "close", "call")]


def run(first, count):
    """Run so many cases; an AssertionError names the seed."""
    warnings.simplefilter("ignore", RuntimeWarning)
    for seed in range(first, first + count):
        kind = KINDS[seed % len(KINDS)]
        try:
            getattr(Cases(seed), kind)()
        except Exception as error:
            error.add_note(f"seed {seed}, {kind}") if hasattr(error, "add_note") else None
            raise
