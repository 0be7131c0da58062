"""Networks and data on which activations and losses are smooth, for central differences."""

import numpy as np

import oracle
from fastbp import ACTIVATIONS, LOSSES, Dense, Network

# near the cube root of the rounding error, where a central difference is most precise
STEP = 2.0**-17
# no pre-activation and no error of the output may lie nearer to a kink than this
MARGIN = 1e-3
# none is a default, so that a parameter that gets lost is seen
ALPHA = {name: 0.3 for name, record in ACTIVATIONS.items() if record.alpha is not None}
PARAMETER = {name: 0.2 for name, record in LOSSES.items() if record.parameter is not None}
# where sigma' or sigma'' jumps, and how far an output is from a jump of L' or L''
KINKS = {
    **dict.fromkeys(["relu", "leaky_relu", "elu", "selu"], (0,)),
    **dict.fromkeys(["hard_sigmoid", "hard_swish"], (-3, 3)),
    "hard_tanh": (-1, 1),
}
LOSS_KINKS = {
    "absolute_error": lambda a, y, p: np.abs(a - y),
    "huber": lambda a, y, p: np.abs(np.abs(a - y) - p),
    "quantile": lambda a, y, p: np.abs(a - y),
}
WITHIN = {
    "real": ("real", "positive", "unit", "simplex"),
    "positive": ("positive", "unit", "simplex"),
    "unit": ("unit", "simplex"),
    "simplex": ("simplex",),
}
HIDDEN = [name for name, record in ACTIVATIONS.items() if not record.of_rows]
PAIRS = [(h, None, loss) for h in HIDDEN for loss in LOSSES] + [
    ("tanh", output, loss)
    for output in ACTIVATIONS
    for loss in LOSSES
    if ACTIVATIONS[output].outputs in WITHIN[LOSSES[loss].needs]
]
# several depths, a single output, with and without biases; rows and widths leave tails
SHAPES = {
    "one layer": ([5, 3], [None], True),
    "one unit": ([3, 1, 1], ["tanh", None], True),
    "one output": ([4, 18, 1], ["gelu", None], True),
    "no biases": ([4, 6, 3], ["relu", "tanh"], False),
    "deep": ([3, 9, 17, 5, 2], ["silu", "elu", "tanh", "logistic"], True),
    "wide": ([33, 40, 19], ["softplus", None], True),
}


def targets(loss, rng, rows, columns):
    kind = LOSSES[loss].targets
    if kind == "nonnegative":
        return rng.poisson(1.0, (rows, columns)).astype(float)
    if kind == "unit":
        return rng.random((rows, columns))
    if kind == "classes":
        return rng.dirichlet(np.ones(columns), rows)
    return rng.normal(size=(rows, columns))


def is_smooth_here(mlp, X, Y):
    """Whether no kink is near, and the loss is finite: 0 < a < 1 where its formula needs it."""
    far, finite = [MARGIN], True
    for x, y in zip(X, Y, strict=True):
        zs, outputs = mlp.forward(x)
        for name, z in zip(mlp.activations, zs, strict=True):
            far += [np.abs(z - kink).min() for kink in KINKS.get(name, ())]
        if mlp.loss in LOSS_KINKS:
            far.append(LOSS_KINKS[mlp.loss](outputs[-1], y, mlp.parameter).min())
        with np.errstate(divide="ignore", invalid="ignore"):
            finite &= bool(np.isfinite(oracle.LOSSES[mlp.loss][0](outputs[-1], y, mlp.parameter)))
    return finite and min(far) >= MARGIN


def build(sizes, names, loss, dtype="float64", bias=True, rows=7):
    """Return a network, its textbook twin, and data on which both are smooth."""
    alphas = [ALPHA.get(name) for name in names]
    layers = [
        Dense(n, name, alpha=alpha, bias=bias)
        for n, name, alpha in zip(sizes[1:], names, alphas, strict=True)
    ]
    network = Network(
        inputs=sizes[0], layers=layers, loss=loss, loss_parameter=PARAMETER.get(loss), dtype=dtype
    )
    names = [name or LOSSES[loss].partner for name in names]
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        for w, b in zip(network.weights, network.biases, strict=True):
            w[:] = rng.normal(size=w.shape) / np.sqrt(len(w))
            b[:] = 0.3 * rng.normal(size=b.shape)
        X = rng.normal(size=(rows, sizes[0])).astype(dtype)
        Y = targets(loss, rng, rows, sizes[-1]).astype(dtype)
        twin = oracle.MLP.of(network, names, loss, PARAMETER.get(loss, 0), [a or 0 for a in alphas])
        if is_smooth_here(twin, X.astype(float), Y.astype(float)):
            return network, twin, X, Y, rng
    raise AssertionError("no data without a kink nearby")


def assert_near(gradient, reference, tolerance):
    assert np.linalg.norm(reference) > 1e-3  # or the comparison says nothing
    error = np.linalg.norm(gradient - reference)
    assert error <= tolerance * (np.linalg.norm(gradient) + np.linalg.norm(reference))


def assert_near_differences(gradient, slopes):
    assert_near(gradient, slopes, 1e-6)
    # each element: STEP^2 times a third derivative, and a rounding of the loss over STEP
    scale = max(1.0, np.abs(slopes).max())
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8 * scale)


def logits(network, X):
    """The logits, as the outputs of the same net with an identity behind it."""
    layers = [
        Dense(layer.n_out, layer.activation, alpha=layer.alpha or None, bias=layer.bias)
        for layer in network.layers
    ]
    sizes = network.layers[0].n_in
    plain = [*layers[:-1], Dense(layers[-1].units, "identity", bias=layers[-1].bias)]
    same = Network(inputs=sizes, layers=plain, dtype=network.dtype)
    same.parameters[:] = network.parameters
    return same.forward(X)
