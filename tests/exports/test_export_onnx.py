"""Networks, and models of tables with their preprocessing, as ONNX: onnxruntime gives the same."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("polars")  # of which the models of tables are made

import onnx
import onnxruntime as ort
import polars as pl

from bent_scaler import bend, ramps_of
from export_nets import (
    N_IN,
    both_dtypes,
    check,
    check_bad_networks,
    check_unwritable,
    every_activation,
    filled,
    net_of,
    rows,
    written,
)
from fastbp import Network, train
from fastbp.exports.onnx import to_onnx
from fastbp.tables.columns.effects import Effects
from fastbp.tables.columns.kinds import Boolean, Category, Date, Number
from fastbp.tables.columns.schema import Schema, Target
from fastbp.tables.model import TableModel


def session_of(model):
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def run(model, inputs):
    """The outputs by name, in order; each has the type and the shape that the model promises."""
    session = session_of(model)
    outputs = session.run(None, inputs)
    types = {"float32": "float", "float64": "double", "int64": "int64", "object": "string"}
    for promised, value in zip(session.get_outputs(), outputs, strict=True):
        assert promised.type == f"tensor({types[value.dtype.name]})"
        assert promised.shape == ["n", *value.shape[1:]]
    return dict(zip([o.name for o in session.get_outputs()], outputs, strict=True))


# ----------------------------------------------------------------- networks


@both_dtypes
@every_activation
def test_a_network_gives_the_same_outputs(activation, dtype):
    net, X = net_of(activation, dtype), rows().astype(dtype)
    found = run(to_onnx(net), {"X": X})
    assert found["outputs"].dtype == dtype
    # the runtime has no Erf of doubles
    check(found["outputs"], net, X, 1e-6 if activation == "gelu" else None)


@both_dtypes
@every_activation
def test_inputs_far_from_zero_are_no_trouble(activation, dtype):
    if activation == "exp":
        pytest.skip("it is infinite there")
    net = net_of(activation, dtype)
    X = (rows() * np.array([1.0, -30, 300, -3000, 30000])).astype(dtype)
    check(run(to_onnx(net), {"X": X})["outputs"], net, X, 1e-5 if dtype == "float32" else 1e-6)


@pytest.mark.parametrize(
    "loss, n_out, labels",
    [
        ("cross_entropy", 4, True),
        ("binary_cross_entropy", 1, True),
        ("binary_cross_entropy", 3, True),
        ("squared_error", 1, False),
        ("poisson", 2, False),
    ],
)
def test_labels_are_what_the_network_predicts(loss, n_out, labels):
    net, X = filled(Network([N_IN, 6, n_out], "tanh", loss)), rows().astype(np.float32)
    found = run(to_onnx(net), {"X": X})
    assert ("label" in found) == labels
    if labels:
        assert np.array_equal(found["label"], net.predict(X))
        assert len(np.unique(found["label"])) > 1


def test_a_network_may_be_computed_in_another_dtype():
    for own, other in (("float32", "float64"), ("float64", "float32")):
        net = net_of("tanh", own)
        found = run(to_onnx(net, dtype=other), {"X": rows().astype(other)})["outputs"]
        assert found.dtype == other
        check(found, net, rows(), 1e-6)
    for bad in ("float16", "double", int, 32):
        with pytest.raises(ValueError, match=r"to_onnx: dtype=.*: expected \"float32\""):
            to_onnx(net, dtype=bad)


def test_old_runtimes_can_read_it():
    model = to_onnx(net_of("relu", "float32"))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17), ("ai.onnx.ml", 3)]
    assert model.ir_version == 8
    assert model.producer_name == "fastbp"
    onnx.checker.check_model(model, full_check=True)


def test_any_number_of_rows_will_do():
    net = net_of("softmax", "float32")
    session = session_of(to_onnx(net))
    for count in (1, 2, 1000):
        X = rows(count).astype(np.float32)
        outputs, labels = session.run(None, {"X": X})
        assert (outputs.shape, labels.shape) == ((count, 3), (count,))


def test_the_file_is_written_as_a_whole(tmp_path):
    net = net_of("tanh", "float32")
    model = to_onnx(net, tmp_path / "net.onnx")
    content = written(tmp_path / "net.onnx").read_bytes()
    assert onnx.load_model_from_string(content) == model
    X = rows().astype(np.float32)
    check(run(content, {"X": X})["outputs"], net, X)


def test_what_cannot_be_exported_is_refused(tmp_path):
    check_bad_networks(to_onnx, "to_onnx")
    check_unwritable(to_onnx, tmp_path)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "fastbp.exports.onnx_graph", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[onnx\]'") as caught:
        to_onnx(net_of("relu", "float32"))
    assert caught.value.name == "onnx"


# ----------------------------------------------------------------- models of tables

ROWS = 30
# of "b" and "z" on two targets: those of all rows first, then those outside of each part
EFFECTS = Effects(("b", "z"), ("u", "v"), (0.5, -2.0, *[9.0] * 10, -0.25, 0.0, *[9.0] * 10))
COLUMNS = {
    "number": Number("size", missing=False, center=3.5, scale=2.25),
    "bent number": Number("size", missing=False, center=3.5, scale=2.25, bound=3.5),
    "number or none": Number("size", missing=True, center=-3.5, scale=0.125),
    "number with ramps": Number("size", True, 3.5, 2.25, 3.5, edges=(-1e3, 0.0, 0.1, 1e300)),
    "boolean": Boolean("is it", missing=False),
    "boolean or none": Boolean("is it", missing=True),
    "category": Category("kind", missing=False, categories=("", "A", "naïve", "z")),
    "category or none": Category("kind", missing=True, categories=("A", "b")),
    "category or other": Category("kind", False, categories=("A", "b"), other=True),
    "all of a category": Category("kind", True, categories=("A", "b"), other=True),
    "only others": Category("kind", missing=True, other=True),
    "effects of others": Category(
        "kind", missing=True, categories=("A",), other=True, effects=EFFECTS
    ),
    "date": Date("day", missing=False, center=1.6e9, scale=3e7),
    "bent date": Date("day", missing=False, center=1.6e9, scale=3e7, bound=3.0),
    "date or none": Date("day", missing=True, center=1.6e9, scale=3e7),
    "date with a clock": Date("day", True, center=1.6e9, scale=3e7, clock=True),
    "date with ramps": Date("day", True, 1.6e9, 3e7, 3.0, edges=(-1e9, 0.5, 1.7e9), clock=True),
}
VALUES = {
    "number": [0.0, 3.5, -1e3, 1e300, -1e300, math.inf, -math.inf, math.nan, 0.1],
    "boolean": [0.0, 1.0, math.nan],
    "category": ["A", "b", "z", "naïve", "", "unknown", "a"],
    "date": [0.0, 1.7e9, 1_700_000_000.25, -3e9, 4e9, math.nan, 951_782_400.0],
}


def values_of(column):
    values = VALUES[column.kind]
    kind = object if column.kind == "category" else np.float64
    return np.array([values[i % len(values)] for i in range(ROWS)], kind)[:, None]


def encoded(column, value):
    """The features of one value, by the words of the issue."""
    missing = value == "" if column.kind == "category" else math.isnan(value)
    if column.kind == "category" and value in column.categories:
        missing = False
    if column.kind == "number":
        features = [0.0 if missing else clipped(column, value), *ramps_of(value, column.edges)]
    elif column.kind == "boolean":
        features = [0.5 if missing else value]
    elif column.kind == "date":
        periods = [31556952, 604800] + [86400] * column.clock
        phases = [] if missing else [2 * math.pi * value / period for period in periods]
        features = [f(phase) for phase in phases for f in (math.sin, math.cos)]
        known = [clipped(column, value), *ramps_of(value, column.edges), *features]
        features = [0.0] * (column.width - column.missing) if missing else known
    else:
        features = [float(value == category) for category in column.categories]
        if column.other:
            features.append(float(not missing and value not in column.categories))
        if column.effects:
            features += {"b": [0.5, -2.0], "z": [-0.25, 0.0]}.get(value, [0.0, 0.0])
    return [*features, float(missing)] if column.missing else features


def clipped(column, value):
    return float(bend((value - column.center) / column.scale, column.bound))


def table_model(columns, target, loss="cross_entropy", n_out=None, dtype="float32"):
    schema = Schema(tuple(columns), target)
    n_out = n_out or len(target.classes) or 1
    net = filled(Network([schema.n_features, 6, n_out], "tanh", loss, dtype=dtype))
    return SimpleNamespace(schema=schema, network=net)


def inputs_of(model):
    return {column.name: values_of(column) for column in model.schema.columns}


def features_of(model):
    table = inputs_of(model).values()
    columns = model.schema.columns
    features = [
        [
            f
            for column, values in zip(columns, table, strict=True)
            for f in encoded(column, values[i, 0])
        ]
        for i in range(ROWS)
    ]
    return np.array(features)


def identity_of(column):
    """A model whose prediction for feature k is that feature, for each k."""
    target = Target("y", "regression", "number")
    for k in range(column.width):
        net = Network([column.width, 1], dtype="float64")
        net.parameters[:] = 0
        net.weights[0][k] = 1
        yield SimpleNamespace(schema=Schema((column,), target), network=net)


TEXT = Target("y", "classification", "text", ("a", "b", "naïve"), (1, 2, 3))
REGRESSION = Target("y", "regression", "number", mean=250.0, scale=40.0)


@pytest.mark.parametrize("key", COLUMNS)
def test_every_kind_of_column_is_encoded_as_the_schema_says(key):
    column = COLUMNS[key]
    found = []
    for model in identity_of(column):
        right = features_of(model)
        found.append(run(to_onnx(model), inputs_of(model))["prediction"])
    assert len(found) == column.width
    np.testing.assert_allclose(np.array(found).T, right, rtol=1e-15, atol=2e-11)


def test_features_are_cast_to_what_the_net_computes_in():
    for dtype in ("float32", "float64"):
        columns = [COLUMNS[key] for key in ("number", "category", "date with a clock", "boolean")]
        model = table_model(columns, TEXT, dtype=dtype)
        found = run(to_onnx(model), inputs_of(model))
        assert found["probabilities"].dtype == dtype
        check(found["probabilities"], model.network, features_of(model), 1e-5)


def test_inputs_are_named_and_typed_by_the_columns():
    columns = [COLUMNS[key] for key in ("date", "boolean", "category", "number")]
    inputs = session_of(to_onnx(table_model(columns, TEXT))).get_inputs()
    assert [(i.name, i.type, i.shape) for i in inputs] == [
        ("day", "tensor(double)", ["n", 1]),
        ("is it", "tensor(double)", ["n", 1]),
        ("kind", "tensor(string)", ["n", 1]),
        ("size", "tensor(double)", ["n", 1]),
    ]


TARGETS = [
    (TEXT, np.array(["a", "b", "naïve"], object)),
    (Target("y", "classification", "integer", ("-7", "2", "10"), (1, 2, 3)), np.array([-7, 2, 10])),
    (
        Target("y", "classification", "boolean", ("false", "true"), (1, 2)),
        np.array(["false", "true"], object),
    ),
]


@pytest.mark.parametrize("target, classes", TARGETS)
def test_classes_are_labels_with_probabilities(target, classes):
    model = table_model([COLUMNS["number"], COLUMNS["category"]], target)
    found = run(to_onnx(model), inputs_of(model))
    assert list(found) == ["label", "probabilities"]
    features = features_of(model)
    assert found["label"].dtype == classes.dtype
    assert np.array_equal(found["label"], classes[model.network.predict(features)])
    assert len(set(found["label"])) > 1
    check(found["probabilities"], model.network, features, 1e-5)


def test_one_output_for_two_classes_is_the_probability_of_the_second():
    target, classes = TARGETS[2]
    model = table_model([COLUMNS["number"]], target, "binary_cross_entropy", n_out=1)
    found = run(to_onnx(model), inputs_of(model))
    features = features_of(model)
    assert np.array_equal(found["label"], classes[model.network.predict(features)])
    check(found["probabilities"][:, 1:], model.network, features, 1e-5)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, rtol=1e-6)


def test_numbers_are_predicted_in_the_units_of_the_table():
    model = table_model([COLUMNS["number"], COLUMNS["date"]], REGRESSION, "squared_error")
    found = run(to_onnx(model), inputs_of(model))
    assert list(found) == ["prediction"]
    assert found["prediction"].dtype == np.float64
    right = model.network.forward(features_of(model))[:, 0].astype(float) * 40 + 250
    np.testing.assert_allclose(found["prediction"], right, rtol=1e-5)


def test_columns_may_be_called_as_outputs_and_operators_are():
    names = ["label", "probabilities", "label_", "constant", "isnan", "X", "naïve name", "a/b:c"]
    columns = [Number(name, missing=True) for name in names]
    model = table_model(columns, TEXT)
    found = run(to_onnx(model), inputs_of(model))
    assert list(found) == ["label__", "probabilities_"]
    check(found["probabilities_"], model.network, features_of(model), 1e-5)


def test_a_column_without_a_name_is_refused():
    with pytest.raises(ValueError, match="a column has the empty name"):
        to_onnx(table_model([Number("", missing=False)], TEXT))


@pytest.mark.parametrize("sizes", [[3, 3], [2, 2]])
def test_a_network_that_is_not_of_the_table_is_refused(sizes):
    schema = Schema((COLUMNS["number"], COLUMNS["boolean"]), TEXT)
    net = Network(sizes, loss="cross_entropy")
    message = rf"model\.network has {sizes[0]} inputs and .* model\.schema has 2 features and 3"
    with pytest.raises(ValueError, match=message):
        to_onnx(SimpleNamespace(schema=schema, network=net))


def test_a_model_of_a_table_is_written_too(tmp_path):
    model = table_model([COLUMNS["category"]], TEXT)
    proto = to_onnx(model, str(tmp_path / "model.onnx"))
    assert written(tmp_path / "model.onnx").read_bytes() == proto.SerializeToString()


@pytest.mark.parametrize("target", [TEXT, TARGETS[1][0], TARGETS[2][0], REGRESSION])
def test_it_predicts_what_the_model_of_the_table_predicts(target):
    columns = [replace(column, name=key) for key, column in COLUMNS.items()]
    loss = "squared_error" if target is REGRESSION else "cross_entropy"
    model = table_model(columns, target, loss)
    inputs = inputs_of(model)
    for key in ("number", "bent number", "number or none", "number with ramps"):
        inputs[key][~np.isfinite(inputs[key])] = np.nan  # a table with infinity is refused
    found = list(run(to_onnx(model), inputs).values())
    frame = TableModel(model.network, model.schema).predict(table_of(model, inputs))
    right = frame["prediction"].to_list()
    if target is REGRESSION:
        np.testing.assert_allclose(found[0], right, rtol=1e-6)
        return
    if target.kind == "boolean":
        right = [str(label).lower() for label in right]
    assert found[0].tolist() == right
    np.testing.assert_allclose(found[1], frame[:, 2:].to_numpy(), rtol=1e-5, atol=1e-7)


def table_of(model, inputs):
    """Inputs as a table has them: nulls, truth values and times."""
    table = {}
    for column in model.schema.columns:
        values = [None if v != v else v for v in inputs[column.name][:, 0]]
        series = pl.Series(values, strict=False)
        if column.kind == "boolean":
            series = series.cast(pl.Boolean)
        elif column.kind == "date":
            series = (series * 1e6).cast(pl.Int64).cast(pl.Datetime("us"))
        table[column.name] = series
    return pl.DataFrame(table)


def test_several_quantiles_do_not_cross_in_a_file_either():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    table = {"x": x, "y": x + rng.normal(size=300), "z": rng.normal(size=300)}
    model = train(table, ["y", "z"], quantile=[0.1, 0.5, 0.9], epochs=1, hidden=4, preset="fast")
    model.network.biases[-1][:] = [2.0, 0.0, -2.0, 1.0, 1.5, -1.0]
    (found,) = run(to_onnx(model), {"x": x[:, None]}).values()
    right = model.predict(table)[:, 1:].to_numpy()
    assert (np.diff(right[:, :3], axis=1) >= 0).all() and (np.diff(right[:, 3:], axis=1) >= 0).all()
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
