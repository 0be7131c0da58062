"""The textbook in plain NumPy float64: what every kernel and table entry is held against.

Written from the mathematics, one sample at a time where the textbook does so.
Nothing here imports fastbp.
"""

import math
from dataclasses import dataclass, field

import numpy as np

erf = np.vectorize(math.erf, otypes=[float])


def logistic(z):
    # the exponential of a number that is never positive: no overflow on either side
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def softplus(z):
    return np.logaddexp(0, z)


def sech_squared(x):
    e = np.exp(-2 * np.abs(x))
    return 4 * e / (1 + e) ** 2


def normal_distribution(z):
    return (1 + erf(z / math.sqrt(2))) / 2


def elu(z, p):
    return np.where(z > 0, z, p * np.expm1(np.minimum(z, 0)))


def elu_slope(z, p):
    return np.where(z > 0, 1, p * np.exp(np.minimum(z, 0)))


# Klambauer et al., Self-normalizing neural networks, 2017, eq. 14: the fixed point (0, 1)
_C, _E = math.erfc(1 / math.sqrt(2)), math.sqrt(math.e)
SELU_ALPHA = -math.sqrt(2 / math.pi) / (_C * _E - 1)
_UNDER = 2 * math.erfc(math.sqrt(2)) * _E**4 + math.pi * _C**2 * _E**2
_UNDER += math.pi + 2 - 2 * (2 + math.pi) * _C * _E
SELU_SCALE = (1 - _C * _E) * math.sqrt(2 * math.pi / _UNDER)


def gelu_tanh(z, p):
    return z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def gelu_tanh_slope(z, p):
    u = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
    return (1 + np.tanh(u)) / 2 + z / 2 * sech_squared(u) * du


def mish_slope(z, p):
    return np.tanh(softplus(z)) + z * sech_squared(softplus(z)) * logistic(z)


def softmax(z, p=0):
    e = np.exp(z - z.max())
    return e / e.sum()


def softmax_jacobian(z, p):
    a = softmax(z)
    return np.diag(a) - np.outer(a, a)


def ascending(z, p):
    m = len(z) // 2
    above = [z[m] + softplus(z[m + 1 : j + 1]).sum() for j in range(m, len(z))]
    return np.array([z[m] - softplus(z[j:m]).sum() for j in range(m)] + above)


def ascending_jacobian(z, p):
    m, J = len(z) // 2, np.zeros((len(z), len(z)))  # da_j/dz_k
    for k, slope in enumerate(logistic(z)):
        J[k:, k] = slope
        if k <= m:
            J[:, k] = 1 if k == m else [-slope] * (k + 1) + [0] * (len(z) - k - 1)
    return J


# name: (sigma(z, alpha), sigma'(z, alpha)); those of rows: of one sample, with its Jacobian
ACTIVATIONS = {
    "identity": (lambda z, p: z, lambda z, p: np.ones_like(z)),
    "logistic": (lambda z, p: logistic(z), lambda z, p: logistic(z) * logistic(-z)),
    "tanh": (lambda z, p: np.tanh(z), lambda z, p: sech_squared(z)),
    "relu": (lambda z, p: np.maximum(z, 0), lambda z, p: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z, p: np.where(z > 0, z, p * z), lambda z, p: np.where(z > 0, 1, p)),
    "elu": (elu, elu_slope),
    "selu": (
        lambda z, p: SELU_SCALE * elu(z, SELU_ALPHA),
        lambda z, p: SELU_SCALE * elu_slope(z, SELU_ALPHA),
    ),
    "gelu": (
        lambda z, p: z * normal_distribution(z),
        lambda z, p: normal_distribution(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    ),
    "gelu_tanh": (gelu_tanh, gelu_tanh_slope),
    "silu": (
        lambda z, p: z * logistic(z),
        lambda z, p: logistic(z) + z * logistic(z) * logistic(-z),
    ),
    "softplus": (lambda z, p: softplus(z), lambda z, p: logistic(z)),
    "mish": (lambda z, p: z * np.tanh(softplus(z)), mish_slope),
    "hard_sigmoid": (
        lambda z, p: np.clip(z / 6 + 0.5, 0, 1),
        lambda z, p: np.where(np.abs(z) < 3, 1 / 6, 0),
    ),
    "hard_tanh": (lambda z, p: np.clip(z, -1, 1), lambda z, p: np.where(np.abs(z) < 1, 1.0, 0.0)),
    "hard_swish": (
        lambda z, p: z * np.clip(z / 6 + 0.5, 0, 1),
        lambda z, p: np.where(z < -3, 0, np.where(z > 3, 1, z / 3 + 0.5)),
    ),
    "exp": (lambda z, p: np.exp(z), lambda z, p: np.exp(z)),
    "softmax": (softmax, softmax_jacobian),
    "ascending": (ascending, ascending_jacobian),
}


# name: (L(a, y, parameter) of one sample, dL/da)
LOSSES = {
    "squared_error": (lambda a, y, p: ((a - y) ** 2).sum() / 2, lambda a, y, p: a - y),
    "absolute_error": (lambda a, y, p: np.abs(a - y).sum(), lambda a, y, p: np.sign(a - y)),
    "huber": (
        lambda a, y, p: np.where(
            np.abs(a - y) <= p, (a - y) ** 2 / 2, p * (np.abs(a - y) - p / 2)
        ).sum(),
        lambda a, y, p: np.clip(a - y, -p, p),
    ),
    "poisson": (
        lambda a, y, p: (a - y + y * np.log(np.maximum(y, 1e-300) / a)).sum(),
        lambda a, y, p: 1 - y / a,
    ),
    "quantile": (
        lambda a, y, p: np.maximum(p * (y - a), (p - 1) * (y - a)).sum(),
        lambda a, y, p: np.where(y > a, -p, 1 - p),
    ),
    "binary_cross_entropy": (
        lambda a, y, p: -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(),
        lambda a, y, p: (1 - y) / (1 - a) - y / a,
    ),
    "cross_entropy": (lambda a, y, p: -(y * np.log(a)).sum(), lambda a, y, p: -y / a),
    "mean_squared_error": (
        lambda a, y, p: ((a - y) ** 2).mean(),
        lambda a, y, p: 2 * (a - y) / a.size,
    ),
    "mean_absolute_error": (
        lambda a, y, p: np.abs(a - y).mean(),
        lambda a, y, p: np.sign(a - y) / a.size,
    ),
}


@dataclass
class MLP:
    """A network as the textbook has it, with the weights in fastbp's storage (n_in, n_out)."""

    weights: list
    biases: list
    activations: list
    alphas: list
    loss: str
    parameter: float

    @classmethod
    def of(cls, network, activations, loss, parameter=0.0, alphas=None):
        """Copy the weights of a fastbp network; a bias it has not stays an array of no element."""
        weights = [w.astype(float) for w in network.weights]
        biases = [b.astype(float) for b in network.biases]
        return cls(weights, biases, activations, alphas or [0] * len(weights), loss, parameter)

    def flat(self, of_weights, of_biases):
        """Lay out W(1), b(1), W(2), ... or their gradients in one array."""
        pairs = zip(of_weights, of_biases, strict=True)
        return np.concatenate([np.ravel(part) for pair in pairs for part in pair])

    def forward(self, x, masks=None):
        """Return z(l) of all layers, and a(l) from the input on, of one sample."""
        zs, outputs, a = [], [], x
        for n, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            outputs.append(a if masks is None else a * masks[n])
            zs.append(w.T @ outputs[-1] + (b if b.size else 0))
            a = ACTIVATIONS[self.activations[n]][0](zs[-1], self.alphas[n])
        return zs, [*outputs, a]

    def backward(self, x, y, masks=None):
        """Return the loss of one sample and [dL/dW(l)], [dL/db(l)]."""
        zs, outputs = self.forward(x, masks)
        value, slope = LOSSES[self.loss]
        upstream = slope(outputs[-1], y, self.parameter)  # dL/da(L)
        dw, db = [], []
        for n in reversed(range(len(zs))):
            derivative = ACTIVATIONS[self.activations[n]][1](zs[n], self.alphas[n])
            jacobian = derivative if derivative.ndim == 2 else np.diag(derivative)
            delta = jacobian.T @ upstream
            dw.insert(0, np.outer(outputs[n], delta))
            db.insert(0, delta if self.biases[n].size else self.biases[n])
            upstream = self.weights[n] @ delta
            if masks is not None:
                upstream = upstream * masks[n]
        return value(outputs[-1], y, self.parameter), dw, db

    def gradient(self, X, Y, weight=None, masks=None):
        """Return the weighted mean loss of a batch and its gradient; masks[l] is (batch, n)."""
        X, Y = np.asarray(X, float), np.asarray(Y, float)
        weight = np.ones(len(X)) if weight is None else np.asarray(weight, float)
        loss, dw, db = 0.0, [0 * w for w in self.weights], [0 * b for b in self.biases]
        for i, (x, y, share) in enumerate(zip(X, Y, weight / weight.sum(), strict=True)):
            mine = None if masks is None else [m[i] for m in masks]
            value, sample_dw, sample_db = self.backward(x, y, mine)
            loss += share * value
            for n in range(len(dw)):
                dw[n] += share * sample_dw[n]
                db[n] += share * sample_db[n]
        return loss, dw, db


def sgd(w, g, memory, t, rate, h):
    return w - rate * g


def momentum(w, g, memory, t, rate, h):
    memory["m"] = h["beta1"] * memory.get("m", 0) + g
    return w - rate * memory["m"]


def nesterov(w, g, memory, t, rate, h):
    memory["m"] = h["beta1"] * memory.get("m", 0) + g
    return w - rate * (g + h["beta1"] * memory["m"])


def adam(w, g, memory, t, rate, h):
    memory["m"] = h["beta1"] * memory.get("m", 0) + (1 - h["beta1"]) * g
    memory["v"] = h["beta2"] * memory.get("v", 0) + (1 - h["beta2"]) * g**2
    m_hat = memory["m"] / (1 - h["beta1"] ** t)
    v_hat = memory["v"] / (1 - h["beta2"] ** t)
    return w - rate * m_hat / (np.sqrt(v_hat) + h["epsilon"])


def rmsprop(w, g, memory, t, rate, h):
    memory["v"] = h["beta2"] * memory.get("v", 0) + (1 - h["beta2"]) * g**2
    return w - rate * g / (np.sqrt(memory["v"]) + h["epsilon"])


def adagrad(w, g, memory, t, rate, h):
    memory["v"] = memory.get("v", 0) + g**2
    return w - rate * g / (np.sqrt(memory["v"]) + h["epsilon"])


def velocity(w, g, memory, t, rate, h):
    memory["m"] = h["beta1"] * memory.get("m", 0) - rate * g
    return w + memory["m"]


def velocity_nesterov(w, g, memory, t, rate, h):
    velocity(w, g, memory, t, rate, h)
    return w + h["beta1"] * memory["m"] - rate * g


def adam_hat(w, g, memory, t, rate, h):
    # the step of section 2 of the paper, which leaves epsilon as it is
    step = rate * math.sqrt(1 - h["beta2"] ** t) / (1 - h["beta1"] ** t)
    memory["m"] = h["beta1"] * memory.get("m", 0) + (1 - h["beta1"]) * g
    memory["v"] = h["beta2"] * memory.get("v", 0) + (1 - h["beta2"]) * g**2
    return w - step * memory["m"] / (np.sqrt(memory["v"]) + h["epsilon"])


# name: update(w, g, memory, t, rate, hyper_parameters) -> w, with t = 1 at the first step;
# adamw is adam, its decay is in Stepper
_FORMULAS = [sgd, momentum, nesterov, adam, rmsprop, adagrad, velocity, velocity_nesterov, adam_hat]
OPTIMIZERS = {f.__name__: f for f in _FORMULAS}
OPTIMIZERS["adamw"] = adam


@dataclass
class Stepper:
    """Steps of one optimizer on the parameters of an MLP."""

    name: str
    hyper_parameters: dict
    clip_norm: float | None = None
    t: int = 0
    memories: dict = field(default_factory=dict)

    def step(self, mlp, dw, db, rate):
        h, self.t = self.hyper_parameters, self.t + 1
        clip, update = 1.0, OPTIMIZERS[self.name]
        norm = math.sqrt(sum((g**2).sum() for g in [*dw, *db]))
        if self.clip_norm is not None and norm > self.clip_norm:
            clip = self.clip_norm / norm
        for n, (w, b) in enumerate(zip(mlp.weights, mlp.biases, strict=True)):
            for_w, for_b = self.memories.setdefault(n, ({}, {}))
            g = clip * dw[n] + h.get("l2", 0) * w + h.get("l1", 0) * np.sign(w)
            decay = rate * h.get("weight_decay", 0) * w
            mlp.weights[n] = update(w, g, for_w, self.t, rate, h) - decay
            mlp.biases[n] = update(b, clip * db[n], for_b, self.t, rate, h)


def cosine_between(start, end, done):
    """From start at done = 0 to end at done = 1 along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def one_cycle(t, epochs, warm, start, end):
    peak = warm * epochs
    if t < peak:
        return cosine_between(start, 1, t / peak)
    return cosine_between(1, end, min((t - peak) / (epochs - peak), 1))


# name: factor(t, **parameters) of one time t in epochs; `after` is a function of t
SCHEDULES = {
    "constant": lambda t: 1.0,
    "step": lambda t, every, factor: factor ** math.floor(t / every),
    "exponential": lambda t, factor: factor**t,
    "cosine": lambda t, epochs, end: cosine_between(1, end, min(t / epochs, 1)),
    "one_cycle": one_cycle,
    "warm_up": lambda t, epochs, after: t / epochs if t < epochs else after(t - epochs),
}

# name: (variance(fan_in, fan_out), fourth moment / variance^2), the latter None if not random
INITIALIZERS = {
    "glorot_uniform": (lambda n, m: 2 / (n + m), 9 / 5),
    "glorot_normal": (lambda n, m: 2 / (n + m), 3),
    "he_uniform": (lambda n, m: 2 / n, 9 / 5),
    "he_normal": (lambda n, m: 2 / n, 3),
    "lecun_uniform": (lambda n, m: 1 / n, 9 / 5),
    "lecun_normal": (lambda n, m: 1 / n, 3),
    # min(n, m) orthonormal vectors: as many squares of sum 1 over n m entries
    "orthogonal": (lambda n, m: 1 / max(n, m), None),
    "zeros": (lambda n, m: 0, None),
}


def dropout_hashes(seed, place, row, count):
    """Return numbers 0 to count - 1 of the stream of a row's mask, in Python's whole numbers."""

    def mix(x):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    def bits(key, index):
        return mix((key + (index + 1) * 0x9E3779B97F4A7C15) % 2**64)

    def stream(key, index):
        return mix(bits(key, index) ^ 0x9E3779B97F4A7C15)

    key = stream(stream(stream(seed, 3), place), row)  # 3: dropout
    return [bits(key, index) for index in range(count)]


def kept(rate, seed, place, row, columns):
    """Return which elements of a row dropout keeps: 16 bits of a hash decide on each."""
    drawn = dropout_hashes(seed, place, row, -(-columns // 4))
    parts = [number >> 16 * part & 0xFFFF for number in drawn for part in range(4)]
    dropped = min(round(rate * 2**16), 2**16 - 1)
    return [part >= dropped for part in parts[:columns]]
