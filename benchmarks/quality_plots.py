"""The plots of a comparison: mean ranks with the critical difference, and error against time."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.quality_methods import method_named
from benchmarks.quality_ranks import cliques, front

# the same figures give the same file
STEADY = {"svg.hashsalt": "fastbp", "svg.fonttype": "none"}


def save(figure, path):
    """Write a figure in the format of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with rc_context(STEADY):
        figure.savefig(path, metadata=metadata, bbox_inches="tight", dpi=150)


def rank_plot(found):
    """Return the critical-difference plot: a bar joins the methods that do not differ.

    As in Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006.
    """
    ranks, count = found.ranks.mean(axis=0), len(found.methods)
    order = np.argsort(ranks, kind="stable")
    groups = cliques(ranks, found.difference)
    below = 0.6 + 0.25 * len(groups)  # where the names begin, under the bars
    half = (count + 1) // 2
    figure = Figure(figsize=(8, 0.9 + 0.3 * (below + half)))
    axes = figure.add_subplot()
    axes.set(xlim=(0.2, count + 0.8), ylim=(below + half, -1.4))
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black")
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [-0.15, 0], color="black")
        axes.text(rank, -0.25, str(rank), ha="center", va="bottom")
    axes.plot([1, 1 + found.difference], [-1, -1], color="black", marker="|")
    axes.text(1, -1.15, f"critical difference {found.difference:.2f}", va="bottom")
    for n, (first, last) in enumerate(groups):
        ends = ranks[order[[first, last]]] + [-0.05, 0.05]
        axes.plot(ends, [0.35 + 0.25 * n] * 2, color="black", linewidth=3)
    for n, method in enumerate(order):
        left = n < half
        y, edge = below + (n if left else count - 1 - n), 1 if left else count
        axes.plot([ranks[method], ranks[method], edge], [0, y, y], color="gray", linewidth=0.8)
        side = {"ha": "right" if left else "left", "va": "center"}
        text = f"{method_named(found.methods[method]).title} {ranks[method]:.2f}"
        axes.text(edge + (-0.08 if left else 0.08), y, text, **side)
    return figure


def pareto_plot(found, baseline):
    """Return the plot of the mean error against the mean time, with the front."""
    seconds, (errors, deviations) = found.mean_seconds, found.mean_ratios(baseline)
    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot()
    bars = {"fmt": "o", "color": "tab:blue", "ecolor": "lightgray"}
    axes.errorbar(seconds, 100 * (errors - 1), 100 * np.nan_to_num(deviations), **bars)
    best = front(seconds, errors)
    axes.plot(seconds[best], 100 * (errors[best] - 1), color="tab:orange", zorder=0)
    for name, x, y in zip(found.methods, seconds, errors, strict=True):
        where = {"xytext": (6, 4), "textcoords": "offset points"}
        axes.annotate(method_named(name).title, (x, 100 * (y - 1)), **where)
    axes.set(xscale="log", xlabel="seconds of CPU for fit and predict, geometric mean")
    axes.set(ylabel=f"error, % against {method_named(baseline).title}")
    axes.grid(alpha=0.3)
    return figure
