"""Categories beyond those that become features: their effects on the target, without leaks."""

import math

import numpy as np
import polars as pl
import pytest

from command_line import fastbp
from fastbp import TableModel, train
from fastbp.tables.columns.effects import PARTS, EffectsFit, parts_of
from fastbp.tables.columns.encoding import Encoder

OPTIONS = {"epochs": 30, "hidden": (32,)}


def effects_by_hand(names, values, parts, left_out=None):
    """Return the effect of each category: means and variances by loops over rows."""
    groups = {}
    for name, value in zip(names, values, strict=True):
        groups.setdefault(name, []).append(value)
    n, k = len(values), len(groups)
    grand = math.fsum(values) / n
    means = {name: math.fsum(group) / len(group) for name, group in groups.items()}
    within = math.fsum((v - means[name]) ** 2 for name, v in zip(names, values, strict=True))
    within /= n - k
    among = sum(len(group) * (means[name] - grand) ** 2 for name, group in groups.items())
    typical = (n - sum(len(group) ** 2 for group in groups.values()) / n) / (k - 1)
    variance = (among / (k - 1) - within) / typical
    effects = {}
    for name in groups:
        seen = [
            value
            for other, value, part in zip(names, values, parts, strict=True)
            if other == name and part != left_out
        ]
        shrunken = math.fsum(value - grand for value in seen) / (len(seen) + within / variance)
        effects[name] = shrunken / math.sqrt(variance)
    return effects


def test_effects_are_those_computed_by_hand():
    rng = np.random.default_rng(0)
    effect = rng.normal(size=30)
    places = rng.integers(0, 30, 400)
    values = effect[places] + rng.normal(size=400)
    parts = parts_of(np.arange(400))
    names = [f"c{place:02}" for place in range(30)]
    fit = EffectsFit(names, ["y"])
    for rows in (slice(0, 150), slice(150, 400)):  # frame by frame
        fit.add(places[rows], parts[rows], values[rows, None])
    found = fit.fitted()
    each = np.arange(30)
    for column, left_out in enumerate([None, *range(PARTS)]):
        by_hand = effects_by_hand(places.tolist(), values.tolist(), parts.tolist(), left_out)
        expected = [by_hand[place] for place in each]
        np.testing.assert_allclose(found.of(each, column)[:, 0], expected, atol=2e-6)
    assert (found.of(np.array([-1])) == 0).all()


def test_parts_are_even_whatever_the_order_of_rows():
    rows = np.arange(10_000)
    for every in (1, 2, 3, 5, 7, 10, 100):
        counts = np.bincount(parts_of(rows[::every]), minlength=PARTS)
        expected = len(rows[::every]) / PARTS
        assert (np.abs(counts - expected) <= 1 + 0.2 * expected).all()


def crowd(rows=6_000, categories=1_500, noise=0.5, seed=0):
    """Return a table whose target depends on which of many categories a row has."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=categories)
    place = rng.integers(0, categories, rows)
    x = rng.normal(size=rows)
    shops = pl.Series([f"shop {each}" for each in place])
    return pl.DataFrame(
        {"shop": shops, "x": x, "y": effect[place] + x + noise * rng.normal(size=rows)}
    )


def effects_among(model):
    """Return the features that are effects."""
    return [name for name in model.schema.feature_names if name.startswith("effect of")]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("through", ["command", "Python"])
def test_rare_categories_tell_of_the_target(tmp_path, kind, through, capsys):
    frame = crowd()
    learned, asked = tmp_path / f"learned.{kind}", tmp_path / f"asked.{kind}"
    for part, path in ((frame[:5_000], learned), (frame[5_000:], asked)):
        part.write_csv(path) if kind == "csv" else part.write_parquet(path)
    if through == "Python":
        model = train(learned, "y", **OPTIONS)
    else:
        file = tmp_path / "m.fbp"
        options = ("--target", "y", "--epochs", 30, "--hidden", 32, "--output", file)
        told = fastbp("train", learned, *options)
        assert "in the others, known by their effect on 'y'" in told.err
        model = TableModel.load(file)
    assert effects_among(model) == ["effect of shop on y"]
    # of the variance of y, 2.25, the categories have 1 and noise .25; two thirds are rare, and
    # three rows each tell (1 + .25 / 3) / (1 + ...) of it: without effects R2 is about .6
    assert model.evaluate(asked)["r2"] > 0.7


def test_pure_noise_is_not_learned_by_its_own_rows():
    rng = np.random.default_rng(1)
    frame = crowd(noise=0.0).with_columns(y=pl.Series(rng.normal(size=6_000)))
    model = train(frame[:5_000], "y", **OPTIONS)
    assert model.evaluate(frame[5_000:])["r2"] > -0.15


def test_a_row_that_trains_is_not_told_its_own_target():
    frame = crowd(rows=4_000, categories=1_000)
    names = [f"only {row}" if row < 400 else name for row, name in enumerate(frame["shop"])]
    frame = frame.with_columns(shop=pl.Series(names))
    model = train(frame, "y", valid_share=0.0, epochs=1, hidden=(4,))
    place = model.schema.feature_names.index("effect of shop on y")
    trains = np.ones(len(frame), bool)
    told, told_later = (
        Encoder(model.schema, trains=among).encode(frame)[:, place] for among in (trains, None)
    )
    once = np.array([name.startswith("only") for name in names])
    is_rare = np.array([name not in model.schema.columns[0].categories for name in names])
    assert (told[once] == 0).all()
    assert (told_later[once & is_rare] != 0).all()
    assert np.corrcoef(told[~once & is_rare], frame["y"].to_numpy()[~once & is_rare])[0, 1] > 0.3


@pytest.mark.parametrize("classes", [2, 3])
def test_effects_on_classes(classes):
    frame = crowd()
    edges = np.quantile(frame["y"].to_numpy(), np.arange(1, classes) / classes)
    names = np.array(["low", "high", "top"])[np.searchsorted(edges, frame["y"].to_numpy())]
    frame = frame.with_columns(y=pl.Series(names))
    model = train(frame[:5_000], "y", **OPTIONS)
    on = ["y=low"] if classes == 2 else ["y=high", "y=low", "y=top"]
    assert effects_among(model) == [f"effect of shop on {each}" for each in on]
    assert model.evaluate(frame[5_000:])["accuracy"] > 1 / classes + 0.2


def test_effects_on_several_targets_in_a_file(tmp_path):
    frame = crowd().with_columns(z=-2 * pl.col("y") + 1)
    model = train(frame[:5_000], ["y", "z"], **OPTIONS)
    assert effects_among(model) == ["effect of shop on y", "effect of shop on z"]
    model.save(tmp_path / "m.fbp")
    again = TableModel.load(tmp_path / "m.fbp")
    assert again.schema == model.schema
    asked = frame[5_000:]
    assert again.predict(asked).equals(model.predict(asked))
    assert model.evaluate(asked)["r2"] > 0.6


def test_a_rare_number_is_one_category_however_it_is_written():
    frame = crowd().with_columns(shop=pl.col("shop").str.slice(5).cast(pl.Int64))
    model = train(frame[:5_000], "y", categorical=["shop"], **OPTIONS)
    asked = frame[5_000:]
    floats = asked.with_columns(shop=pl.col("shop").cast(pl.Float64))
    assert model.predict(floats).equals(model.predict(asked))


def test_missing_and_unknown_categories_have_no_effect():
    frame = crowd().with_columns(shop=pl.when(pl.int_range(pl.len()) % 10 > 0).then(pl.col("shop")))
    model = train(frame, "y", epochs=1, hidden=(4,))
    place = model.schema.feature_names.index("effect of shop on y")
    asked = pl.DataFrame({"shop": [None, "never seen"], "x": [0.0, 0.0]})
    X = Encoder(model.schema).encode(asked)
    assert (X[:, place] == 0).all()
    assert X[0, model.schema.feature_names.index("shop is missing")] == 1
    assert X[1, model.schema.feature_names.index("shop is another")] == 1


def test_an_outlying_target_does_not_rule_the_effects():
    frame = crowd()
    spoiled = frame[:5_000].with_columns(
        y=pl.when(pl.int_range(pl.len()) == 7).then(1e30).otherwise(pl.col("y"))
    )
    model = train(spoiled, "y", loss="huber", **OPTIONS)
    assert model.evaluate(frame[5_000:])["r2"] > 0.65


def test_no_row_is_told_the_targets_of_its_group():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(1_500), 4)
    x, effect = rng.normal(size=(2, 6_000)), rng.normal(size=1_500)
    # a site of each group: what it is worth is known only from the group itself
    table = pl.DataFrame({"g": group, "site": [f"s{n}" for n in group], "x": x[0]})
    table = table.with_columns(y=pl.Series(effect[group] + x[0] + 0.1 * x[1]))
    model = train(table, "y", group="g", categorical=["site"], valid_share=0.2, **OPTIONS)
    alone = train(table, "y", group="g", drop=["site"], valid_share=0.2, **OPTIONS)
    r2 = [each.record["metrics"]["valid"]["r2"] for each in (model, alone)]
    assert r2[0] > r2[1] - 0.05
    rows = rng.permutation(6_000)
    parts = parts_of(rows, group)
    for part in range(PARTS):
        assert not set(group[rows[parts == part]]) & set(group[rows[parts != part]])
