"""The comparison of predictions in Markdown."""

from datetime import date

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.quality_methods import method_named
from benchmarks.quality_ranks import ALPHA, compare

HEAD = (
    "method",
    "error, % against {}",
    "median of it, %",
    "mean rank",
    "wins against {}, %",
    "wins against all, %",
    "accuracy, %",
    "R2",
    "calibration error, %",
    "CPU s",
)


def _mean(values, style, scale=1):
    return f"{scale * values.mean():{style}}" if len(values) else "-"


def _error(deviation):
    return "" if np.isnan(deviation) else f" +- {100 * deviation:.1f}"


def summary(found, baseline):
    """Return a row of figures for each method, the best mean rank first."""
    means, deviations = found.mean_ratios(baseline)
    # one table with tiny losses may rule the mean, and not the median
    medians = np.median(found.ratios(baseline), axis=0)
    ranks, place = found.ranks.mean(axis=0), found.methods.index(baseline)
    rows = [[cell.format(method_named(baseline).title) for cell in HEAD]]
    for n in np.argsort(ranks, kind="stable"):
        wins = found.wins[n]
        own = n == place
        rows.append(
            [
                method_named(found.methods[n]).title,
                "0" if own else f"{100 * (means[n] - 1):+.1f}{_error(deviations[n])}",
                "0" if own else f"{100 * (medians[n] - 1):+.1f}",
                f"{ranks[n]:.2f}",
                "-" if own else f"{100 * wins[place]:.0f}",
                _mean(np.delete(wins, n), ".0f", 100),
                _mean(found.scores[found.classes, n], ".2f", 100),
                _mean(found.scores[~found.classes, n], ".4f"),
                _mean(found.calibration[found.classes, n], ".2f", 100),
                f"{found.mean_seconds[n]:.3g}",
            ]
        )
    return markdown(rows)


def verdict(found):
    """Return what Friedman's and Nemenyi's tests say."""
    if found.p_value is None:
        return "Friedman's test wants three methods."
    said = f"Friedman's test: p = {found.p_value:.2g}."
    return (
        f"{said} Mean ranks that are {found.difference:.2f} apart differ at "
        f"{100 * ALPHA:.0f} % (Nemenyi)."
    )


def per_table(found):
    """Return the errors on each table: log losses, and roots of the mean squared errors."""
    rows = [["table", "error", *(method_named(name).title for name in found.methods)]]
    for table, classes, errors in zip(found.tables, found.classes, found.errors, strict=True):
        cells = [f"{error:.4g}" for error in errors]
        best = int(errors.argmin())
        cells[best] = f"**{cells[best]}**"
        rows.append([table, "log loss" if classes else "RMSE", *cells])
    return markdown(rows)


def win_table(found):
    """Return in how many of 100 tables the method of a row is better than that of a column."""
    titles = [method_named(name).title for name in found.methods]
    cells = [["-" if np.isnan(win) else f"{100 * win:.0f}" for win in row] for row in found.wins]
    rows = [[title, *row] for title, row in zip(titles, cells, strict=True)]
    return markdown([["wins, %", *titles], *rows])


def parts(tables, tuned):
    """Return (title, tables) of the halves that are reported apart, those to judge by first."""
    if not tuned:
        return [("All tables", tables)]
    rest = [table for table in tables if table not in tuned]
    chosen = [table for table in tables if table in tuned]
    halves = [("Tables that no option was chosen on", rest)]
    halves.append(("Tables that options were chosen on: these say little", chosen))
    return halves


def caption(runs, methods, seeds, rows, processor):
    """Return what was measured, where and with which versions."""
    versions = {r.method: r.version for r in runs.values()}
    packages = {method_named(name).package: versions[name] for name in methods}
    named = ", ".join(f"{package} {version}" for package, version in packages.items())
    return (
        f"{len(seeds)} splits of 80 to 20 of each table, at most {rows:,} rows to train on. Error: "
        "log loss or RMSE, the geometric mean over the tables of the share of the baseline's, and "
        "its standard error. CPU s: fit and predict on one thread, the geometric mean over the "
        f"tables. On {processor}, {date.today()}; {named}."
    )


def missing(runs, methods, tables, seeds):
    """Return a line that names the tables that were left out, or an empty one."""
    lacking = {
        table: [m for m in methods if any((table, m, s) not in runs for s in seeds)]
        for table in tables
    }
    said = [f"{table} ({', '.join(names)})" for table, names in lacking.items() if names]
    return f"Left out, for lack of results: {'; '.join(said)}." if said else ""


def report(runs, methods, tables, seeds, baseline, tuned, rows, processor):
    """Return the report in Markdown, and the comparison to plot: that of the first half.

    Raises
    ------
    ValueError
        If no table has the results of all methods and seeds.
    """
    halves = []
    for title, names in parts(tables, tuned):
        found = compare(runs, methods, names, seeds)
        if found.tables:
            halves.append((title, found))
    if not halves:
        raise ValueError("no table has the results of all methods and seeds; run it to its end")
    blocks = []
    for title, found in halves:
        blocks += [f"{title} ({len(found.tables)}):", summary(found, baseline), verdict(found)]
        blocks += [per_table(found)]
    first = halves[0][1]
    blocks += [win_table(first), missing(runs, methods, tables, seeds)]
    blocks += [caption(runs, methods, seeds, rows, processor)]
    return "\n\n".join(block for block in blocks if block), first
