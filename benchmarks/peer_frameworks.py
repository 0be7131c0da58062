"""The peers: fastbp, PyTorch, JAX and scikit-learn train the same net, each with its best settings.

A step gathers shuffled rows and runs forward, loss, backward and Adam. All peers have the same
data, batches, learning rate and ReLU, and all train the last, smaller batch of an epoch too.
`peers.py` runs this file once for each peer and number of threads and talks to it in lines of
JSON. So no framework sees the threads, environment or crash of another.
"""

import importlib
import math
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks.process import serve
from benchmarks.workloads import Workload, make_data

LEARNING_RATE = 1e-3
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8
# PyTorch gathers batches of this size together: fewer calls, and the result still fits the cache
GATHER_BYTES = 2**19
# on a busy machine a single measurement may be low
PEAK_ROUNDS = 3
CPU_INFO = Path("/proc/cpuinfo")


def batches_of(workload):
    """Return the number of steps in one epoch."""
    return -(-workload.rows // workload.batch)


def draw_weights(workload, dtype):
    """Return ``[(W, b), ...]``: He-normal W (n_in, n_out), and zeros."""
    rng = np.random.default_rng(1)
    return [
        ((rng.standard_normal((n, m)) * math.sqrt(2 / n)).astype(dtype), np.zeros(m, dtype))
        for n, m in zip(workload.sizes, workload.sizes[1:], strict=False)
    ]


class Peer:
    """One framework with one workload.

    Parameters
    ----------
    workload : Workload
        Net, loss and batch size.
    X, y : numpy.ndarray
        Data from `make_data`.
    threads : int
        Threads that may compute.

    `title` is the name in tables, `module` the module to import. `start` makes a net with untrained
    weights. ``train(epochs)`` returns the mean loss of each epoch, up to a constant factor that
    depends on the framework. `steps` is the framework's count of updates since `start`.
    """

    @staticmethod
    def environment(threads):
        """Return the environment variables to set besides those of OpenMP and BLAS."""
        return {}


class FastBP(Peer):
    """`Network.fit` as a user calls it; the time includes checks and history."""

    title = module = "fastbp"

    def __init__(self, workload, X, y, threads):
        self.workload, self.X, self.y = workload, X, y
        # "auto" chooses among the threads that the environment allows
        self.n_threads = 1 if threads == 1 else "auto"

    def start(self):
        from fastbp import Adam, Network

        sizes, dtype = list(self.workload.sizes), self.X.dtype.name
        adam = Adam(LEARNING_RATE)
        loss = self.workload.loss
        self.network = Network(sizes, loss=loss, optimizer=adam, dtype=dtype, seed=0)

    def train(self, epochs):
        batch = self.workload.batch
        fit = self.network.fit(self.X, self.y, epochs, batch, n_threads=self.n_threads)
        return fit["loss"]

    @property
    def steps(self):
        return self.network.steps


class Torch(Peer):
    """PyTorch eager: functions on bare tensors, no modules, no DataLoader, fused Adam."""

    title, module = "PyTorch", "torch"

    def __init__(self, workload, X, y, threads):
        import torch

        self.torch, self.workload = torch, workload
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        batch_bytes = workload.batch * X.shape[1] * X.itemsize
        self.rows_per_gather = workload.batch * max(1, GATHER_BYTES // batch_bytes)
        sizes = [len(part) for part in self.X.split(workload.batch)]
        self.shares = torch.tensor(sizes, dtype=self.X.dtype) / len(X)

    def start(self):
        # F.linear wants W as (n_out, n_in)
        weights = sum(draw_weights(self.workload, self.X.numpy().dtype), ())
        self.params = [self.torch.from_numpy(w.T.copy()).requires_grad_() for w in weights]
        try:
            self.adam = self.torch.optim.Adam(self.params, LEARNING_RATE, fused=True)
        except RuntimeError:  # a version or a processor without it
            self.adam = self.torch.optim.Adam(self.params, LEARNING_RATE, foreach=True)

    def loss(self, params, x, y):
        """Return the mean loss of one batch."""
        functional = self.torch.nn.functional
        for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            x = functional.relu(functional.linear(x, W, b))
        x = functional.linear(x, *params[-2:])
        if self.workload.loss == "cross_entropy":
            return functional.cross_entropy(x, y)
        return functional.mse_loss(x, y)

    def step(self, x, y):
        """Train one batch; return its mean loss."""
        loss = self.loss(self.params, x, y)
        loss.backward()
        self.adam.step()
        self.adam.zero_grad()
        return loss.detach()

    def _epoch(self):
        batch, losses = self.workload.batch, []
        for rows in self.torch.randperm(len(self.X)).split(self.rows_per_gather):
            X, y = self.X.index_select(0, rows), self.y.index_select(0, rows)
            losses += map(self.step, X.split(batch), y.split(batch))
        return self.torch.stack(losses) @ self.shares

    def train(self, epochs):
        return self.torch.stack([self._epoch() for _ in range(epochs)]).tolist()

    @property
    def steps(self):
        return int(self.adam.state[self.params[0]]["step"])


class TorchCompiled(Torch):
    """PyTorch with forward, loss, backward and Adam as one graph of `torch.compile`.

    Adam is written out: if only the loss is compiled, narrow nets are slower than in eager mode.
    """

    title = "torch.compile"

    def __init__(self, workload, X, y, threads):
        super().__init__(workload, X, y, threads)
        # the graphs of other workloads count towards the limit of recompilations
        self.torch._dynamo.reset()
        self.gradient = self.torch.func.grad_and_value(self.loss)
        # fullgraph: raise an error instead of falling back to eager mode
        self.compiled = self.torch.compile(self._update, dynamic=False, fullgraph=True)

    def start(self):
        super().start()
        self.params = [p.detach() for p in self.params]
        self.m, self.v = ([self.torch.zeros_like(p) for p in self.params] for _ in range(2))
        # not a scalar: the graph would not write a float64 one back
        self.t = self.torch.zeros(1, dtype=self.X.dtype)

    def _update(self, params, m, v, t, x, y):
        grads, loss = self.gradient(params, x, y)
        t.add_(1)
        rate = LEARNING_RATE * self.torch.sqrt(1 - BETA2**t) / (1 - BETA1**t)
        for p, g, first, second in zip(params, grads, m, v, strict=True):
            first.lerp_(g, 1 - BETA1)
            second.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            p.sub_(rate * first / (second.sqrt() + EPSILON))
        return loss

    def step(self, x, y):
        return self.compiled(self.params, self.m, self.v, self.t, x, y)

    def train(self, epochs):
        with self.torch.no_grad():
            return super().train(epochs)

    @property
    def steps(self):
        return int(self.t)


class Jax(Peer):
    """JAX with a whole epoch in one jit: a scan over batches of a shuffled index."""

    title, module = "JAX", "jax"

    @staticmethod
    def environment(threads):
        flags = os.environ.get("XLA_FLAGS", "")
        one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        return {"XLA_FLAGS": f"{flags} {one}".strip()} if threads == 1 else {}

    def __init__(self, workload, X, y, threads):
        import jax

        jax.config.update("jax_enable_x64", X.dtype == np.float64)
        self.jax, self.workload, self.rng = jax, workload, np.random.default_rng(0)
        if workload.loss == "cross_entropy":
            y = np.eye(workload.sizes[-1], dtype=X.dtype)[y]
        self.X, self.y = jax.device_put((X, y))
        self.epoch = jax.jit(self._epoch, donate_argnums=0)

    def start(self):
        params = self.jax.device_put(draw_weights(self.workload, self.X.dtype))
        m, v = (self.jax.tree.map(self.jax.numpy.zeros_like, params) for _ in range(2))
        self.state = params, m, v, self.jax.numpy.zeros((), "int32")

    def loss(self, params, x, y):
        """Return the mean loss of one batch."""
        for W, b in params[:-1]:
            x = self.jax.nn.relu(x @ W + b)
        W, b = params[-1]
        x = x @ W + b
        if self.workload.loss == "cross_entropy":
            return -(self.jax.nn.log_softmax(x) * y).sum(axis=1).mean()
        return ((x - y) ** 2).mean()

    def _step(self, state, rows):
        params, m, v, t = state
        # the indices are in bounds: nothing to clip or to fill
        x, y = (data.at[rows].get(mode="promise_in_bounds") for data in (self.X, self.y))
        loss, grads = self.jax.value_and_grad(self.loss)(params, x, y)
        t, tree_map = t + 1, self.jax.tree.map
        power = t.astype(x.dtype)
        rate = LEARNING_RATE * self.jax.numpy.sqrt(1 - BETA2**power) / (1 - BETA1**power)
        m = tree_map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
        v = tree_map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
        root = self.jax.numpy.sqrt
        params = tree_map(lambda p, m, v: p - rate * m / (root(v) + EPSILON), params, m, v)
        return (params, m, v, t), loss * len(rows)

    def _epoch(self, state, order):
        batch = self.workload.batch
        whole = len(order) // batch * batch
        state, losses = self.jax.lax.scan(self._step, state, order[:whole].reshape(-1, batch))
        total = losses.sum()
        if whole < len(order):
            state, loss = self._step(state, order[whole:])
            total += loss
        return state, total / len(order)

    def train(self, epochs):
        losses = []
        for _ in range(epochs):
            # NumPy shuffles faster than XLA sorts
            order = self.rng.permutation(self.workload.rows).astype("int32")
            self.state, loss = self.epoch(self.state, order)
            losses.append(loss)
        self.jax.block_until_ready(self.state)
        return [float(loss) for loss in losses]

    @property
    def steps(self):
        return int(self.state[3])


class ScikitLearn(Peer):
    """scikit-learn's MLP, all epochs in one call of `fit`, on AVX-512 kernels of OpenBLAS."""

    title, module = "scikit-learn", "sklearn"

    @staticmethod
    def environment(threads):
        has_avx512 = CPU_INFO.is_file() and "avx512f" in CPU_INFO.read_text()
        # on AMD some versions choose AVX2; the user's own setting wins
        is_set = "OPENBLAS_CORETYPE" in os.environ
        return {"OPENBLAS_CORETYPE": "SkylakeX"} if has_avx512 and not is_set else {}

    def __init__(self, workload, X, y, threads):
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        warnings.simplefilter("ignore")  # that it did not converge
        classifies = workload.loss == "cross_entropy"
        self.X, self.y = X, y.ravel() if y.size == len(y) else y
        self.weights = draw_weights(workload, X.dtype)
        self.classes = {"classes": np.arange(workload.sizes[-1])} if classifies else {}
        # fit makes a smaller net if a class has no sample; one partial_fit per epoch is slower
        self.fits = not classifies or len(np.unique(y)) == workload.sizes[-1]
        self.mlp = (MLPClassifier if classifies else MLPRegressor)(
            hidden_layer_sizes=workload.sizes[1:-1],
            batch_size=workload.batch,
            learning_rate_init=LEARNING_RATE,
            alpha=0.0,
            tol=0.0,
            n_iter_no_change=np.inf,
            max_iter=1,
            warm_start=self.fits,
            random_state=0,
        )
        self._run(1)

    def _run(self, epochs):
        if self.fits:
            self.mlp.set_params(max_iter=epochs).fit(self.X, self.y)
            return
        for _ in range(epochs):
            self.mlp.partial_fit(self.X, self.y, **self.classes)

    def start(self):
        for n, (W, b) in enumerate(self.weights):
            self.mlp.coefs_[n][:], self.mlp.intercepts_[n][:] = W, b
        # the next call makes a new optimizer, as for a new net
        del self.mlp._optimizer

    def train(self, epochs):
        self._run(epochs)
        return self.mlp.loss_curve_[-epochs:]

    @property
    def steps(self):
        return self.mlp._optimizer.t


PEERS = {
    "fastbp": FastBP,
    "torch": Torch,
    "torch.compile": TorchCompiled,
    "jax": Jax,
    "sklearn": ScikitLearn,
}


class Server:
    """Answers requests in a process of its own: each method is a request."""

    def __init__(self, kind, threads):
        self.kind, self.threads = kind, threads

    def load(self, workload, dtype):
        """Make the data and the net, and train two epochs, which compiles everything."""
        version = importlib.import_module(self.kind.module).__version__
        workload = Workload(**workload)
        data = make_data(workload, dtype=dtype)
        self.peer = None  # frees the memory of the previous one
        self.peer = self.kind(workload, *data, self.threads)
        self.train(epochs=2)
        return {"version": version}

    def train(self, epochs):
        """Train a fresh net; return its seconds, losses and steps."""
        self.peer.start()
        begin = time.perf_counter()
        losses = self.peer.train(epochs)
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "losses": losses, "steps": self.peer.steps}

    def peak(self, dtype):
        """Return the peak rate of fused multiply-add in FLOP/s."""
        from fastbp import measure_peak

        return {"peak": max(measure_peak(dtype, self.threads) for _ in range(PEAK_ROUNDS))}

    def answer(self, request, arguments):
        """Return the answer to a request, or ``{"error": one line}`` if a module is missing.

        Any other error ends this process; the last line on standard error says why.
        """
        try:
            return getattr(self, request)(**arguments)
        except ModuleNotFoundError as error:
            missing = error.name == self.kind.module
            return {"error": "not installed" if missing else f"{error}"}


def main(name, threads):
    """Answer requests from standard input."""
    # `-m` put the checkout on the path, where fastbp/ lies without its kernels
    del sys.path[0]
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        # helper threads of XLA use a second processor in spite of its flags
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    serve(Server(PEERS[name], threads).answer)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
