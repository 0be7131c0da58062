"""`MLPRegressor(missing_targets=True)`: NaN in y counts for nothing, in training and in scores."""

import numpy as np
import pytest
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.model_selection import GridSearchCV

from fastbp import MLPEnsembleRegressor, MLPRegressor, MLPSearchCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = np.column_stack([X[:, 0] * X[:, 1], X[:, 2], X[:, 3] ** 2])
GAPS = RNG.random(Y.shape) < 0.3
GAPS[::9] = True
NANS = np.where(GAPS, np.nan, Y)
THERE = ~GAPS[:, 0]
WEIGHT = RNG.random(120)
pytestmark = pytest.mark.filterwarnings("ignore:.*converge", "ignore:.*maximum iterations")


def regressor(**options):
    return MLPRegressor(
        **{"hidden_layer_sizes": 8, "random_state": 0, "missing_targets": True, **options}
    )


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_one_output_is_fitted_to_the_rows_that_have_it(weight):
    options = {"solver": "lbfgs", "max_iter": 15, "activation": "tanh"}
    found = regressor(**options).fit(X, NANS[:, 0], weight)
    weight = None if weight is None else weight[THERE]
    expected = regressor(**options).fit(X[THERE], Y[THERE, 0], weight)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-6, atol=1e-8)
    assert found.loss_ == pytest.approx(expected.loss_, rel=1e-8)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_they_are_weights_of_zero(method):
    missing, weighted = regressor(max_iter=3), regressor(max_iter=3, missing_targets=False)
    for _ in range(2):
        getattr(missing, method)(X, NANS[:, :1].ravel())
        getattr(weighted, method)(X, Y[:, 0], THERE)
    for one, other in zip(missing.coefs_, weighted.coefs_, strict=True):
        assert np.array_equal(one, other)


def test_the_loss_is_the_mean_over_the_targets_that_are_there():
    net = regressor(max_iter=1, alpha=0, learning_rate_init=1e-12, batch_size=120).fit(X, NANS)
    expected = ((net.predict(X) - Y)[~GAPS] ** 2).mean() / 2
    assert net.loss_ == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_scores_leave_them_out(solver):
    net = regressor(solver=solver, max_iter=20).fit(X, NANS)
    for weight in (None, WEIGHT):
        r2 = []
        for j in range(3):
            there = ~GAPS[:, j]
            given = None if weight is None else weight[there]
            r2.append(r2_score(Y[there, j], net.predict(X)[there, j], sample_weight=given))
        assert net.score(X, NANS, weight) == pytest.approx(np.mean(r2), rel=1e-12)


def test_early_stopping_scores_what_is_there():
    net = regressor(early_stopping=True, max_iter=8, learning_rate_init=0.01)
    net.fit(X[:80], NANS[:80], X_val=X[80:], y_val=NANS[80:])
    assert len(set(net.validation_scores_)) == 8
    assert net.best_validation_score_ == net.score(X[80:], NANS[80:])
    losses = ((net.predict(X[80:]) - Y[80:])[~GAPS[80:]] ** 2).mean() / 2
    assert losses == pytest.approx(min(net.validation_loss_curve_), rel=0.1)
    net = regressor(early_stopping=True, max_iter=8).fit(X, NANS)  # of rows that it holds back
    assert np.isfinite(net.validation_scores_).all()


def test_searches_score_what_is_there():
    grid = {"alpha": [1e-4, 10.0]}
    folds = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
    net = regressor(max_iter=5)
    theirs = GridSearchCV(net, grid, cv=folds).fit(X, NANS)
    ours = MLPSearchCV(net, grid, cv=folds).fit(X, NANS)
    for key in ("split0_test_score", "split1_test_score"):
        assert np.isfinite(theirs.cv_results_[key]).all()
        np.testing.assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], rtol=1e-12)


def test_frames_may_hold_them():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(NANS, columns=["a", "b", "c"]).convert_dtypes()
    one, other = regressor(max_iter=2).fit(X, frame), regressor(max_iter=2).fit(X, NANS)
    assert np.array_equal(one.coefs_[0], other.coefs_[0])


def test_by_default_they_are_an_error_that_names_the_switch():
    for y in (NANS, NANS[:, 0]):
        with pytest.raises(ValueError, match=r"Input y contains NaN\.\n.*missing_targets=True"):
            regressor(missing_targets=False).fit(X, y)
    with pytest.raises(ValueError, match="Input y contains infinity"):
        regressor().fit(X, np.where(GAPS, np.inf, Y))
    with pytest.raises(ValueError, match="y: all targets are NaN"):
        regressor().fit(X, np.full_like(Y, np.nan))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        regressor().fit(np.full_like(X, np.nan), NANS)
    with pytest.raises(ValueError, match="scoring='r2' does not know of missing targets"):
        regressor(early_stopping=True, scoring="r2").fit(X, NANS)
    with pytest.raises(ValueError, match="poisson expects targets of at least 0"):
        regressor(loss="poisson").fit(X, NANS)
    with pytest.raises(ValueError, match="'missing_targets' parameter"):
        regressor(missing_targets="yes").fit(X, NANS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("as_series", [False, True])
def test_none_among_objects_is_nan(as_series):
    y = [None] * 20 + list(Y[20:, 0])
    y = np.array(y, dtype=object) if as_series else y
    with pytest.raises(ValueError, match=r"(?s)Input y contains NaN.*missing_targets=True"):
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=2).fit(X, y)
    fitted = MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=2, random_state=0, missing_targets=True
    ).fit(X, y)
    same = np.r_[np.full(20, np.nan), Y[20:, 0]]
    other = MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=2, random_state=0, missing_targets=True
    ).fit(X, same)
    assert fitted.loss_curve_ == other.loss_curve_


def test_what_is_no_number_or_weighs_less_than_nothing_is_named():
    model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=2, missing_targets=True)
    for wrong in (["a"] * 120, ["1.5"] * 120, np.array(["a"] * 120, dtype=object)):
        for each in (model, MLPRegressor(max_iter=2)):
            with pytest.raises(ValueError, match=r"y has dtype .*: expected numbers"):
                each.fit(X, wrong)
    missing = np.where(np.arange(120)[:, None] < 2, np.nan, Y)
    with pytest.raises(ValueError, match=r"sample_weight has -1\.0: expected weights"):
        model.fit(X, missing, -np.ones(120))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_solver_lm_leaves_them_out():
    missing = np.where(np.random.default_rng(1).random(Y.shape) < 0.5, np.nan, Y)
    options = {"hidden_layer_sizes": (12,), "activation": "tanh", "random_state": 0}
    model = MLPRegressor(solver="lm", max_iter=200, alpha=0, missing_targets=True, **options)
    fitted = model.fit(X, missing)
    there = ~np.isnan(missing)
    error = (fitted.predict(X) - Y)[there]
    assert np.mean(error**2) < 0.01 * np.var(Y[there])


@pytest.mark.parametrize("members", ["seeds", "bags", "folds"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_ensembles_of_them_are_the_mean_of_members_fitted_alone(members, weight):
    net = regressor(max_iter=5)
    ensemble = MLPEnsembleRegressor(net, 3, members=members, random_state=0)
    ensemble.fit(X, NANS, weight)
    rows = [np.arange(120)] * 3 if members == "seeds" else ensemble.estimators_samples_
    total, times = np.zeros(Y.shape), np.zeros(120)
    for member, drawn in zip(ensemble.estimators_, rows, strict=True):
        counts = np.bincount(drawn, minlength=120)
        kept, given = counts > 0, np.ones(120) if weight is None else weight
        alone = regressor(max_iter=5, random_state=member.random_state)
        times_drawn = counts * given if counts.max() > 1 or weight is not None else None
        alone.fit(X[kept], NANS[kept], None if times_drawn is None else times_drawn[kept])
        assert np.array_equal(alone.coefs_[0], member.coefs_[0])
        total[~kept] += member.predict(X[~kept]) if (~kept).any() else 0
        times += ~kept
    one = MLPEnsembleRegressor(net, 1, random_state=0).fit(X, NANS, weight)
    assert one.score(X, NANS, weight) == pytest.approx(one.estimators_[0].score(X, NANS, weight))
    if members != "seeds":
        known, r2 = times > 0, []
        for j in range(3):
            there = known & ~GAPS[:, j]
            given = None if weight is None else weight[there]
            held = total[there, j] / times[there]
            r2.append(r2_score(Y[there, j], held, sample_weight=given))
        assert ensemble.oob_score_ == pytest.approx(np.mean(r2), rel=1e-9)


def test_an_ensemble_of_quantiles_is_scored_by_their_pinball_losses():
    levels, y = [0.1, 0.5, 0.9], NANS[:, 0]
    for missing in (True, False):
        net = regressor(
            loss="quantile", loss_parameter=levels, max_iter=30, missing_targets=missing
        )
        rows = slice(None) if missing else THERE
        ensemble = MLPEnsembleRegressor(net, 3, members="folds", random_state=0)
        ensemble.fit(X[rows], y[rows], WEIGHT[rows])
        found = ensemble.predict(X)
        mean = np.mean([member.predict(X) for member in ensemble.estimators_], axis=0)
        np.testing.assert_allclose(found, mean, rtol=1e-12)
        assert found.shape == (120, 3) and ensemble.n_outputs_ == 3
        assert (np.diff(found, axis=1) >= 0).all()
        for means, score in (
            (found[THERE], ensemble.score(X[rows], y[rows], WEIGHT[rows])),
            (ensemble.oob_prediction_[THERE if missing else slice(None)], ensemble.oob_score_),
        ):
            known, weight = Y[THERE, 0], WEIGHT[THERE]
            expected = [
                d2_pinball_score(known, means[:, k], sample_weight=weight, alpha=level)
                for k, level in enumerate(levels)
            ]
            assert score == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"loss": "quantile", "loss_parameter": [0.1, 0.9]}])
def test_an_ensemble_has_no_score_on_targets_that_are_all_missing(options):
    ensemble = MLPEnsembleRegressor(regressor(max_iter=2, **options), 2, members="folds")
    ensemble.fit(X, NANS[:, 0])
    for model in (ensemble, ensemble.estimators_[0]):
        with pytest.raises(ValueError, match="y: all targets are NaN"):
            model.score(X, np.full(120, np.nan))
    few = np.where(np.arange(120) < 118, Y[:, 0], np.nan)
    folds = [(np.arange(118), np.arange(118, 120)), (np.arange(120), np.arange(118, 120))]
    lone = MLPEnsembleRegressor(regressor(max_iter=2, **options), members="folds", cv=folds)
    assert np.isnan(lone.fit(X, few).oob_score_)


def test_an_ensemble_without_the_switch_names_it():
    with pytest.raises(ValueError, match=r"Input y contains NaN\.\n.*missing_targets=True"):
        MLPEnsembleRegressor(regressor(missing_targets=False), 2).fit(X, NANS)
    with pytest.raises(ValueError, match="Input y contains infinity"):
        MLPEnsembleRegressor(regressor(), 2).fit(X, np.where(GAPS, np.inf, Y))
