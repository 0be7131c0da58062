"""What derivatives cost, in gradients and forward passes, and beside torch.func and JAX.

    python benchmarks/derivatives.py
    python benchmarks/derivatives.py --rounds 5 --threads auto

All calls of a net take turns, so that whatever else the machine does slows them alike; the figures
are medians. The gradients of samples are held against writing an array of their size.
"""

import argparse
import time
from functools import partial
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from fastbp import SGD, Network

NETS = {
    "4-32-16-4": ([4, 32, 16, 4], 128),
    "32-64-64-1": ([32, 64, 64, 1], 64),
    "64-100-10": ([64, 100, 10], 200),
    "64-128-128-128-10": ([64, 128, 128, 128, 10], 512),
    "784-512-512-10": ([784, 512, 512, 10], 256),
}
# numbers of the gradients of samples: more than a cache holds
_NUMBERS = 1 << 26
_TURN_SECONDS = 0.02


def ours(sizes, batch, threads):
    """Return fastbp's calls by name."""
    rng = np.random.default_rng(0)
    net = Network(sizes, "tanh", seed=0)
    X, y, T, C = (
        rng.normal(size=(batch, n)).astype("float32")
        for n in (sizes[0], sizes[-1], sizes[0], sizes[-1])
    )
    v, n = rng.normal(size=net.parameters.size).astype("float32"), {"n_threads": threads}
    calls = {
        "forward": partial(net.forward, X, **n),
        "gradient": partial(net.backward, X, y, **n),
        "jvp": partial(net.jvp, X, T, **n),
        "vjp": partial(net.vjp, X, C, **n),
        "hvp": partial(net.hvp, X, y, v, **n),
        "gauss-newton": partial(net.gauss_newton_product, X, y, v, **n),
        "norms": partial(net.per_sample_norms, X, y, **n),
        "samples of a batch": partial(net.per_sample_gradients, X, y, **n),
    }
    rows = _NUMBERS // v.size
    if rows >= batch:
        many = [np.resize(each, (rows, each.shape[1])) for each in (X, y)]
        calls["samples"] = partial(net.per_sample_gradients, *many, **n)
        calls["written"] = partial(np.full, (rows, v.size), 1, "float32")
    data = [np.concatenate([each] * 8) for each in (X, y)]
    for name, most in (("fit", None), ("clipped fit", 1.0)):
        fitted = Network(sizes, "tanh", optimizer=SGD(1e-6, clip_sample_norm=most), seed=0)
        calls[name] = partial(fitted.fit, *data, 1, batch, **n)
    return calls


def of_torch(sizes, batch):
    """Return the same of torch.func, on one thread."""
    import torch
    from torch.func import functional_call, grad, jvp, vmap

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = [torch.nn.Linear(*pair) for pair in pairwise(sizes)]
    parts = [part for layer in layers for part in (layer, torch.nn.Tanh())][:-1]
    net = torch.nn.Sequential(*parts)
    weights = {name: value.detach() for name, value in net.named_parameters()}
    v = {name: torch.randn_like(value) for name, value in weights.items()}
    X, T = torch.randn(2, batch, sizes[0])
    y = torch.randn(batch, sizes[-1])

    def loss(weights, x, y):
        return ((functional_call(net, weights, (x,)) - y) ** 2).sum(-1).mean() / 2

    of_one = grad(lambda weights, x, y: loss(weights, x[None], y[None]))

    def forward():
        with torch.no_grad():
            return net(X)

    return {
        "forward": forward,
        "gradient": lambda: grad(loss)(weights, X, y),
        "jvp": lambda: jvp(net, (X,), (T,)),
        "hvp": lambda: jvp(lambda w: grad(loss)(w, X, y), (weights,), (v,)),
        "samples of a batch": lambda: vmap(of_one, (None, 0, 0))(weights, X, y),
    }


def of_jax(sizes, batch):
    """Return the same of JAX, compiled."""
    import jax

    rng = np.random.default_rng(0)

    def draw(*shape):
        return jax.numpy.asarray(rng.normal(size=shape).astype("float32"))

    pairs = list(pairwise(sizes))
    weights, v = ([(draw(*pair), draw(pair[1])) for pair in pairs] for _ in range(2))
    X, T, y = draw(batch, sizes[0]), draw(batch, sizes[0]), draw(batch, sizes[-1])

    def net(weights, x):
        for w, b in weights[:-1]:
            x = jax.numpy.tanh(x @ w + b)
        return x @ weights[-1][0] + weights[-1][1]

    def loss(weights, x, y):
        return ((net(weights, x) - y) ** 2).sum(-1).mean() / 2

    gradient = jax.grad(loss)
    of_one = jax.grad(lambda weights, x, y: loss(weights, x[None], y[None]))
    calls = {
        "forward": (net, weights, X),
        "gradient": (gradient, weights, X, y),
        "jvp": (lambda w, x, t: jax.jvp(lambda x: net(w, x), (x,), (t,)), weights, X, T),
        "hvp": (lambda w, v: jax.jvp(lambda w: gradient(w, X, y), (w,), (v,)), weights, v),
        "samples of a batch": (jax.vmap(of_one, (None, 0, 0)), weights, X, y),
    }

    def compiled(function, *arguments):
        function = jax.jit(function)
        return lambda: jax.block_until_ready(function(*arguments))

    return {name: compiled(*call) for name, call in calls.items()}


def medians(calls, rounds):
    """Return the median seconds of each call; they take turns."""
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            count, start = 0, time.perf_counter()
            while (now := time.perf_counter()) < start + _TURN_SECONDS or count == 0:
                call()
                count += 1
            seconds[name].append((now - start) / max(1, count))
    return {name: float(np.median(each)) for name, each in seconds.items()}


def lines(name, found, peers):
    """Return what is printed of a net."""
    us = {each: 1e6 * value for each, value in found.items()}
    shown = [f"{name}: forward {us['forward']:.1f} us, gradient {us['gradient']:.1f} us"]
    shown += [
        f"  {each:<13}{us[each]:>9.1f} us {us[each] / us['gradient']:>6.2f} gradients"
        for each in ("hvp", "gauss-newton", "vjp", "norms")
    ]
    tangent = us["jvp"] / us["forward"]
    shown.append(f"  {'jvp':<13}{us['jvp']:>9.1f} us {tangent:>6.2f} forward passes")
    if "samples" in us:
        share = us["written"] / us["samples"]
        shown.append(f"  {'samples':<13}{us['samples']:>9.1f} us {share:>6.0%} of memory's speed")
    ratio = us["clipped fit"] / us["fit"]
    shown.append(f"  {'clipped fit':<13}{us['clipped fit']:>9.1f} us {ratio:>6.2f} times a fit")
    for peer, times in peers.items():
        ratios = (f"{each} {times[each] / found[each]:.1f}" for each in times if each in found)
        shown.append(f"  times as long in {peer}: {', '.join(ratios)}")
    return shown


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--threads", default="1", help="threads of fastbp, or auto")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Parse the arguments, measure and print."""
    options = parse(arguments)
    threads = options.threads if options.threads == "auto" else int(options.threads)
    found = {name for name in ("torch", "jax") if find_spec(name)}
    for name in {"torch", "jax"} - found:
        print(f"{name} is not installed: it is left out")
    for name, (sizes, batch) in NETS.items():
        calls = ours(sizes, batch, threads)
        makers = {"torch": of_torch, "jax": of_jax}
        peers = {each: makers[each](sizes, batch) for each in sorted(found)}
        together = {("fastbp", each): call for each, call in calls.items()}
        together |= {(peer, each): c for peer, all_ in peers.items() for each, c in all_.items()}
        times = medians(together, options.rounds)
        split = {
            who: {each: times[who, each] for each in mine}
            for who, mine in {"fastbp": calls, **peers}.items()
        }
        print("\n".join(lines(name, split.pop("fastbp"), split)), flush=True)


if __name__ == "__main__":
    main()
