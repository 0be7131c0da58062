"""`fastbp.train` with an ensemble: each member is the network that it would be alone."""

import numpy as np
import polars as pl
import pytest

from fastbp import Ensemble, TableModel, to_onnx, train
from fastbp.tables.columns.encoding import Encoder
from fastbp.tables.gradients import input_gradients
from fastbp.tables.job import Job
from fastbp.tables.members import parts_of
from fastbp.tables.networks import network_of
from fastbp.tables.options import TrainOptions
from table_makers import people

RUN = {"preset": "fast", "hidden": 8, "epochs": 6, "patience": 2, "ensemble": 3, "seed": 5}
FRAME = people()
# classes, and numbers of which some are missing
every_target = pytest.mark.parametrize("target", ["y", "age"])


def job_of(frame=FRAME, target="y", **more):
    return Job(frame, TrainOptions(target=target, **RUN, **more))


def encoded(schema, frame):
    """Return features and targets of the rows that have a target, and which these are."""
    encoder = Encoder(schema)
    y, known = encoder.encode_target(frame)
    return encoder.encode(frame)[known], y[known], known


def fitted(job, number, batch, X, y, rows, held, weight=None):
    """Return a member trained on some encoded rows, on its own, held back others."""
    net = network_of(job.options, job.schema, number)
    own = () if weight is None else (weight[held],)
    net.fit(
        X[rows],
        y[rows],
        epochs=6,
        batch_size=batch,
        early_stopping=2,
        validation_data=(X[held], y[held], *own),
        sample_weight=None if weight is None else weight[rows],
    )
    return net


def check_members(model, twins):
    """Hold the members of a model against networks that were trained one by one."""
    assert isinstance(model.network, Ensemble)
    assert [member.seed for member in model.network] == [5, 6, 7]
    for member, twin in zip(model.network, twins, strict=True):
        assert member.parameters.tobytes() == twin.parameters.tobytes()
        assert member.steps == twin.steps
    described = model.record["ensemble"]["members"]
    for own, twin in zip(described, twins, strict=True):
        assert own["history"]["val_loss"] == twin.history["val_loss"]
        assert own["best_epoch"] == twin.history.best_epoch
        assert own["stopped"] == twin.history.stopped


# ----------------------------------------------------------------------------- by seeds


@every_target
def test_members_by_seeds_are_networks_of_these_seeds_on_the_same_rows(target):
    model, job = train(FRAME, target, **RUN), job_of(target=target)
    X, y, known = encoded(model.schema, FRAME)
    both = job.split.trains[known], job.split.validates[known]
    batch = model.record["batch_size"]
    twins = [fitted(job, n, batch, X, y, *both) for n in range(3)]
    check_members(model, twins)
    alone = train(FRAME, target, **{**RUN, "ensemble": 1})
    assert alone.network.parameters.tobytes() == twins[0].parameters.tobytes()
    # the scores of all are those of the mean, and each has its own
    held = FRAME.filter(pl.Series(job.split.validates) & FRAME[target].is_not_null())
    assert model.record["metrics"]["valid"] == pytest.approx(model.evaluate(held), rel=1e-6)
    for twin, own in zip(twins, model.record["ensemble"]["members"], strict=True):
        scored = TableModel(twin, model.schema, reading=model.reading).evaluate(held)
        assert own["metrics"] == pytest.approx(scored, rel=1e-6)


def test_predictions_are_the_mean_and_the_spread_is_the_deviation():
    model = train(FRAME, "age", **RUN)
    alone = [TableModel(member, model.schema) for member in model.network]
    each = np.array([one.predict(FRAME)["prediction"].to_numpy() for one in alone])
    found = model.predict(FRAME, spread=True)
    np.testing.assert_allclose(found["prediction"], each.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["spread"], each.std(axis=0), rtol=1e-4)
    assert found.drop("spread").equals(model.predict(FRAME))


def test_the_spread_of_classes_is_that_of_the_predicted_one():
    model = train(FRAME, "y", **RUN)
    names = [f"probability of {name}" for name in model.schema.target.classes]
    alone = [TableModel(member, model.schema).predict(FRAME) for member in model.network]
    each = np.array([one[names].to_numpy() for one in alone])
    found = model.predict(FRAME, spread=True)
    np.testing.assert_allclose(found[names].to_numpy(), each.mean(axis=0), rtol=1e-5)
    place = each.mean(axis=0).argmax(axis=1)
    right = each.std(axis=0)[np.arange(len(place)), place]
    np.testing.assert_allclose(found["spread"], right, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("target", [["age", "visits"], ["paid", "y"]])
def test_several_targets_have_a_spread_each(target):
    frame = people(target="flag")
    model = train(frame, target, **RUN)
    alone = [TableModel(member, model.schema).predict(frame) for member in model.network]
    found = model.predict(frame, spread=True)
    for name in target:
        column = f"prediction of {name}" if name in ("age", "visits") else None
        column = column or next(c for c in found.columns if c.startswith(f"probability of {name}"))
        each = np.array([one[column].to_numpy() for one in alone])
        np.testing.assert_allclose(found[column], each.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(found[f"spread of {name}"], each.std(axis=0), rtol=1e-3)


def test_quantiles_do_not_cross():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    table = {"x": x, "y": x + rng.normal(size=300)}
    model = train(table, "y", quantile=[0.1, 0.5, 0.9], epochs=1, hidden=4, ensemble=3)
    found = model.predict(table, spread=True)
    levels = found[[f"prediction of y at {q}" for q in (0.1, 0.5, 0.9)]].to_numpy()
    assert (np.diff(levels, axis=1) >= 0).all()
    assert (found["spread of y at 0.5"] > 0).all()


def test_one_network_has_no_spread():
    model = train(FRAME, "y", **{**RUN, "ensemble": 1})
    with pytest.raises(ValueError, match=r"spread=True: the model is one network.*ensemble=5"):
        model.predict(FRAME, spread=True)
    with pytest.raises(TypeError, match="spread='yes': expected True or False"):
        model.predict(FRAME, spread="yes")


# ------------------------------------------------------------------------------ by bags


@every_target
def test_members_by_bags_train_on_rows_drawn_with_replacement(target):
    model = train(FRAME, target, ensemble_by="bags", **RUN)
    job = job_of(target=target, ensemble_by="bags")
    X, y, known = encoded(model.schema, FRAME)
    X_train, y_train = (a[job.split.trains[known]] for a in (X, y))
    bags = [part.trains for part in parts_of(job)]
    for bag in bags:
        assert len(bag) == len(X_train)
        # of n draws, a share of 1 - (1 - 1/n)^n = 0.63 of the rows is there
        assert 0.5 < len(set(bag.tolist())) / len(bag) < 0.75
    assert len({bag.tobytes() for bag in bags}) == 3
    held = np.flatnonzero(job.split.validates[known])
    batch = model.record["batch_size"]
    twins = []
    for number, bag in enumerate(bags):
        rows = np.concatenate([bag, len(X_train) + np.arange(len(held))])
        both = np.concatenate([X_train, X[held]]), np.concatenate([y_train, y[held]])
        twins.append(fitted(job, number, batch, *both, bag, rows[len(bag) :]))
    check_members(model, twins)


def patients(rows=240):
    frame = people(rows)
    return frame.with_columns(patient=pl.Series(np.arange(rows) % 37))


def test_bags_hold_whole_groups():
    frame = patients()
    job = job_of(frame, ensemble_by="bags", group="patient")
    groups = frame["patient"].to_numpy()[job.split.trains]
    counts = np.bincount(groups, minlength=37)
    for part in parts_of(job):
        drawn = np.bincount(part.trains, minlength=len(groups))
        times = [set(drawn[groups == group].tolist()) for group in np.unique(groups)]
        assert all(len(each) == 1 for each in times)  # all rows of a group as often
        assert sum(max(each) for each in times) == (counts > 0).sum()
    train(frame, "y", ensemble_by="bags", group="patient", valid_share=0, **RUN)
    train(frame, "y", ensemble_by="bags", group="patient", valid=people(50, seed=1), **RUN)


# ----------------------------------------------------------------------------- by folds


@every_target
@pytest.mark.parametrize("weighted", [False, True])
def test_members_by_folds_predict_the_rows_that_they_have_not_seen(target, weighted):
    weight = np.random.default_rng(4).uniform(0.5, 2, len(FRAME))
    frame = FRAME.with_columns(w=pl.Series(weight)) if weighted else FRAME
    more = {"ensemble_by": "folds", "calibrate": False} | ({"weight": "w"} if weighted else {})
    model, job = train(frame, target, **more, **RUN), job_of(frame, target, **more)
    X, y, known = encoded(model.schema, frame)
    own = weight.astype(np.float64)[known] if weighted else None
    parts = parts_of(job)
    assert sorted(np.concatenate([part.tests for part in parts]).tolist()) == list(range(len(X)))
    for part in parts:
        assert sorted([*part.trains.tolist(), *part.tests.tolist()]) == list(range(len(X)))
    batch = model.record["batch_size"]
    given = [(job, n, batch, X, y, p.trains, p.tests, own) for n, p in enumerate(parts)]
    twins = [fitted(*each) for each in given]
    check_members(model, twins)
    # the predictions are those of the member that has not seen the row
    found = model.out_of_fold
    assert found["code"].to_list() == frame["code"].filter(pl.Series(known)).to_list()
    rows = frame.filter(pl.Series(known))
    for number, part in enumerate(parts):
        assert set(found["fold"].gather(part.tests)) == {number + 1}
        alone = TableModel(twins[number], model.schema, reading=model.reading)
        right = alone.predict(rows[part.tests])
        assert found.drop("fold")[part.tests].equals(right)
        scored = alone.evaluate(rows[part.tests])
        assert model.record["ensemble"]["members"][number]["metrics"] == pytest.approx(scored)
    check_scores(model.record["metrics"]["out_of_fold"], target, rows, found, own)


def check_scores(scores, target, rows, found, weight):
    """Hold the scores out of fold against those of scikit-learn."""
    metrics = pytest.importorskip("sklearn.metrics")
    truth = rows[target].to_numpy(), found["prediction"].to_numpy()
    assert scores["rows"] == len(rows)
    if target == "y":
        right = metrics.accuracy_score(*truth, sample_weight=weight)
        assert scores["accuracy"] == pytest.approx(right)
    else:
        right = metrics.mean_absolute_error(*truth, sample_weight=weight)
        assert scores["mae"] == pytest.approx(right, rel=1e-5)


def test_folds_keep_groups_and_the_shares_of_classes():
    frame = patients()
    job = job_of(frame, ensemble_by="folds", group="patient")
    group = frame["patient"].to_numpy()
    for part in parts_of(job):
        assert not set(group[part.trains]) & set(group[part.tests])
    y = FRAME["y"].to_numpy()
    for part in parts_of(job_of(ensemble_by="folds")):
        for name in set(y):
            share = (y == name).mean()
            assert abs((y[part.tests] == name).mean() - share) < 0.02


def test_weights_of_classes_train_and_do_not_validate():
    more = {"ensemble_by": "folds", "class_weight": {"low": 3.0}, "calibrate": False}
    model, job = train(FRAME, "y", **more, **RUN), job_of(**more)
    X, y, _ = encoded(model.schema, FRAME)
    part = parts_of(job)[0]
    net = network_of(job.options, job.schema)
    net.fit(
        X[part.trains],
        y[part.trains],
        epochs=6,
        batch_size=model.record["batch_size"],
        early_stopping=2,
        validation_data=(X[part.tests], y[part.tests]),
        sample_weight=np.where(y[part.trains] == 0, 3.0, 1.0),
    )
    assert model.network.members[0].parameters.tobytes() == net.parameters.tobytes()


def test_predictions_out_of_fold_are_numbered_by_the_rows_of_the_table():
    frame = FRAME.drop("code")
    model = train(frame, "age", ensemble_by="folds", **RUN)
    there = np.flatnonzero(frame["age"].is_not_null().to_numpy())
    assert model.out_of_fold.columns == ["row", "fold", "prediction"]
    assert model.out_of_fold["row"].to_list() == (there + 1).tolist()
    pandas = pytest.importorskip("pandas")
    other = frame.to_pandas().set_index(pandas.Index(np.arange(200)[::-1], name="n")).reset_index()
    found = train(other.set_index("n"), "age", ensemble_by="folds", **RUN).out_of_fold
    assert found.index.to_list() == (199 - there).tolist()
    np.testing.assert_allclose(found["prediction"], model.out_of_fold["prediction"])


def test_other_ensembles_have_no_predictions_out_of_fold(tmp_path):
    for by in ("seeds", "bags"):
        assert train(FRAME, "y", ensemble_by=by, **RUN).out_of_fold is None
    model = train(FRAME, "y", ensemble_by="folds", **RUN)
    model.save(tmp_path / "model")
    assert model.out_of_fold is not None and TableModel.load(tmp_path / "model").out_of_fold is None


# -------------------------------------------------------------------- all of it together


def test_threads_and_the_scratch_file_do_not_change_the_members(tmp_path):
    model = train(FRAME, "y", **RUN)
    for threads in (1, 2):
        assert train(FRAME, "y", n_threads=threads, **RUN).fingerprint == model.fingerprint
    streamed = train(FRAME, "y", memory=9000, **RUN)
    assert streamed.record["streamed"]
    alone = [train(FRAME, "y", memory=9000, **{**RUN, "ensemble": 1})]
    first = streamed.network.members[0]
    assert first.parameters.tobytes() == alone[0].network.parameters.tobytes()
    assert [member.seed for member in streamed.network] == [5, 6, 7]
    assert streamed.record["metrics"]["valid"]["rows"] == 40


@pytest.mark.parametrize("by", ["bags", "folds"])
def test_rows_of_their_own_that_do_not_fit_are_refused_before_any_work(by):
    with pytest.raises(MemoryError, match=f"ensemble_by='{by}'.*rows of its own.*'seeds'"):
        train(FRAME, "y", ensemble_by=by, memory=20_000, **RUN)


def test_a_table_of_its_own_validates_and_folds_score_an_ensemble():
    valid = people(60, seed=1)
    model = train(FRAME, "y", valid=valid, **RUN)
    assert model.record["metrics"]["valid"] == pytest.approx(model.evaluate(valid))
    folds = train(FRAME, "y", folds=2, **RUN).record["folds"]
    assert len(folds["scores"]) == 2 and sum(each["rows"] for each in folds["scores"]) == 200


def test_an_ensemble_is_explained_and_exported_as_a_whole(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    frame = pl.DataFrame({"a": np.arange(90.0) % 7, "b": np.arange(90.0) % 5})
    frame = frame.with_columns(y=pl.col("a") * 2.5 - pl.col("b") / 3)
    model = train(frame, "y", **RUN)
    X, _, _ = encoded(model.schema, frame)
    each = [input_gradients(member, X) for member in model.network]
    np.testing.assert_allclose(input_gradients(model.network, X), np.mean(each, axis=0))
    explained = model.explain(frame)
    steep = np.abs(np.mean(each, axis=0)).mean(axis=0) * model.schema.target.scale
    assert dict(explained[["column", "gradient"]].iter_rows()) == pytest.approx(
        dict(zip("ab", steep, strict=True)), rel=1e-5
    )
    session = runtime.InferenceSession(
        to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inputs = {name: frame[name].to_numpy().reshape(-1, 1) for name in "ab"}
    right = model.predict(frame)["prediction"]
    np.testing.assert_allclose(session.run(None, inputs)[0].ravel(), right, rtol=1e-4, atol=1e-5)


def test_callbacks_know_the_member_and_stop_it_alone():
    seen = []

    def stops(entry):
        seen.append((entry["member"], entry["epoch"]))
        return entry["member"] == 1 and entry["epoch"] == 2

    model = train(FRAME, "y", callbacks=stops, **{**RUN, "patience": 0})
    members = model.record["ensemble"]["members"]
    assert [each["epochs"] for each in members] == [6, 3, 6]
    assert [each["stopped"] for each in members] == ["epochs", "callback", "epochs"]
    assert sorted(seen) == [(m, e) for m, count in enumerate((6, 3, 6)) for e in range(count)]
    # the history is the mean; a member that has ended counts with its best epoch
    losses = [each["history"]["val_loss"] for each in members]
    losses[1] += [losses[1][members[1]["best_epoch"]]] * 3
    np.testing.assert_allclose(model.history["val_loss"], np.mean(losses, axis=0))
