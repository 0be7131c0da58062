"""Monotonic inputs: the signs that weights keep, their check, and weights to begin with.

The first weights of an input that rises are at least 0, of one that falls at most 0, and all later
weights at least 0: as no activation falls, no output does. The projection after each update is
`kernels.net.projection`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..kernels.activation import activation
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.matmul import matmul
from ..kernels.random import random_normal
from ..kernels.support.scalars import a_whole_number
from ..quoted import quoted

# rows of normal inputs that tell how large the hidden activations are at first
_ROWS = 256


def with_signs(specs, monotonic):
    """Return the layers of a network whose outputs rise or fall in some inputs.

    `monotonic` is a dict of signs by the number of the input, or has a sign for each, 1, 0 or -1.
    It raises ValueError or TypeError if it is neither, or the layers cannot keep the signs.
    """
    if monotonic is None:
        return specs
    signs = _signs_of(monotonic, specs[0].n_in)
    if not any(signs):
        return specs
    later = [replace(spec, signs=(1,)) for spec in specs[1:]]
    specs = [replace(specs[0], signs=signs), *later]
    check_signs(specs)
    return specs


def _signs_of(monotonic, n_in):
    if isinstance(monotonic, Mapping):
        signs = [0] * n_in
        for number, sign in monotonic.items():
            place = a_whole_number("monotonic: an input", number, least=0, below=n_in)
            signs[place] = _a_sign(f"monotonic[{place}]", sign)
        return tuple(signs)
    if isinstance(monotonic, np.ndarray):
        monotonic = monotonic.tolist()
    if isinstance(monotonic, str) or not isinstance(monotonic, Sequence):
        raise TypeError(
            f"monotonic={quoted(monotonic)}: expected a dict such as {{0: 1, 3: -1}}, or 1, 0 or "
            "-1 for each input"
        )
    if len(monotonic) != n_in:
        raise ValueError(f"monotonic={quoted(monotonic)}: expected {n_in} numbers, one an input")
    return tuple(_a_sign(f"monotonic[{i}]", sign) for i, sign in enumerate(monotonic))


def _a_sign(name, sign):
    return a_whole_number(name, sign, least=-1, below=2)


def check_signs(specs):
    """Raise ValueError or TypeError unless the layers keep no signs, or make a net monotonic."""
    given = [spec.signs for spec in specs]
    if not any(given):
        return
    first = given[0]
    if len(first) != specs[0].n_in or given[1:] != [(1,)] * (len(specs) - 1):
        raise ValueError(
            f"signs={quoted(given)}: expected one for each input, and (1,) behind them"
        )
    for sign in first:
        _a_sign("signs", sign)
    for n, spec in enumerate(specs, 1):
        if not ACTIVATIONS.find(spec.activation).rises:
            known = ", ".join(r.name for r in ACTIVATIONS.values() if r.rises)
            raise ValueError(
                f"monotonic: layer {n} has the activation {quoted(spec.activation)}, which is not "
                f"known to rise everywhere; use {known}"
            )


def require_signs(plan, params):
    """Raise ValueError unless the weights have the signs that they keep, or are 0."""
    if not plan.keeps_signs:
        return
    for n, (w, signs) in enumerate(zip(plan.weights(params), plan.signs(), strict=True), 1):
        wrong = np.argwhere(w * signs < 0)
        if len(wrong):
            i, j = wrong[0]
            raise ValueError(
                f"the network is monotonic, but in layer {n} the weight [{i}, {j}] is {w[i, j]:g}: "
                f"expected it to be at {'least' if signs[i, 0] > 0 else 'most'} 0"
            )


def settle_signs(plan, params):
    """Give weights that were drawn the signs that they keep, and later layers a scale to begin.

    Weights of one sign add up what they are given. Behind the first layer they are divided by the
    standard deviation of the pre-activations, and the means taken from the biases, for inputs that
    are normal: else deeper nets begin with units that are all saturated, and do worse than free
    ones, where they do better with it.
    """
    if not plan.keeps_signs:
        return
    layers = zip(plan.specs, plan.weights(params), plan.biases(params), plan.signs(), strict=True)
    rows = random_normal(_ROWS * plan.specs[0].n_in, 0, n_threads=1)
    A = rows.reshape(_ROWS, -1).astype(plan.dtype)
    for n, (spec, w, b, signs) in enumerate(layers):
        w[:] = np.where(signs != 0, np.abs(w) * signs, w)
        Z = matmul(A, w, n_threads=1)
        if n > 0:
            spread = Z.std(axis=0, dtype=np.float64).mean()
            if spread > 0:
                w /= spread
                Z /= spread
            b -= Z.mean(axis=0, dtype=np.float64)[: b.size]
        alpha = spec.alpha if ACTIVATIONS.find(spec.activation).alpha is not None else None
        A = activation(Z + b if b.size else Z, spec.activation, alpha, n_threads=1)
