"""Where numbers lie and how far apart: scikit-learn's scaler for targets, quartiles for inputs."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from bent_scaler import BentScaler
from fastbp.errors import DataError
from fastbp.tables.columns.scaling import Quartiles, Standard


def test_a_huge_constant_has_a_scale_of_one_and_warns_of_nothing(recwarn):
    ours = Standard()
    ours.add(np.full(1000, 2.0**997))  # whose sums are exact
    assert ours.mean_and_scale("x", "t.csv") == (2.0**997, 1.0)
    assert list(recwarn) == []


@pytest.mark.parametrize("frames", [1, 2, 7])
@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=1000),
        1e9 + np.random.default_rng(1).normal(size=1000),
        np.random.default_rng(2).lognormal(sigma=9, size=1000),
        np.where(np.arange(1000) % 3, np.nan, np.arange(1000.0)),
        np.full(1000, 0.1),
        np.full(1000, np.nan),
        np.where(np.arange(1000) < 500, np.nan, 5.0),
        np.repeat([1e200, 3e-200], 500),
    ],
    ids=["normal", "far", "wide", "gaps", "constant", "none", "one", "tiny"],
)
def test_mean_and_scale_are_those_of_scikit_learn_s_scaler(values, frames):
    ours, scaler = Standard(), StandardScaler()
    with np.errstate(all="ignore"):
        for part in np.array_split(values, frames):
            ours.add(part)
            if not np.isnan(part).all():
                scaler.partial_fit(part[:, None])
    if np.isnan(values).all():
        assert ours.mean_and_scale("x", "t.csv") == (0.0, 1.0)
    elif not np.isfinite(scaler.var_[0]):
        with pytest.raises(DataError, match="too large to square"):
            ours.mean_and_scale("x", "t.csv")
    else:
        expected = (scaler.mean_[0], scaler.scale_[0])
        np.testing.assert_allclose(ours.mean_and_scale("x", "t.csv"), expected, rtol=1e-12)


def spread_of(values, frames=1):
    quartiles = Quartiles()
    for part in np.array_split(values, frames):
        quartiles.add(part)
    return quartiles.spread(np.nanmin(values), np.nanmax(values))


@pytest.mark.parametrize("junk", [1e6, 1e30, -1e15])
def test_one_cell_changes_next_to_nothing(junk):
    values = np.random.default_rng(0).normal(50, 20, 400)
    clean, spoilt = spread_of(values), spread_of(np.append(values, junk))
    # bent to three deviations, one of 401 adds at most 3^2 / 401 to the variance
    np.testing.assert_allclose(spoilt[:2], clean[:2], rtol=0.025)


@pytest.mark.parametrize("period", [2, 7, 24, 4096])
def test_a_sample_of_many_numbers_has_the_quartiles_of_all(period):
    values = np.tile(np.random.default_rng(1).normal(size=period), 1_000_000 // period)
    values = values + np.linspace(0, 1, len(values))
    found, whole = spread_of(values, 16), BentScaler().fit(values[:, None]).parts_[0]
    np.testing.assert_allclose(found, whole, rtol=0.02, atol=0.02)


def test_a_spread_does_not_depend_on_the_frames():
    values = np.random.default_rng(2).lognormal(sigma=2, size=300_000)
    assert spread_of(values, 1) == spread_of(values, 5)


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_rare_values_beside_one_that_is_common_have_a_scale(share):
    values = (np.arange(1000) < 1000 * share).astype(float)
    center, scale, _ = spread_of(values)
    np.testing.assert_allclose([center, scale], [values.mean(), values.std()], rtol=1e-12)


def test_numbers_that_differ_by_rounding_alone_have_a_scale_of_one():
    values = np.full(100, 1e9)
    values[::2] = np.nextafter(1e9, 2e9)
    center, scale, _ = spread_of(values)
    assert scale == 1
    assert center == pytest.approx(1e9)
