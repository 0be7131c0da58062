"""The arithmetic of a comparison: ratios, ranks, win rates, and whether ranks differ."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import friedmanchisquare, gmean, rankdata, studentized_range

ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """The errors of methods on tables.

    Attributes
    ----------
    methods, tables : list of str
    classes : numpy.ndarray of bool
        Which tables have classes.
    errors, scores, calibration, seconds : numpy.ndarray
        Means over the seeds, tables in rows and methods in columns; of numbers, the calibration
        is NaN.
    """

    methods: list
    tables: list
    classes: np.ndarray
    errors: np.ndarray
    scores: np.ndarray
    calibration: np.ndarray
    seconds: np.ndarray

    def ratios(self, baseline):
        """Return the errors as shares of a method's."""
        return self.errors / self.errors[:, [self.methods.index(baseline)]]

    def mean_ratios(self, baseline):
        """Return the geometric means over tables of `ratios`, and their standard errors.

        The standard error is that of the mean logarithm, times the mean.
        """
        logarithms = np.log(self.ratios(baseline))
        means, count = np.exp(logarithms.mean(axis=0)), len(self.tables)
        if count < 2:
            return means, np.full(len(means), np.nan)
        return means, means * logarithms.std(axis=0, ddof=1) / np.sqrt(count)

    @property
    def ranks(self):
        """The ranks on each table, 1 the best; equal errors share the mean of theirs."""
        return rankdata(self.errors, axis=1)

    @property
    def wins(self):
        """The share of tables where the method of a row is better than that of a column.

        A tie is half a win; NaN on the diagonal.
        """
        mine, theirs = self.errors[:, :, None], self.errors[:, None, :]
        shares = ((mine < theirs) + 0.5 * (mine == theirs)).mean(axis=0)
        np.fill_diagonal(shares, np.nan)
        return shares

    @property
    def mean_seconds(self):
        """The geometric means of the seconds over tables."""
        return gmean(self.seconds, axis=0)

    @property
    def difference(self):
        """The critical difference of mean ranks, `nemenyi_distance`."""
        return nemenyi_distance(len(self.methods), len(self.tables))

    @property
    def p_value(self):
        """The p-value of Friedman's test that no method differs; None of less than three."""
        if len(self.methods) < 3:
            return None
        return float(friedmanchisquare(*self.errors.T).pvalue)


def nemenyi_distance(methods, tables, alpha=ALPHA):
    """Return how far apart two mean ranks must be to differ.

    q sqrt(k (k + 1) / (6 N)) of k methods and N tables, where q is the quantile of the studentized
    range over sqrt(2) (Nemenyi's test; Demsar, Statistical Comparisons of Classifiers over Multiple
    Data Sets, JMLR 7, 2006).
    """
    quantile = studentized_range.ppf(1 - alpha, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * tables)))


def cliques(ranks, difference):
    """Return (first, last) places in sorted ranks of the groups that no distance tells apart.

    They have two members at least, and none lies within another.
    """
    ranks, found = np.sort(ranks), []
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + difference)) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def front(seconds, errors):
    """Return the places of the points that no other beats in time and in error, by time."""
    order, best, found = np.lexsort((errors, seconds)), np.inf, []
    for place in order:
        if errors[place] < best:
            best = errors[place]
            found.append(int(place))
    return found


def compare(runs, methods, tables, seeds):
    """Return the comparison over the tables where every method has a run of every seed.

    `runs` are by (table, method, seed).
    """
    whole = [t for t in tables if all((t, m, s) in runs for m in methods for s in seeds)]

    def means(figure):
        values = [[[figure(runs[t, m, s]) for s in seeds] for m in methods] for t in whole]
        array = np.array(values, np.float64).reshape(len(whole), len(methods), len(seeds))
        return array.mean(axis=2)

    return Comparison(
        methods=list(methods),
        tables=whole,
        classes=np.array([runs[t, methods[0], seeds[0]].has_classes for t in whole], bool),
        errors=means(lambda run: run.error),
        scores=means(lambda run: run.score),
        calibration=means(lambda run: np.nan if run.calibration is None else run.calibration),
        seconds=means(lambda run: run.fit_s + run.predict_s),
    )
