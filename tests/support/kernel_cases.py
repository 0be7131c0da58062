"""Random calls of the public kernels: the oracle's result, or a TypeError or ValueError of a line.

`drawn_arguments` says where the arrays lie.
"""

import copy
import warnings

import numpy as np
import scipy.sparse as sp

import oracle
from drawn_arguments import Drawn, guarded
from fastbp import ACTIVATIONS, LOSSES, OPTIMIZERS, Network, kernels

__all__ = ["guarded", "run"]


def by_rows(function, *matrices):
    """Return a function of one sample for all rows of matrices, in double precision."""
    rows = zip(*(matrix.astype("f8") for matrix in matrices), strict=True)
    found = [function(*row) for row in rows] if matrices[0].size else []
    return np.array(found, "f8").reshape(matrices[0].shape)


def weighted_loss(name, p, share, a, y):
    """Return the sum of losses of rows, or of outputs, times their shares."""
    value = oracle.LOSSES[name][0]
    if share.ndim == 1:
        rows = zip(share, a, y, strict=True) if a.size else ()
        return sum((s * value(*row, p) for s, *row in rows), 0.0)
    levels, parts = np.broadcast_to(p, share.shape[1:]), share.shape[1]
    each = [
        share[i, j] * value(a[i, j : j + 1], y[i, j : j + 1], levels[j])
        for i, j in np.ndindex(share.shape)
    ]
    return sum(each, 0.0) / (parts if LOSSES[name].is_mean else 1)


class Cases(Drawn):
    """Each method draws the arguments of a kernel and checks its result."""

    def matmul(self):
        """``A W + bias``, or with W transposed."""
        m, k, n = self.size(), self.size(), self.size()
        A, W = self.array("A", self.numbers(m, k)), self.array("W", self.numbers(k, n))
        bias = self.array("bias", self.numbers(n)) if self.rng.random() < 0.5 else np.zeros(n)
        turned = bool(self.rng.integers(2))
        if turned:
            self.given["W"] = self.given["W"].T
        refused = self.output((m, n), "A", "W")
        found = self.call(kernels.matmul, refused, transpose=turned)
        if found is not None:
            self.close(found, A @ W + bias, np.abs(A) @ np.abs(W) + np.abs(bias))

    def outer(self):
        """``A^T D`` and the column sums of D."""
        m, k, n = self.size(), self.size(), self.size()
        A, D = self.array("A", self.numbers(m, k)), self.array("D", self.numbers(m, n))
        found = self.call(kernels.outer, self.output((k, n), "A", "D"))
        if found is not None:
            self.close(found[0], A.T @ D, np.abs(A).T @ np.abs(D))
            self.close(found[1], D.sum(axis=0), np.abs(D).sum(axis=0))

    def hadamard(self):
        """``D . S``."""
        m, n = self.size(), self.size()
        D, S = self.array("D", self.numbers(m, n)), self.array("S", self.numbers(m, n))
        found = self.call(kernels.hadamard, self.output((m, n), "D", "S", itself=True))
        if found is not None:
            self.close(found, D * S, D * S)

    def activation(self):
        """``sigma(Z)`` or ``sigma'(Z)`` of a random activation."""
        m, n = self.size(), self.size()
        name = self.one_of(sorted(oracle.ACTIVATIONS))
        record = ACTIVATIONS[name]
        Z = np.clip(self.numbers(m, n), -30, 30)
        alpha = record.alpha or 0.0
        more = {"name": name}
        if record.alpha is not None and self.rng.random() < 0.5:
            more["alpha"] = alpha = float(self.rng.integers(0, 9)) / 4
        values, slopes = oracle.ACTIVATIONS[name]
        A = by_rows(lambda z: values(z, alpha), Z)
        if record.of_rows or self.rng.random() < 0.5:
            self.array("Z", Z)
            found = self.call(kernels.activation, self.output((m, n), "Z", itself=True), **more)
            wanted = A
        else:
            self.array("S", (Z if record.keeps == "z" else A).astype(self.dtype))
            refused = self.output((m, n), "S", itself=True)
            found = self.call(kernels.activation_derivative, refused, **more)
            wanted = by_rows(lambda z: slopes(z, alpha) + 0 * z, Z)
        if found is not None:
            self.close(found, wanted, np.abs(wanted) + np.abs(A) + np.abs(Z) + 1)

    def loss(self):
        """The mean loss of a batch and its derivative, from outputs or from logits."""
        m, n = self.size(), self.size()
        name = self.one_of(sorted(oracle.LOSSES))
        record = LOSSES[name]
        Z = np.clip(self.numbers(m, n), -4, 4)  # farther, the oracle's own 1 - a would be rounded
        from_logits = record.from_logits is not None and self.rng.random() < 0.5
        link = {"real": "identity", "positive": "exp", "unit": "logistic", "simplex": "softmax"}
        squash = oracle.ACTIVATIONS[link[record.needs]][0]
        a = self.array("A", by_rows(lambda z: squash(z, 0), Z).astype(self.dtype))
        if from_logits:
            a = by_rows(lambda z: squash(z, 0), self.array("Z", Z))
        y = self.targets(record.targets, m, n)
        more = {"name": name, "parameter": self.loss_parameter(record, n)}
        p = record.parameter or 0.0 if more["parameter"] is None else more["parameter"]
        weight = np.ones(m)
        if self.rng.random() < 0.5:
            drawn = self.rng.random(m) * (self.rng.random(m) < 0.8)
            weight = self.vector("sample_weight", drawn.astype(self.dtype))
        elif n and record.targets != "classes" and self.rng.random() < 0.5:
            drawn = self.rng.random((m, n)) * (self.rng.random((m, n)) < 0.8)
            weight = self.array("sample_weight", drawn.astype(self.dtype))
        total = weight.sum() / (n if weight.ndim == 2 else 1)
        share = weight / total if total > 0 else 0 * weight
        found = self.call(kernels.loss, **more)
        if found is None:
            return
        slope = oracle.LOSSES[name][1]
        terms = (1 + np.abs(a) + np.abs(y)) ** 2 + np.abs(Z) * (1 + np.abs(y))
        most = (share * (terms.sum(axis=1) if share.ndim == 1 else terms)).sum()
        wanted = weighted_loss(name, p, share, a, y)
        assert abs(found[0] - wanted) <= 10 * np.finfo(self.dtype).eps * most
        slopes = a - y if from_logits else by_rows(lambda *row: slope(*row, p), a, y)
        if name == "quantile":  # at a tie any slope between the two will do: 0 is taken
            slopes = np.where(a == y, 0, slopes)
        bound = np.abs(slopes)
        if from_logits:
            bound = np.abs(a) + np.abs(y)
        elif name == "poisson":
            bound = 1 + y / a
        elif name == "binary_cross_entropy":
            bound = (1 - y) / (1 - a) + y / a
        share = share[:, None] if share.ndim == 1 else share
        self.close(found[1], share * slopes, share * bound, 10)

    def targets(self, kind, m, n):
        """Return the targets of a loss in float64."""
        if kind == "classes" and n and self.rng.random() < 0.5:
            labels = self.rng.integers(0, n, m)
            dtype = self.one_of(["i8", "i4", "u1" if n < 256 else "u2", "i2"])
            self.vector("y", labels.astype(dtype))
            return np.eye(n)[labels]
        y = self.numbers(m, n)
        if kind == "nonnegative":
            y = np.abs(y)
        elif kind == "unit":
            y = np.clip(np.abs(y), 0, 1)
        elif kind == "classes":
            y = self.rng.dirichlet(np.ones(n), m).reshape(m, n) if n else y
        return self.array("y", y.astype(self.dtype))

    def loss_parameter(self, record, n):
        """Return a parameter of a loss, perhaps one for each output, or None for the default."""
        if record.parameter is None or self.rng.random() < 0.5:
            return None
        if record.has_levels and n and self.rng.random() < 0.5:
            return self.rng.uniform(0.05, 0.95, n)
        return float(self.rng.uniform(0.05, 0.95))

    def update(self):
        """A step of a random optimizer, in place."""
        n = self.size() * self.size()
        name = self.one_of(sorted(oracle.OPTIMIZERS))
        defaults = OPTIMIZERS[name].defaults
        h = {key: float(value) for key, value in defaults.items()}
        if self.rng.random() < 0.5:
            betas = [key for key in h if key.startswith("beta")]
            h |= {key: float(self.rng.uniform(0, 0.98)) for key in betas}
            h["learning_rate"] = float(10 ** self.rng.uniform(-6, 1))
        for key in ("l1", "l2", "weight_decay"):
            if self.rng.random() < 0.3:
                h[key] = float(10 ** self.rng.uniform(-4, 0))
        clip = float(10 ** self.rng.uniform(-3, 3)) if self.rng.random() < 0.5 else None
        w, g = self.numbers(n), self.numbers(n)
        g = np.abs(g) * np.where(w < 0, -1, 1).astype(self.dtype)  # nothing cancels
        moments = np.stack([self.numbers(n), np.abs(self.numbers(n))])
        moments = np.zeros_like(moments) if self.rng.random() < 0.3 else moments
        step = int(self.one_of((1, 2, 10, 1000, 2**40)))
        self.given["w"], self.given["moments"] = guarded(w), guarded(moments)
        gradient = self.vector("g", g)
        self.written = {"w", "moments"}
        refused = self.spoil_update()
        found = self.call(
            lambda **given: kernels.update(**given) or True,
            refused,
            name=name,
            step=step,
            clip_norm=clip,
            **h,
        )
        if found is None:
            return
        rate, norm = h["learning_rate"], np.sqrt((gradient**2).sum())
        w, moments = w.astype("f8"), moments.astype("f8")
        gradient = gradient * (min(1, clip / norm) if clip and norm > 0 else 1)
        gradient += h.get("l2", 0) * w + h.get("l1", 0) * np.sign(w)
        memory = {"m": moments[0].copy(), "v": moments[1].copy()}
        wanted = oracle.OPTIMIZERS[name](w, gradient, memory, step, rate, h)
        wanted = wanted - rate * h.get("weight_decay", 0) * w
        # all terms with the signs that make them add up
        sign = -1 if name.startswith("velocity") else 1
        sizes = {"m": sign * np.abs(moments[0]), "v": moments[1].copy()}
        bound = oracle.OPTIMIZERS[name](-np.abs(w), np.abs(gradient), sizes, step, rate, h)
        bound = np.abs(bound) + rate * h.get("weight_decay", 0) * np.abs(w)
        self.close(self.given["w"], wanted, bound, 10)
        self.close(self.given["moments"][0], memory["m"], np.abs(sizes["m"]), 10)
        self.close(self.given["moments"][1], memory["v"], sizes["v"], 10)

    def spoil_update(self):
        """Sometimes make arrays overlap, or one read-only; return whether it must be refused."""
        kind = self.rng.integers(10)
        n = self.given["w"].size
        if kind == 0:
            self.given[self.one_of(("w", "moments"))].flags.writeable = False
            return True
        if kind == 1 and n:
            self.given["w"] = self.given["moments"][self.rng.integers(2)]
            return True
        if kind == 2 and n > 1:
            both = np.zeros(n + 1, self.dtype)
            self.given["w"], self.given["g"] = both[1:], both[:-1]
            return True
        if kind == 3 and n:
            self.given["g"] = self.given["moments"][self.rng.integers(2)]
            return True
        return False

    def dropout(self):
        """``A . M / (1 - rate)``, with the mask of the hashes."""
        m, n = self.size(), self.size()
        A = self.array("A", self.numbers(m, n))
        rate = float(self.one_of((0.0, 0.1, 0.5, 0.9, 1e-7, self.rng.random())))
        key = {"seed": int(self.rng.integers(2**63)), "place": int(self.rng.integers(2**62))}
        found = self.call(kernels.dropout, rate=rate, **key)
        if found is not None:
            kept = [oracle.kept(rate, *key.values(), row, n) for row in range(m)]
            dropped = min(round(rate * 2**16), 2**16 - 1) / 2**16
            wanted = np.where(np.array(kept, bool).reshape(m, n), A / (1 - dropped), 0)
            self.close(found, wanted, np.abs(wanted), 2)

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
        """``F W + b`` and ``F^T D`` of numbers with ramps."""
        m, columns, n = self.size(), int(self.rng.integers(1, 6)), self.size()
        counts = self.rng.integers(1, 9, columns)
        starts = np.concatenate([[0], np.cumsum(counts)])
        X = np.where(counts > 1, self.rng.random((m, columns)) * counts, self.numbers(m, columns))
        X = X.astype(self.dtype)
        height = float(self.one_of((1.0, 0.5, 3.0)))
        parts = [
            height * np.clip(X[:, [c]].astype("f8") - np.arange(b), 0, 1) if b > 1 else X[:, [c]]
            for c, b in enumerate(counts)
        ]
        F = np.concatenate(parts, axis=1).astype("f8")
        self.array("X", X)
        self.given["starts"] = starts.astype(self.one_of(("i8", "i4", "u2")))
        if self.rng.integers(2):
            W = self.array("W", self.numbers(int(starts[-1]), n))
            bias = self.vector("bias", self.numbers(n)) if self.rng.integers(2) else np.zeros(n)
            found, wanted = self.call(kernels.ramp_matmul, height=height), F @ W + bias
            bound = len(W) * np.abs(F) @ np.abs(W) + height * np.abs(W).sum(axis=0) + np.abs(bias)
        else:
            D = self.array("D", self.numbers(m, n))
            found, wanted = self.call(kernels.ramp_outer, height=height), F.T @ D
            bound = np.abs(F).T @ np.abs(D) + height * np.abs(D).sum(axis=0)
        if found is not None:
            self.close(found, wanted, bound)

    def randoms(self):
        """Streams and orders: of the length asked for, and in range."""
        n, seed = self.size(), int(self.rng.integers(2**62))
        self.given = {"n": n, "seed": seed, "place": int(self.rng.integers(2**62))}
        kernel = self.one_of((kernels.random_uniform, kernels.random_normal))
        found = self.call(kernel, purpose=int(self.rng.integers(9)))
        if found is not None:
            assert found.shape == (n,) and np.isfinite(found).all()
            assert kernel is kernels.random_normal or ((found >= 0) & (found < 1)).all()
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
        state, out = net.row_state(), guarded(np.empty(sizes[-1], self.dtype))
        kernels.forward_row(state, guarded(np.ascontiguousarray(X[0])), out)
        self.close(out, a[0], bound[0])
        whole, half = guarded(np.ascontiguousarray(X)), max(1, rows // 2)
        outputs = guarded(np.empty((rows, sizes[-1]), self.dtype))
        kernels.forward_batch(net.train_state(half), whole, outputs)
        self.close(outputs, a, bound)
        if self.rng.random() < 0.2:
            y = guarded(np.zeros((rows, sizes[-1]), self.dtype))
            twin = copy.deepcopy(net)
            kernels.train_step(net.train_state(rows), whole, y)
            kernels.train_steps(net.train_state(half), whole, y, guarded(np.arange(rows)))
            for batch in (rows, half):
                twin.fit(X, y, epochs=1, batch_size=batch, shuffle=False, n_threads=1)
            assert net.parameters.tobytes() == twin.parameters.tobytes()
            net = Network(sizes, "relu", dtype=self.dtype.name, seed=0)
            net.fit(X, y, epochs=1, batch_size=max(1, rows // 2), n_threads=1)
            assert net.steps == -(-rows // max(1, rows // 2))
            assert not np.isnan(net.parameters).any()


HELPERS = {"targets", "loss_parameter", "spoil_update"}
KINDS = [kind for kind in vars(Cases) if not kind.startswith("_") and kind not in HELPERS]


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
