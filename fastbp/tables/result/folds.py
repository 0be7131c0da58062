"""The scores of folds together: their mean, and how far they spread."""

import statistics
from collections.abc import Sequence


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sample standard deviation of scores, 0 of a single one."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def spread_of(scores: Sequence[dict[str, float | None]]) -> dict[str, str]:
    """Return for each score, except the rows, text such as 0.9531 ± 0.012; of defined ones."""
    found = {}
    for name in scores[0]:
        values = [v for each in scores if (v := each.get(name)) is not None]
        if name != "rows" and values:
            mean, deviation = mean_and_deviation(values)
            found[name] = f"{mean:.4g} \u00b1 {deviation:.2g}"
    return found
