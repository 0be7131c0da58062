"""The arithmetic and the report of the comparison of predictions, against published figures."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error

from benchmark_modules import load

load("benchmarks")
plots = load("benchmarks.quality_plots")
ranks = load("benchmarks.quality_ranks")
reports = load("benchmarks.quality_report")
runs = load("benchmarks.quality_runs")

# ------------------------------------------------------------------ ranks

# areas under the curve of four variants of C4.5 (Demsar, JMLR 7, 2006, Table 6); the paper prints
# .975 twice for voting, and ranks them 2 and 3 by digits that it does not print: hence .9751
DEMSAR = """
.763 .768 .771 .798   .599 .591 .590 .569   .954 .971 .968 .967   .628 .661 .654 .657
.882 .888 .886 .898   .936 .931 .916 .931   .661 .668 .609 .685   .583 .583 .563 .625
.775 .838 .866 .875   1 1 1 1               .940 .962 .965 .962   .619 .666 .614 .669
.972 .981 .9751 .975   .957 .978 .946 .970
"""


def comparison(errors, seconds=None, classes=None):
    """Return the comparison of such errors of a method or two of fastbp and others."""
    errors = np.asarray(errors, float)
    names = ["fastbp", "hist", "lightgbm", "catboost", "mlp"][: errors.shape[1]]
    seconds = np.ones_like(errors) if seconds is None else np.asarray(seconds, float)
    classes = np.ones(len(errors), bool) if classes is None else np.asarray(classes)
    labels = [f"table{n}" for n in range(len(errors))]
    scores = 1 - errors
    return ranks.Comparison(names, labels, classes, errors, scores, errors / 10, seconds)


def test_the_mean_ranks_are_those_that_demsar_prints():
    areas = np.array(DEMSAR.split(), float).reshape(14, 4)
    found = comparison(1 - areas).ranks.mean(axis=0)
    np.testing.assert_allclose(found, [3.143, 2.000, 2.893, 1.964], atol=5e-4)


@pytest.mark.parametrize(
    "count, quantile",
    # q of alpha .05 (Demsar, Table 5a)
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (7, 2.949), (10, 3.164)],
)
def test_the_distance_has_the_quantiles_that_demsar_prints(count, quantile):
    found = ranks.nemenyi_distance(count, 30)
    assert found == pytest.approx(quantile * np.sqrt(count * (count + 1) / 180), rel=5e-4)


def test_the_distance_of_the_example_of_demsar():
    assert ranks.nemenyi_distance(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_friedmans_test_by_hand():
    # ranks 1 2 3 on three tables of four, 1 3 2 on one: sums 4, 9, 11; the statistic is
    # 12 / (4 * 3 * 4) * (16 + 81 + 121) - 3 * 4 * 4 = 6.5, and chi-squared with 2 degrees of
    # freedom exceeds x with the probability exp(-x / 2)
    found = comparison([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 3, 2]])
    assert found.p_value == pytest.approx(np.exp(-6.5 / 2))
    assert comparison([[1, 2], [1, 2]]).p_value is None


def test_a_tie_is_half_a_win_and_shares_the_rank():
    found = comparison([[1, 1, 2], [3, 2, 1]])
    np.testing.assert_array_equal(found.ranks, [[1.5, 1.5, 3], [3, 2, 1]])
    expected = [[np.nan, 0.25, 0.5], [0.75, np.nan, 0.5], [0.5, 0.5, np.nan]]
    np.testing.assert_array_equal(found.wins, expected)


def test_the_ratio_is_a_geometric_mean_with_its_error():
    found = comparison([[1, 2], [10, 5], [1, 4]])
    means, deviations = found.mean_ratios("fastbp")
    # logarithms to base 2 are 1, -1 and 2: mean 2/3, deviation sqrt(7/3)
    assert means == pytest.approx([1, 2 ** (2 / 3)])
    expected = 2 ** (2 / 3) * np.log(2) * np.sqrt(7 / 3) / np.sqrt(3)
    assert deviations == pytest.approx([0, expected])


def test_the_mean_time_is_geometric():
    found = comparison([[1, 1], [1, 1]], [[1, 4], [4, 16]])
    assert found.mean_seconds == pytest.approx([2, 8])


@pytest.mark.parametrize(
    "given, groups",
    [
        ([1.0, 1.5, 3.0, 3.4], [(0, 1), (2, 3)]),
        ([3.4, 1.0, 3.0, 1.5], [(0, 1), (2, 3)]),
        ([1.0, 1.9, 2.8], [(0, 1), (1, 2)]),
        ([1.0, 1.2, 1.4], [(0, 2)]),
        ([1.0, 3.0, 5.0], []),
    ],
)
def test_groups_are_those_that_no_distance_of_1_tells_apart(given, groups):
    assert ranks.cliques(np.array(given), 1.0) == groups


def test_the_front_has_what_nothing_beats_in_both():
    seconds, errors = np.array([1.0, 2.0, 3.0, 0.5, 3.0]), np.array([5.0, 6.0, 2.0, 9.0, 1.0])
    assert ranks.front(seconds, errors) == [3, 0, 4]


# ------------------------------------------------------------------ scores


def test_the_scores_of_classes_are_scikit_learns():
    rng = np.random.default_rng(0)
    P, y = rng.dirichlet([1, 1, 1], 200), rng.integers(0, 3, 200)
    error, score, _ = runs.scores_of(P, y, 3)
    assert error == pytest.approx(log_loss(y, P))
    assert score == accuracy_score(y, P.argmax(axis=1))


def test_the_scores_of_numbers_are_scikit_learns():
    found, y = np.random.default_rng(0).standard_normal((2, 50))
    error, score, calibration = runs.scores_of(found, y, 0)
    assert error == pytest.approx(root_mean_squared_error(y, found))
    assert score == pytest.approx(r2_score(y, found))
    assert calibration is None


def test_a_class_that_was_not_trained_on_costs_what_is_least():
    error, *_ = runs.scores_of(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([2, 1]), 3)
    assert error == pytest.approx(-np.log(1e-7) / 2, rel=1e-6)


def test_the_calibration_error_by_hand():
    # in the bin of .6 to .8: confidences .7 .7 .7 .7, three of four right; above: .9, wrong
    P = np.array([[0.7, 0.3]] * 4 + [[0.1, 0.9]])
    y = np.array([0, 0, 0, 1, 0])
    assert runs.calibration_error(P, y, bins=5) == pytest.approx((4 * 0.05 + 0.9) / 5)
    assert runs.calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0


# ------------------------------------------------------------------ the report


def test_the_summary_sorts_by_rank_and_compares_with_the_baseline():
    errors = [[0.4, 0.2, 0.4], [0.4, 0.2, 0.5]]
    found = comparison(errors, classes=[True, False])
    head, _, *lines = reports.summary(found, "fastbp").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in cells] == ["HistGradientBoosting", "fastbp", "LightGBM"]
    assert "against fastbp" in head
    # ranks 1 and 1, both tables won, accuracy of the first and R2 of the second
    shares = ["-50.0 +- 0.0", "-50.0", "1.00", "100", "100"]
    assert cells[0][1:] == [*shares, "80.00", "0.8000", "2.00", "1"]
    assert cells[1][1:5] == ["0", "0", "2.25", "-"]
    # the median of 1 and 1.25
    assert cells[2][2] == "+12.5"


def test_one_table_has_no_standard_error():
    *_, last = reports.summary(comparison([[0.4, 0.5]]), "fastbp").splitlines()
    assert last.startswith("| HistGradientBoosting | +25.0 | +25.0 | 2.00 |")


def test_the_best_error_on_a_table_is_bold():
    lines = reports.per_table(comparison([[0.4, 0.25], [1, 3]], classes=[True, False])).splitlines()
    assert lines[2] == "| table0 | log loss | 0.4 | **0.25** |"
    assert lines[3] == "| table1 | RMSE | **1** | 3 |"


def test_the_same_figures_give_the_same_plot(tmp_path):
    found = comparison([[1, 2, 3], [1, 2, 3], [2, 1, 3]], [[1, 2, 3]] * 3)
    files = [tmp_path / name for name in ("a.svg", "b.svg")]
    for file in files:
        plots.save(plots.rank_plot(found), file)
    assert files[0].read_bytes() == files[1].read_bytes()
    text = files[0].read_text()
    # ranks 4/3, 5/3 and 3
    for label in ("fastbp 1.33", "HistGradientBoosting 1.67", "LightGBM 3.00"):
        assert label in text
    plots.save(plots.pareto_plot(found, "fastbp"), tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
