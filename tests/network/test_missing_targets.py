"""Targets that are NaN count for nothing, where `missing_targets=True` lets them."""

import copy

import numpy as np
import pytest
from sklearn.metrics import r2_score

from fastbp import LBFGS, SGD, Ensemble, LevenbergMarquardt, Network, fit_many
from fastbp.data import ArraySource

RNG = np.random.default_rng(4)
X = RNG.normal(size=(96, 5))
Y = RNG.random((96, 3))
WEIGHT = RNG.random(96) + 0.1
GAPS = RNG.random(Y.shape) < 0.3
GAPS[::7] = True  # whole rows, too
GAPS[:16] = False  # the first batch has none
NANS = np.where(GAPS, np.nan, Y)
WORDS = "finite numbers.*missing_targets=True"


def network(loss="squared_error", **options):
    return Network([5, 8, 3], "tanh", loss, **{"seed": 2, **options})


@pytest.mark.parametrize("weight", [None, WEIGHT, np.outer(WEIGHT, [1, 2, 3])], ids=np.shape)
@pytest.mark.parametrize("loss", ["squared_error", "mae", "poisson", "binary_cross_entropy"])
def test_they_are_weights_of_zero(loss, weight):
    given = np.ones(96) if weight is None else weight
    zeros = (given if given.ndim == 2 else given[:, None]) * ~GAPS
    missing, weighted = network(loss), network(loss)
    options = {"epochs": 3, "batch_size": 16}
    found = missing.fit(X, NANS, sample_weight=weight, missing_targets=True, **options)
    expected = weighted.fit(X, Y, sample_weight=zeros, **options)
    assert np.array_equal(missing.parameters, weighted.parameters)
    assert found["loss"] == expected["loss"]
    for method in ("step", "evaluate"):
        of_nan = getattr(missing, method)(X, NANS, weight, missing_targets=True)
        assert of_nan == getattr(weighted, method)(X, Y, zeros)
    loss, grads = missing.backward(X, NANS, weight, missing_targets=True)
    expected, of_zeros = weighted.backward(X, Y, zeros)
    assert loss == expected and np.array_equal(grads.flat, of_zeros.flat)


@pytest.mark.parametrize("optimizer", [LevenbergMarquardt(), LBFGS()], ids=["lm", "lbfgs"])
def test_each_output_is_fitted_to_the_rows_that_have_it(optimizer):
    net = Network([5, 3], optimizer=optimizer, dtype="float64", seed=0)
    net.fit(X, NANS, 200, missing_targets=True)
    columns = np.column_stack([X, np.ones(96)])
    for j in range(3):
        there = ~GAPS[:, j]
        exact = np.linalg.lstsq(columns[there], Y[there, j], rcond=None)[0]
        found = [*net.weights[0][:, j], net.biases[0][j]]
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


def test_rows_without_a_target_count_for_nothing():
    rows = np.arange(96) % 3 != 0
    without = np.where(rows[:, None], Y, np.nan)
    there, all_rows = network(dtype="float64"), network(dtype="float64")
    for net in (there, all_rows):
        net.set_learning_rate(0.01)
    history = all_rows.fit(X, without, 5, 96, shuffle=False, missing_targets=True)
    expected = there.fit(X[rows], Y[rows], 5, 96, shuffle=False)
    np.testing.assert_allclose(all_rows.parameters, there.parameters, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-10)


def test_one_output_may_miss_some_too():
    y = np.where(GAPS[:, 0], np.nan, Y[:, 0])
    missing, weighted = (Network([5, 4, 1], seed=0) for _ in range(2))
    missing.fit(X, y, 2, 16, missing_targets=True)
    weighted.fit(X, Y[:, 0], 2, 16, sample_weight=~GAPS[:, 0])
    assert np.array_equal(missing.parameters, weighted.parameters)
    there = ~GAPS[:, 0]
    found = missing.evaluate(X, y, missing_targets=True)
    assert found == pytest.approx(missing.evaluate(X[there], y[there]), rel=1e-6)


def test_without_any_the_switch_changes_no_bit():
    for weight in (None, WEIGHT):
        on, off = network(), network()
        given = {"epochs": 2, "batch_size": 16, "sample_weight": weight}
        assert on.fit(X, Y, missing_targets=True, **given)["loss"] == off.fit(X, Y, **given)["loss"]
        assert np.array_equal(on.parameters, off.parameters)


def test_scores_leave_them_out():
    nets = [network(dtype="float64"), network(dtype="float64", seed=5)]
    for model in (nets[0], Ensemble(nets)):
        A = model.forward(X)
        parts = [~GAPS[:, j] for j in range(3)]
        r2 = [r2_score(Y[there, j], A[there, j]) for j, there in enumerate(parts)]
        squares = ((A - Y)[~GAPS] ** 2).sum() / 2 / ((~GAPS).sum() / 3)
        expected = {"loss": squares, "r2": np.mean(r2)}
        assert model.evaluate(X, NANS, missing_targets=True) == pytest.approx(expected, rel=1e-12)
    history = nets[0].fit(X, NANS, 1, validation_data=(X, NANS), missing_targets=True)
    scored = nets[0].evaluate(X, NANS, missing_targets=True)
    assert (history["val_loss"][0], history["val_r2"][0]) == (scored["loss"], scored["r2"])


@pytest.mark.parametrize("threads", [2, 3])
def test_bits_do_not_depend_on_threads(threads):
    one, several = network(), network()
    for net, count in ((one, 1), (several, threads)):
        net.fit(X, NANS, 3, 48, missing_targets=True, n_threads=count)
    assert np.array_equal(one.parameters, several.parameters)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_streams_may_miss_some_in_some_blocks(weight):
    whole, source, loader, arriving = (network() for _ in range(4))
    options = {"epochs": 2, "batch_size": 16, "shuffle": False, "missing_targets": True}
    whole.fit(X, NANS, sample_weight=weight, **options)
    source.fit(ArraySource(X, NANS, weight, block_rows=16, window_rows=32), **options)
    cuts = range(0, 96, 12)
    given = (X, NANS) if weight is None else (X, NANS, weight)
    blocks = [tuple(array[cut : cut + 12] for array in given) for cut in cuts]
    loader.fit(blocks, **options)
    arriving.fit(blocks, steps_per_epoch=6, **options)
    nets = (whole, source, loader, arriving)
    assert len({net.parameters.tobytes() for net in nets}) == 1
    with pytest.raises(ValueError, match=WORDS):
        network().fit(blocks)


def test_a_run_goes_on_from_a_checkpoint(tmp_path):
    options = {"batch_size": 16, "missing_targets": True, "validation_data": (X, NANS)}
    whole, parts = network(), network()
    expected = whole.fit(X, NANS, 4, **options)
    parts.fit(X, NANS, 2, checkpoints=tmp_path, **options)
    again = network()
    found = again.fit(X, NANS, 4, checkpoints=tmp_path, resume=True, **options)
    assert np.array_equal(again.parameters, whole.parameters)
    assert found["val_r2"] == expected["val_r2"] and found["loss"] == expected["loss"]


def test_many_networks_may_miss_them():
    jobs = [{"sizes": [5, n, 3], "seed": 0} for n in (4, 6)]
    by_output = np.outer(WEIGHT, [1, 2, 3])
    options = {"epochs": 2, "batch_size": 16}
    folds = [(np.arange(48), np.arange(48, 96)), (np.arange(48, 96), np.arange(48))]
    found = fit_many(jobs, X, NANS, folds=folds, missing_targets=True, **options).wait()
    for result in found:
        trains, tests = folds[result.fold]
        alone = Network(**jobs[result.job])
        alone.fit(X[trains], NANS[trains], missing_targets=True, **options)
        assert np.array_equal(alone.parameters, result.network.parameters)
        assert result.scores == alone.evaluate(X[tests], NANS[tests], missing_targets=True)
    own = [{**jobs[0], "sample_weight": WEIGHT}, jobs[0]]
    valid = {"validation_data": (X, Y, by_output)}
    for given in (by_output, None):
        found = fit_many(own, X, Y, sample_weight=given, **valid, **options).wait()
        for result, factor in zip(found, (WEIGHT[:, None], 1), strict=True):
            alone = Network(**jobs[0])
            weight = (np.ones((96, 3)) if given is None else given) * factor
            history = alone.fit(X, Y, sample_weight=weight, **valid, **options)
            assert np.array_equal(alone.parameters, result.network.parameters)
            assert result.history["val_r2"] == history["val_r2"]
    (failed,) = fit_many(jobs[:1], X, NANS, **options).wait()
    assert "missing_targets=True" in str(failed.error)


def test_by_default_they_are_an_error_that_names_the_switch():
    net = network()
    before = copy.deepcopy(net.parameters)
    for call in (net.fit, net.step, net.backward, net.evaluate):
        with pytest.raises(ValueError, match=WORDS):
            call(X, NANS)
        spoiled = np.where(GAPS, np.inf, Y)
        for switch in (False, True):
            with pytest.raises(ValueError, match="is inf in float32: expected finite numbers"):
                call(X, spoiled, missing_targets=switch)
        with pytest.raises(ValueError, match="y: all targets are NaN, or weigh 0"):
            call(X, np.full_like(Y, np.nan), missing_targets=True)
        with pytest.raises(ValueError, match="y: all targets are NaN, or weigh 0"):
            call(X, NANS, sample_weight=GAPS, missing_targets=True)
        with pytest.raises(ValueError, match=r"X\[0, 0\] is nan"):
            call(np.full_like(X, np.nan), NANS, missing_targets=True)
        with pytest.raises(TypeError, match="missing_targets=1"):
            call(X, Y, missing_targets=1)
    with pytest.raises(ValueError, match=r"validation_data\[1\].*missing_targets=True"):
        net.fit(X, Y, validation_data=(X, NANS))
    assert np.array_equal(net.parameters, before) and net.steps == 0


def test_classes_are_never_missing():
    labels = np.arange(96) % 3
    on, off = (network("cross_entropy", optimizer=SGD(0.1)) for _ in range(2))
    on.fit(X, labels, 2, missing_targets=True)
    off.fit(X, labels, 2)
    assert np.array_equal(on.parameters, off.parameters)
    for y in (np.where(labels, labels, np.nan), np.where(GAPS, np.nan, np.eye(3)[labels])):
        with pytest.raises(ValueError, match="y"):
            on.fit(X, y, missing_targets=True)


def test_streams_without_any_target_are_refused():
    blocks = [(X[:48], np.full((48, 3), np.nan)), (X[48:], np.full((48, 3), np.nan))]
    with pytest.raises(ValueError, match="all weights are 0"):
        network().fit(blocks, missing_targets=True)
