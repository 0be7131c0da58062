"""The edges of ramps: thresholds of trees and quantiles, of the rows that train alone."""

import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from bent_scaler import ramps_of
from fastbp import train
from fastbp.tables.columns.number import Number
from fastbp.tables.columns.ramps import edges_by_quantiles, edges_by_tree
from fastbp.tables.folds import part_of
from fastbp.tables.parts import folds_of
from ramp_tables import column_of, job_of, table

FEW = {"preset": "fast", "epochs": 3, "hidden": 8}
BY = pytest.mark.parametrize("by", ["tree", "quantiles"])


def by_scikit_learn(values, y, bins, weights=None):
    """Return the edges by scikit-learn's tree on the values as they are."""
    kind = DecisionTreeRegressor if y.dtype == float else DecisionTreeClassifier
    fewest = max(8, len(values) // 256)
    tree = kind(max_leaf_nodes=bins, min_samples_leaf=fewest, random_state=0)
    found = tree.fit(values[:, None], y, weights).tree_
    thresholds = found.threshold[found.children_left >= 0]
    return [values.min(), *np.sort(thresholds), values.max()]


def targets_of(kind, frame):
    y = frame["y"].to_numpy()
    if kind == "numbers":
        return {"y": y}
    if kind == "several":
        return {"y": y, "z": -(y**2)}
    edges = [0.8] if kind == "two classes" else [0.3, 1.2]
    return {"y": np.array(["a", "b", "c"])[np.digitize(y, edges)]}


@pytest.mark.parametrize("kind", ["numbers", "several", "two classes", "three classes"])
@pytest.mark.parametrize("weight", [None, "w"])
def test_edges_are_the_thresholds_of_a_tree_on_the_column_alone(kind, weight):
    frame = table()
    weights = np.random.default_rng(1).integers(0, 4, 600).astype(float)
    targets = targets_of(kind, frame)
    data = frame.drop("y").with_columns(w=weights, **{n: pl.Series(v) for n, v in targets.items()})
    data = data if weight else data.drop("w")
    job = job_of(data, target=list(targets), weight=weight, valid_share=0)
    y = np.column_stack(list(targets.values()))
    if y.dtype == float:  # several targets count by their deviations
        y = (y - y.mean(axis=0)) / y.std(axis=0)
    for name, values in (("x", frame["x"].to_numpy()), ("hour", frame["hour"].to_numpy())):
        known = ~np.isnan(values) & ((weights > 0) | (weight is None))
        own = weights[known] if weight else None
        right = by_scikit_learn(values[known].astype(float), np.squeeze(y[known]), 8, own)
        found = column_of(job.schema, name).edges
        assert len(right) == 9
        np.testing.assert_allclose(found, right, rtol=1e-5)


def test_numbers_that_float32_takes_for_equal_have_edges_of_their_own():
    rng = np.random.default_rng(0)
    place = rng.permutation(400)
    y = np.sin(place / 40)
    right = by_scikit_learn(place.astype(float), y, 16)
    for first, step in ((0.0, 1e-12), (1.6e9, 1.0), (1e300, 1e290)):
        edges = edges_by_tree(first + step * place, y, 16, None, classes=False)
        np.testing.assert_allclose((np.array(edges) - first) / step, right, atol=1e-3)


def test_edges_by_quantiles_are_values_below_which_a_share_of_the_rows_lies():
    frame = table()
    schema = job_of(frame, ramp_edges="quantiles", valid_share=0, ramps=7).schema
    for name in ("x", "small"):
        ascending = sorted(value for value in frame[name].to_list() if value is not None)
        n = len(ascending)
        places = [max(0, -(-k * n // 7) - 1) for k in range(8)]  # the k n / 7 -th, rounded up
        assert list(column_of(schema, name).edges) == [ascending[place] for place in places]


def test_a_row_of_weight_two_counts_as_two_rows():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=97), rng.integers(1, 4, 97)
    found = edges_by_quantiles(values, 6, weights.astype(float))
    assert found == edges_by_quantiles(np.repeat(values, weights), 6, None)
    assert found != edges_by_quantiles(values, 6, None)


@BY
def test_few_values_have_few_ramps_and_two_have_none(by):
    rng = np.random.default_rng(0)
    few, two = rng.integers(0, 4, 400), rng.integers(0, 2, 400) * 7.5
    data = {"few": few, "two": two, "one": np.ones(400), "y": few % 2 + 0.1 * rng.normal(size=400)}
    schema = job_of(data, ramps=16, ramp_edges=by, valid_share=0).schema
    assert (
        column_of(schema, "few").edges
        == {"tree": (0.0, 0.5, 1.5, 2.5, 3.0), "quantiles": (0.0, 1.0, 2.0, 3.0)}[by]
    )
    assert column_of(schema, "two").edges == ()
    assert [column.reason for column in schema.dropped] == ["constant"]


@BY
def test_a_table_of_few_rows_has_no_ramps_or_few(by):
    data = {"x": np.arange(12.0) ** 2, "y": np.arange(12.0) % 3 + 0.5}
    model = train(data, "y", ramps=16, ramp_edges=by, valid_share=0, **FEW)
    edges = model.schema.columns[0].edges
    assert (edges == ()) if by == "tree" else edges == tuple(np.arange(12.0) ** 2)
    assert np.isfinite(model.predict(data)["prediction"].to_numpy()).all()


ODD = {
    "tiny": np.arange(40) * 1e-300,
    "adjacent": 1e15 + 0.125 * np.arange(40),
    "huge": np.linspace(-1e150, 1e150, 40),
    "zeros of both signs": np.array([-0.0, 0.0, 1.0, 2.0] * 10),
    "heavy tails": np.tan(np.linspace(-1.57, 1.57, 40)) ** 3,
    "mostly one value": np.array([0.0] * 30 + [1.0, 2.0, 3.0] + [4.0] * 7),
}


@pytest.mark.parametrize("key", ODD)
@pytest.mark.parametrize("weighted", [False, True])
def test_edges_of_odd_numbers_ascend_from_the_least_to_the_largest(key, weighted):
    values = ODD[key]
    y = np.argsort(np.argsort(values, kind="stable")) % 20 / 3.0
    weights = 1e-9 + np.random.default_rng(0).random(40) ** 9 if weighted else None
    for edges in (
        edges_by_tree(values, y, 4, weights, classes=False),
        edges_by_tree(values, (y > 3).astype(int), 4, weights, classes=True),
        edges_by_quantiles(values, 4, weights),
    ):
        assert len(edges) in (0, *range(3, 6))
        if not edges:
            continue
        assert (np.diff(edges) > 0).all()
        assert values.min() <= edges[0] and edges[-1] <= values.max()
        column = Number("a", False, edges=edges)
        features = np.zeros((40, column.width))
        column.encode(pl.Series(values), (), features, 0)
        np.testing.assert_allclose(features[:, 1:], ramps_of(values, edges), atol=1e-12)


@BY
def test_many_rows_are_sampled_evenly(by):
    rng = np.random.default_rng(0)
    x = rng.normal(size=150_000)
    data = pl.DataFrame({"x": x, "y": np.floor(2 * x) + 0.5})
    edges = np.array(job_of(data, ramps=4, ramp_edges=by, valid_share=0).schema.columns[0].edges)
    if by == "quantiles":
        shares = [(x <= edge).mean() for edge in edges]
        np.testing.assert_allclose(shares, [0, 0.25, 0.5, 0.75, 1], atol=2e-3)
    else:  # y steps at whole multiples of a half
        np.testing.assert_allclose(edges[1:-1], np.rint(2 * edges[1:-1]) / 2, atol=1e-3)


# ---------------------------------------------------------------------------------- leakage


@BY
def test_rows_that_validate_do_not_move_edges(by):
    frame = table()
    job = job_of(frame, ramp_edges=by, seed=3)
    held = pl.Series(job.split.validates)
    assert 100 < held.sum() < 140

    def altered(rows):
        changed = (pl.when(rows).then(5 - 3 * pl.col(n)).otherwise(n).alias(n) for n in ("x", "y"))
        return job_of(frame.with_columns(changed), ramp_edges=by, seed=3)

    assert column_of(altered(held).schema, "x").edges == column_of(job.schema, "x").edges
    assert column_of(altered(~held).schema, "x").edges != column_of(job.schema, "x").edges


def test_rows_of_another_table_that_validate_do_not_move_edges():
    frame, other = table(), table(seed=1).with_columns(x=100 * pl.col("x"))
    models = [train(frame, "y", valid=rows, ramps=8, **FEW) for rows in (other, other[:50])]
    assert models[0].schema == models[1].schema
    assert column_of(models[0].schema, "x").edges[-1] == frame["x"].max()


def test_each_fold_has_edges_of_its_own_rows():
    frame = table()
    job = job_of(frame, folds=3, valid_share=0)
    _, folds = folds_of(job)
    for trains, _ in folds:
        schema = part_of(job, job.options, trains).schema
        values, y = frame["hour"].to_numpy()[trains], frame["y"].to_numpy()[trains]
        right = by_scikit_learn(values.astype(float), y, 8)
        np.testing.assert_allclose(column_of(schema, "hour").edges, right)
    model = train(frame, "y", folds=3, ramps=8, **FEW)
    assert len(model.record["folds"]["scores"]) == 3


def test_targets_that_are_missing_or_clipped_do_not_count():
    frame = table().drop("x")
    spoiled = frame.with_columns(y=pl.when(pl.int_range(600) < 40).then(None).otherwise("y"))
    found, right = (
        column_of(job_of(data, valid_share=0).schema, "hour").edges
        for data in (spoiled, frame[40:])
    )
    assert found == right
    wild = frame.with_columns(y=pl.when(pl.int_range(600) == 7).then(1e30).otherwise("y"))
    edges = column_of(job_of(wild, valid_share=0, clip_target=5).schema, "hour").edges
    near = np.clip(np.array(edges)[:, None] - [8.5, 16.5], -1e9, 1e9)
    assert (np.abs(near).min(axis=0) == 0).all()  # the steps of y are still found
