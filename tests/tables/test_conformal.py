"""Intervals of regressions: against ranks and sums by hand, and how many rows they hold."""

import math
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import fastbp
from fastbp import ModelFileError, TableModel, model_file, train
from fastbp.tables.conformal import residuals_of
from fastbp.tables.unseen import Unseen
from table_makers import people

RUN = {"preset": "fast", "hidden": 8, "epochs": 8}
NUMBERS = people(400, target="number")
HELD, NEW = people(150, 1, target="number"), people(80, 2, target="number")


class Known:
    """A network whose outputs are its inputs."""

    def forward(self, X, n_threads):
        return X


def kept(sizes, weights=None):
    """Return the `Residuals` of a target whose predictions are off by `sizes`."""
    schema = train(NUMBERS, "y", drop="code", **RUN).schema
    X = np.zeros((len(sizes), 1))
    y = np.asarray(sizes) / schema.target.scale
    return residuals_of(schema, [Unseen((Known(),), X, y, weights)], 1)[0]


def rows(count, seed, noise=lambda rng, x: 0.5 * rng.normal(size=len(x))):
    """Return a frame of two numbers, and a third that they tell but for noise."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-2, 2, (2, count))
    return pl.DataFrame({"a": a, "b": b, "y": np.sin(2 * a) + b + noise(rng, a)})


def shares(scored, frame, name="y", of=""):
    """Return the share of rows within their intervals, counted one by one."""
    bounds = zip(scored[f"lower{of}"], scored[f"upper{of}"], frame[name], strict=True)
    return sum(low <= y <= high for low, high, y in bounds) / len(frame)


def radius(scored, of=""):
    """Return half of the width of intervals, which is that of every row."""
    half = (scored[f"upper{of}"] - scored[f"lower{of}"]).to_numpy() / 2
    np.testing.assert_allclose(half, half[0], rtol=1e-9)
    middle = (scored[f"upper{of}"] + scored[f"lower{of}"]).to_numpy() / 2
    np.testing.assert_allclose(middle, scored[f"prediction{of}"].to_numpy(), rtol=1e-9)
    return half[0]


def ranked(residuals, level):
    """Return the residual of rank ceil((n + 1) level), which is whole where the product is."""
    place = math.ceil(round((len(residuals) + 1) * level, 9))
    return np.sort(np.abs(np.asarray(residuals)))[place - 1]


# ------------------------------------------------------------------------------ the quantile


def test_it_is_the_residual_of_rank_n_plus_1_times_the_level():
    rng = np.random.default_rng(0)
    for count in (9, 10, 57, 99, 500):
        sizes = rng.normal(size=count)
        found = kept(sizes)
        assert found.rows == count
        for level in (0.1, 0.5, 0.8, 0.9):
            assert found.within(level) == pytest.approx(ranked(sizes, level), rel=1e-6)


def test_a_level_that_rows_do_not_reach_names_how_many_it_takes():
    assert kept(np.arange(9.0)).within(0.9) == pytest.approx(8)
    assert kept(np.arange(99.0)).within(0.99) == pytest.approx(98)
    for count, level, needed in ((8, 0.9, "9"), (98, 0.99, "99"), (500, 0.9999, "9,999")):
        with pytest.raises(
            ValueError, match=rf"interval={level}: it takes {needed} or more.*ha"
        ) as e:
            kept(np.arange(float(count))).within(level)
        assert f"the model has {count:,}" in str(e.value)


def test_weights_are_shares_of_all_and_of_one_more_of_mean_weight():
    rng = np.random.default_rng(1)
    sizes, weights = rng.normal(size=60), rng.uniform(0.1, 5, 60)
    weights[7] = 0
    total = weights.sum() * (1 + 1 / 59)
    for level in (0.2, 0.5, 0.9):
        least = min(
            size
            for size in np.abs(sizes)
            if sum(w for s, w in zip(np.abs(sizes), weights, strict=True) if s <= size) / total
            >= level
        )
        assert kept(sizes, weights).within(level) == pytest.approx(least, rel=1e-6)
    assert kept(sizes, np.full(60, 3.0)) == kept(sizes, np.ones(60))


def test_of_many_rows_a_file_keeps_some_that_are_no_smaller():
    sizes = np.random.default_rng(2).standard_t(3, 50_000)
    found = kept(sizes)
    assert len(found.sizes) <= 1000 and found.rows == 50_000
    ordered = np.sort(np.abs(sizes))
    for level in (0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99998):
        size = found.within(level)
        assert size >= ranked(sizes, level) * (1 - 1e-6)
        beyond = np.searchsorted(ordered, size * (1 - 1e-6)) / 50_000 - level
        assert beyond < min(0.0025, 0.03 * (1 - level) + 2 / 50_000)


class Column:
    """A network whose output is one of its inputs."""

    def __init__(self, place):
        self.place = place

    def forward(self, X, n_threads):
        return X[:, self.place : self.place + 1]


@pytest.mark.parametrize("noise, apart", [(1, 0), (1, 0.5), (1, 2), (0, 1)])
def test_by_folds_they_are_those_of_the_mean_of_networks(noise, apart):
    schema = train(NUMBERS, "y", drop="code", **RUN).schema
    rng, count, networks = np.random.default_rng(0), 8000, [Column(place) for place in range(5)]
    truth = rng.normal(size=(count, 1))
    X = truth + rng.normal(scale=apart, size=(count, 5))
    y = (truth + rng.normal(scale=noise, size=(count, 1)))[:, 0]
    unseen = []
    for place, network in enumerate(networks):
        rows = slice(place, None, 5)
        others = [each for each in networks if each is not network]
        unseen.append(Unseen((network,), X[rows], y[rows], None, others))
    found = residuals_of(schema, unseen, 1)[0].within(0.9) / schema.target.scale
    # normal errors, of which a mean of five has a fifth of the networks' variance
    assert found == pytest.approx(1.645 * math.hypot(noise, apart / math.sqrt(5)), rel=0.05)


# ------------------------------------------------------------------------------ a training

KINDS = {"one": {}, "seeds": {"ensemble": 3}, "bags": {"ensemble": 3, "ensemble_by": "bags"}}
KINDS |= {"streamed": {"memory": 30_000}, "float64": {"dtype": "float64"}}


@pytest.mark.parametrize("kind", KINDS)
def test_the_residuals_are_those_of_the_rows_that_validate(kind):
    model = train(NUMBERS, "y", valid=HELD, **RUN, **KINDS[kind])
    assert model.record["streamed"] == (kind == "streamed")
    residuals = HELD["y"] - model.predict(HELD)["prediction"]
    for level in (0.5, 0.9, 0.99):
        scored = model.predict(NEW, interval=level)
        assert radius(scored) == pytest.approx(ranked(residuals, level), rel=1e-5)
        assert scored.drop("lower", "upper").equals(model.predict(NEW))


def test_no_rows_have_no_intervals():
    model = train(NUMBERS, "y", valid=HELD, **RUN)
    assert model.predict(NEW[:0], interval=0.9).columns[-2:] == ["lower", "upper"]


@pytest.mark.parametrize("weighted", [False, True])
def test_by_folds_they_are_those_out_of_fold(weighted):
    weight = np.random.default_rng(0).integers(1, 4, 400)
    more = {"weight": "w"} if weighted else {}
    frame = NUMBERS.with_columns(w=pl.Series(weight))
    model = train(
        frame, "y", ensemble=3, ensemble_by="folds", drop=["w"] * (not weighted), **RUN, **more
    )
    sizes = np.abs(frame["y"] - model.out_of_fold["prediction"]).to_numpy()
    weights = weight if weighted else np.ones(400)
    # of three networks, the two that trained on a row have half of the square of their gap as
    # variance, of which the mean of three takes two thirds
    each = np.stack(
        [TableModel(net, model.schema).predict(frame)["prediction"] for net in model.network]
    )
    fold = model.out_of_fold["fold"].to_numpy()
    gaps = [np.diff(np.delete(each[:, row], fold[row] - 1))[0] for row in range(400)]
    taken = np.average(np.square(gaps), weights=weights) / 3
    sizes = sizes * math.sqrt(1 - taken / np.average(sizes**2, weights=weights))
    order = np.argsort(sizes)
    among = np.cumsum(weights[order]) >= 0.9 * (weights.sum() + weights.mean())
    scored = model.predict(NEW.with_columns(w=pl.lit(1)), interval=0.9)
    assert radius(scored) == pytest.approx(sizes[order][among.argmax()], rel=1e-5)


def test_each_of_several_targets_has_its_own_and_keeps_the_names_of_columns():
    frames = [
        f.with_columns(z=pl.col("age").fill_null(0) * 2 + pl.col("y")) for f in (NUMBERS, HELD)
    ]
    model = train(frames[0], ["y", "z"], valid=frames[1], ids="code", **RUN)
    scored = model.predict(frames[1].with_columns(lower=pl.lit("kept")), interval=0.8, keep="lower")
    plain = model.predict(frames[1])
    for name in ("y", "z"):
        residuals = frames[1][name] - plain[f"prediction of {name}"]
        assert radius(scored, f" of {name}") == pytest.approx(ranked(residuals, 0.8), rel=1e-5)
    one = train(NUMBERS, "y", valid=HELD, **RUN)
    taken = one.predict(NEW.with_columns(lower=pl.lit("kept")), interval=0.8, keep="lower")
    assert set(taken["lower"]) == {"kept"} and (taken["lower_"] < taken["prediction"]).all()


def test_of_several_quantiles_the_outermost_are_moved():
    train_rows, held, new = rows(800, 0), rows(1500, 1), rows(4000, 2)
    model = train(train_rows, "y", valid=held, quantile=(0.2, 0.5, 0.8), epochs=20)
    plain, scored = model.predict(held), model.predict(new, interval=0.9)
    low, high = (plain[f"prediction of y at {level}"].to_numpy() for level in (0.2, 0.8))
    y = held["y"].to_numpy()
    beyond = np.sort(np.where(y < (low + high) / 2, low - y, y - high))
    moved = beyond[math.ceil(1501 * 0.9) - 1]
    names = ("prediction of y at 0.2", "prediction of y at 0.8")
    np.testing.assert_allclose(scored["lower"], scored[names[0]] - moved, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scored["upper"], scored[names[1]] + moved, rtol=1e-5, atol=1e-5)
    assert abs(shares(scored, new) - 0.9) < 0.03
    narrow = model.predict(new, interval=0.05)  # moved inwards, past one another
    assert (narrow["lower"] <= narrow["upper"]).all()


@pytest.mark.parametrize("level", [0.5, 0.9])
@pytest.mark.parametrize("kind", ["one", "folds"])
def test_intervals_hold_the_share_of_new_rows(kind, level):
    def noise(rng, x):
        return (0.2 + 0.5 * np.abs(x)) * rng.standard_t(4, len(x))

    more = {"ensemble": 5, "ensemble_by": "folds"} if kind == "folds" else {"valid_share": 0.5}
    found = []
    for seed in range(4):
        model = train(rows(2000, seed, noise), "y", seed=seed, **more)
        new = rows(5000, 100 + seed, noise)
        found.append(shares(model.predict(new, interval=level), new))
    assert abs(np.mean(found) - level) < 0.02


def test_a_rate_has_no_interval_below_0():
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    frame = pl.DataFrame({"x": x, "y": rng.poisson(np.exp(x / 2))})
    model = train(frame, "y", loss="poisson", epochs=10)
    scored = model.predict(frame, interval=0.95)
    assert scored["lower"].min() == 0 and (scored["upper"] > scored["prediction"]).all()
    inside = scored.filter(pl.col("lower") > 0)
    np.testing.assert_allclose(
        inside["prediction"] - inside["lower"], (scored["upper"] - scored["prediction"])[0]
    )


def test_targets_that_were_clipped_lie_anywhere_beyond():
    held = rows(300, 1).with_columns(
        y=pl.when(pl.int_range(300) < 12).then(1e4).otherwise(pl.col("y"))
    )
    model = train(rows(800, 0), "y", valid=held, clip_target=5, **RUN)
    residuals = (held["y"] - model.predict(held)["prediction"]).to_numpy()
    scored = model.predict(held, interval=0.95)
    assert radius(scored) == pytest.approx(ranked(residuals, 0.95), rel=1e-5)
    with pytest.raises(ValueError, match=r"interval=0.97: .*more than 0.03 of the rows were clip"):
        model.predict(held, interval=0.97)


def test_where_all_targets_were_clipped_there_are_none(tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=200), "y": np.tile([1.0, 5.0], 100)})
    frame = frame.with_columns(y=pl.col("y") + pl.Series(rng.normal(scale=0.01, size=200)))
    for preset in ("fast", "default"):
        model = train(frame, "y", clip_target=0.5, preset=preset, epochs=2, hidden=4)
        model.save(tmp_path / "model")
        for each in (model, TableModel.load(tmp_path / "model")):
            assert each.residuals[0].rows == (40 if preset == "fast" else 200)
            assert each.residuals[0].sizes == each.residuals[0].shares == ()
            assert each.predict(frame)["prediction"].is_finite().all()
            with pytest.raises(ValueError, match=r"interval=0.1: .*than 0.9 of the rows were clip"):
                each.predict(frame, interval=0.1)


# ------------------------------------------------------------------------------ files, refusals


def test_a_file_keeps_them_and_one_without_them_its_bytes(tmp_path):
    model = train(NUMBERS, "y", valid=HELD, **RUN)
    model.save(tmp_path / "new")
    loaded = TableModel.load(tmp_path / "new")
    assert loaded.predict(NEW, interval=0.9).equals(model.predict(NEW, interval=0.9))
    content = model_file.load(tmp_path / "new")
    sections = {name: data for name, data in content.sections.items() if name != "residuals"}
    model_file.save(tmp_path / "old", replace(content, sections=sections))
    old = TableModel.load(tmp_path / "old")
    assert old.predict(NEW).equals(model.predict(NEW)) and old.fingerprint == model.fingerprint
    old.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "old").read_bytes()
    with pytest.raises(ValueError, match=r"interval=0.9: .*no residuals.*train it again"):
        old.predict(NEW, interval=0.9)


@pytest.mark.parametrize(
    "data, why",
    [
        ([], "0 of 1 targets"),
        ([{"rows": 3, "sizes": [1.0], "shares": [0.2, 0.4]}], "1 sizes, but 2 shares"),
        ([{"rows": 3, "sizes": [1.0], "shares": [1.5]}], "Expected `float` < 1"),
        ([{"rows": 3, "sizes": [2.0, 1.0], "shares": [0.2, 0.4]}], "ascending"),
        ({"rows": 3}, "residuals"),
    ],
)
def test_a_file_of_residuals_that_cannot_be_is_refused(tmp_path, data, why):
    train(NUMBERS, "y", valid=HELD, **RUN).save(tmp_path / "model")
    content = model_file.load(tmp_path / "model")
    sections = content.sections | {"residuals": data}
    model_file.save(tmp_path / "bad", replace(content, sections=sections))
    with pytest.raises(ModelFileError, match=f"bad describes residuals that cannot be: .*{why}"):
        TableModel.load(tmp_path / "bad")


def test_what_has_no_intervals_is_refused():
    classes = train(people(), "y", **RUN)
    with pytest.raises(ValueError, match=r"interval=0.9: classes have no intervals: the probabil"):
        classes.predict(people(), interval=0.9)
    none = train(NUMBERS, "y", valid_share=0, **RUN)
    assert none.residuals == ()
    with pytest.raises(ValueError, match=r"no residuals of rows that did not train"):
        none.predict(NEW, interval=0.9)
    model = train(NUMBERS, "y", **RUN)
    for wrong, error in ((0, ValueError), (1, ValueError), ("0.9", TypeError), (True, TypeError)):
        with pytest.raises(error, match=f"interval={wrong!r}"):
            model.predict(NEW, interval=wrong)


def test_a_training_that_is_to_go_on_has_none(tmp_path):
    def ends(entry):
        if entry["epoch"] == 3:
            signal.raise_signal(signal.SIGINT)

    for frame in (NUMBERS, people()):
        folder = tmp_path / f"{frame['y'].dtype}"
        given = {"checkpoints": folder, **RUN, "epochs": 60, "patience": 0}
        broken = train(frame, "y", callbacks=ends, **given)
        assert broken.record["stopped"] == "interrupted"
        assert broken.residuals == () and broken.record["temperature"] is None
        whole = train(frame, "y", **{**given, "checkpoints": None})
        resumed = train(frame, "y", resume=True, **given)
        assert resumed.residuals == whole.residuals
        assert resumed.fingerprint == whole.fingerprint


def test_the_command_adds_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NEW.write_csv("new.csv")
    model = train(NUMBERS, "y", **RUN)
    model.save("model")
    train(people(), "y", **RUN).save("classes")
    assert fastbp("predict", "model", "new.csv", "--interval", 0.9, "-o", "scored.csv").code == 0
    scored = pl.read_csv("scored.csv")
    assert scored.columns == ["code", "prediction", "lower", "upper"]
    np.testing.assert_allclose(scored["upper"], model.predict(NEW, interval=0.9)["upper"])
    for name, level, why in (
        ("model", "0.999", "--interval 0.999: it takes 999 or more rows"),
        ("model", "1.5", "--interval 1.5: expected a number greater than 0 and less than 1"),
        ("classes", "0.9", "--interval 0.9: classes have no intervals"),
    ):
        done = fastbp("predict", name, "new.csv", "--interval", level, "-o", "none.csv")
        assert done.code == 2 and why in done.err
        assert not Path("none.csv").exists()
