"""Predictions of a table's model: by scikit-learn's encoders, as they were, in any batch."""

import logging

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from bent_scaler import BentScaler
from fastbp import DataError, Network, train
from table_makers import TARGETS, classes_and_probabilities, people, written

every_target = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture(scope="module")
def models():
    """Return a model of all rows for each kind of target."""
    return {
        target: train(people(target=target), "y", epochs=25, valid_share=0, preset="fast")
        for target in TARGETS
    }


# ------------------------------------------------- predictions, with scikit-learn's encoders


def _phases(seconds):
    t = np.asarray(seconds, float)
    waves = [f(2 * np.pi * t / period) for period in (31556952, 604800) for f in (np.sin, np.cos)]
    return np.concatenate(waves, axis=1)


def encoder():
    """Return scikit-learn's transformer of the columns that `people` gives."""
    number = make_pipeline(
        BentScaler(), SimpleImputer(strategy="constant", fill_value=0, add_indicator=True)
    )
    boolean = SimpleImputer(strategy="constant", fill_value=0.5, add_indicator=True)
    return ColumnTransformer(
        [
            ("age", number, ["age"]),
            ("city", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["city"]),
            ("no city", MissingIndicator(missing_values=""), ["city"]),
            ("paid", boolean, ["paid"]),
            ("since", BentScaler(), ["since"]),
            ("phases", FunctionTransformer(_phases), ["since"]),
            ("visits", number, ["visits"]),
        ]
    )


def plain(frame):
    """Return a frame as pandas: booleans and dates as numbers, no city as empty text."""
    return frame.with_columns(
        pl.col("city").fill_null(""),
        pl.col("paid").cast(pl.Float64),
        pl.col("since").cast(pl.Datetime("us")).dt.epoch("s").cast(pl.Float64),
        pl.col("visits").cast(pl.Float64),
    ).to_pandas()


def features(train_rows, rows):
    """Return the features of rows, as those of the training rows say."""
    fitted = encoder().fit(plain(train_rows))
    X = fitted.transform(plain(rows))
    empty = fitted.named_transformers_["city"].categories_[0].tolist().index("")
    return np.delete(X, 2 + empty, axis=1).astype(np.float32)  # no feature of its own


@every_target
def test_predictions_are_those_of_the_net_on_scikit_learns_features(models, target):
    model, new = models[target], people(90, seed=7, target=target)
    X = features(people(target=target), new)
    assert X.shape[1] == model.schema.n_features
    outputs = model.network.forward(X)
    prediction, probabilities = classes_and_probabilities(model.predict(new))
    if target == "number":
        y = people(target=target)["y"].to_numpy()
        expected = outputs[:, 0].astype(float) * y.std() + y.mean()
        np.testing.assert_allclose(prediction, expected, rtol=1e-5)
    else:
        np.testing.assert_allclose(probabilities, outputs, atol=1e-5)
        classes = np.unique(people(target=target)["y"])
        assert prediction.to_list() == classes[probabilities.argmax(axis=1)].tolist()


@every_target
def test_a_file_is_predicted_as_its_frame_is(models, target, tmp_path):
    new, model = people(90, seed=7, target=target), models[target]
    for suffix in (".csv", ".parquet", ".ndjson"):
        assert model.predict(written(tmp_path, new, suffix)).equals(model.predict(new))


@every_target
def test_the_target_and_the_order_of_the_columns_do_not_matter(models, target):
    new, model = people(90, seed=7), models[target]
    other = new.select(reversed(new.columns)).drop("y").with_columns(more=pl.lit("x"))
    assert model.predict(other).equals(model.predict(new))


def test_a_column_that_is_missing_is_named(models):
    with pytest.raises(DataError, match="'city'"):
        models["class"].predict(people().drop("city"))
    with pytest.raises(DataError, match="'y'"):
        models["class"].evaluate(people().drop("y"))


def test_a_value_that_is_not_of_its_kind_is_named_with_its_row(models):
    age = people()["age"].cast(pl.String).scatter(17, "old")
    with pytest.raises(DataError, match="'age' is 'old' in row 18: expected a finite number"):
        models["class"].predict(people().with_columns(age=age))


def test_a_network_can_be_loaded_without_its_table(models, tmp_path):
    models["class"].save(tmp_path / "model.safetensors")
    network = Network.load(tmp_path / "model.safetensors")
    X = features(people(), people(90, seed=7))
    np.testing.assert_array_equal(network.forward(X), models["class"].network.forward(X))


# --------------------------------------------------------------------- what is written back


@pytest.mark.parametrize(
    "values, dtype",
    [
        (["no", "yes, or so", 'a "quoted" one'], pl.String),
        ([10, -2, 3], pl.Int64),
        ([1.0, 0.0, 2.0], pl.Int64),
        ([True, False], pl.Boolean),
        (["true", "False"], pl.Boolean),
    ],
)
def test_classes_are_written_back_as_they_were(values, dtype):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(values), 150)
    data = {"x": labels + rng.normal(0, 0.1, 150), "y": np.array(values)[labels]}
    model = train(data, "y", epochs=60, valid_share=0, learning_rate=0.01)
    predicted = model.predict(data)
    kind = {pl.String: "text", pl.Int64: "integer", pl.Boolean: "boolean"}[dtype]
    assert model.schema.target.kind == kind
    assert predicted["prediction"].dtype == dtype
    expected = [{"true": True, "False": False}.get(str(v), v) for v in data["y"].tolist()]
    if dtype != pl.Boolean:
        expected = data["y"].tolist()
    assert predicted["prediction"].to_list() == expected
    names = [f"probability of {name}" for name in model.schema.target.classes]
    assert predicted.columns == ["row", "prediction", *names]
    order = sorted(set(expected))
    shown = [str(v).lower() if dtype == pl.Boolean else str(v) for v in order]
    if dtype == pl.Int64:
        shown = [str(int(value)) for value in order]
    assert list(model.schema.target.classes) == shown


@pytest.mark.parametrize("target", ["class", "flag"])
def test_probabilities_add_up_to_one(models, target):
    prediction, probabilities = classes_and_probabilities(models[target].predict(people()))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.min() >= 0
    assert len(prediction) == 200


def test_ids_stand_beside_predictions():
    frame = people().with_columns(key=pl.int_range(200) * 3 % 200, when=pl.col("since"))
    model = train(frame, "y", ids=("key", "when"), epochs=2)
    predicted = model.predict(frame)
    assert predicted.columns[:4] == ["key", "when", "code", "prediction"]
    assert predicted.select("key", "when", "code").equals(frame.select("key", "when", "code"))
    assert "row" not in predicted.columns
    # one that is not there is not needed
    assert model.predict(frame.drop("code", "when")).columns[:2] == ["key", "prediction"]


def test_rows_without_ids_are_numbered(models):
    predicted = models["class"].predict(people().drop("code"))
    assert predicted["row"].to_list() == list(range(1, 201))


def test_other_columns_are_kept_if_asked(models):
    (frame,) = models["class"].predictions(people(), keep=["y", "age"])
    assert frame.columns[:4] == ["code", "y", "age", "prediction"]
    assert frame["age"].equals(people()["age"])
    with pytest.raises(DataError, match=r"'aeg'.*'age'"):
        next(models["class"].predictions(people(), keep=["aeg"]))


def test_columns_of_the_same_name_are_told_apart():
    frame = people().with_columns(
        pl.int_range(200).alias("prediction"), pl.lit("a").alias("probability of low")
    )
    model = train(people(), "y", epochs=2)
    (predicted,) = model.predictions(frame, keep=["prediction", "probability of low"])
    assert predicted["prediction"].equals(frame["prediction"])
    assert predicted["probability of low"].equals(frame["probability of low"])
    expected = model.predict(people())
    assert predicted["prediction_"].equals(expected["prediction"], check_names=False)
    assert predicted["probability of low_"].equals(
        expected["probability of low"], check_names=False
    )


def test_a_class_named_as_another_with_a_sign_more_keeps_its_column():
    data = {"x": np.tile([0.0, 1.5, 2.0], 20), "y": np.tile(["a", "a_", "b"], 20)}
    model = train(data, "y", epochs=2)
    frame = pl.DataFrame(data).with_columns(pl.lit(0).alias("probability of a"))
    (predicted,) = model.predictions(frame, keep=["probability of a"])
    _, probabilities = classes_and_probabilities(predicted.drop("probability of a"))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


# --------------------------------------------------------------------- batches and threads


@pytest.fixture(scope="module")
def many():
    """Return rows that are more than a batch holds."""
    return people(70_001, seed=5, target="flag")


def test_a_prediction_does_not_depend_on_the_batch_it_is_in(models, many):
    model = models["flag"]
    whole = model.predict(many)
    assert whole["code"].equals(many["code"])
    for start, end in ((0, 1), (65_530, 65_543), (65_536, 70_001), (12_345, 12_378)):
        assert model.predict(many[start:end]).equals(whole[start:end])
    assert [len(f) for f in model.predictions(many)] == [65_536, 4_465]
    numbered = model.predict(many.drop("code"))
    assert numbered["row"].to_list() == list(range(1, 70_002))


@every_target
def test_predictions_and_scores_do_not_depend_on_threads(models, many, target):
    model = models[target]
    assert model.predict(many, n_threads=1).equals(model.predict(many, n_threads=2))
    new = people(5000, seed=8, target=target)
    assert model.evaluate(new, n_threads=1) == model.evaluate(new, n_threads=2)


def test_an_error_in_a_later_batch_names_the_row_of_the_table(models, many):
    age = many["age"].cast(pl.String).scatter(66_000, "old")
    with pytest.raises(DataError, match="row 66,001"):
        models["flag"].predict(many.with_columns(age=age))


def test_unknown_categories_are_counted_over_all_batches(models, many, caplog):
    strange = many.with_columns(city=pl.lit("Atlantis"))
    caplog.set_level(logging.WARNING, "fastbp")
    predicted = models["flag"].predict(strange)
    assert "70001 values of column 'city'" in caplog.text
    # they count as none that is known: so does no city at all, but for its indicator
    assert len(predicted) == 70_001
    assert len(caplog.records) == 1
