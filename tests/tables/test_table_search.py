"""The search of a training on a table: what it tries, how it chooses, and what measures it."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error

from fastbp import DivergenceError, TableModel, train
from fastbp.tables.folds import run_at_once
from fastbp.tables.job import Job
from fastbp.tables.options import TrainOptions
from fastbp.tables.parts import folds_of
from fastbp.tables.presets import Facts, settled
from fastbp.tables.search import drawn
from fastbp.training.interrupt import Stop

FEW = {"preset": "fast", "hidden": (4,), "epochs": 3, "seed": 5}


def table(rows=240, target="class", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    number = x[:, 0] - 2 * x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=rows)
    y = np.where(number > 0, "up", "down") if target == "class" else number
    site = rng.integers(0, 12, rows)
    columns = {f"x{n}": x[:, n] for n in range(3)}
    return pl.DataFrame(
        {**columns, "site": [f"s{n}" for n in site], "day": rng.permutation(rows), "y": y}
    )


def told(model):
    """Return what a search tells, without the seconds."""
    search = model.record["search"]
    tried = [{n: v for n, v in each.items() if n != "seconds"} for each in search["tried"]]
    return {**search, "tried": tried}


def job(frame, **options):
    return Job(frame, TrainOptions(target="y", **options))


@pytest.mark.parametrize("options", [{}, {"group": "site"}, {"time": "day"}, {"folds": 3}])
@pytest.mark.parametrize("target", ["class", "number"])
def test_the_score_is_that_of_rows_that_have_chosen_nothing(options, target):
    frame = table(target=target)
    model = train(frame, "y", search=4, **FEW, **options)
    tested = job(frame, search=4, **FEW, **options).tested
    assert 0.1 < tested.mean() < 0.3
    if "group" in options:
        sites = frame["site"].to_numpy()
        assert not set(sites[tested]) & set(sites[~tested])
    if "time" in options:
        assert frame["day"].to_numpy()[tested].min() > frame["day"].to_numpy()[~tested].max()
    scored, y = model.predict(frame).filter(tested), frame["y"].to_numpy()[tested]
    found = model.record["metrics"]["test"]
    assert found["rows"] == tested.sum()
    if target == "class":
        assert found["accuracy"] == accuracy_score(y, scored["prediction"])
        of_up = scored["probability of up"].to_numpy().astype(np.float64)
        assert found["log_loss"] == pytest.approx(log_loss(y == "up", of_up), rel=1e-4)
    else:
        error = root_mean_squared_error(y, scored["prediction"])
        assert found["rmse"] == pytest.approx(error, rel=1e-6)
    # whatever they hold, they change neither the choice nor the weights
    wrong = pl.Series(np.roll(frame["y"].to_numpy()[tested], 1))
    values = frame["y"].to_numpy().copy()
    values[tested] = wrong.to_numpy()
    other = train(frame.with_columns(y=pl.Series(values)), "y", search=4, **FEW, **options)
    assert told(other) == told(model)
    assert (other.network.parameters == model.network.parameters).all()
    assert other.record["metrics"]["test"] != found


def test_the_best_by_validation_has_the_bits_of_its_options_trained_alone():
    frame = table()
    given = {"epochs": 5, "seed": 1, "calibrate": False}
    asked = job(frame, search=6, **given)
    model = train(frame, "y", search=6, **given)
    search = model.record["search"]
    tried = drawn(asked.options, asked.asked.to_data())
    assert search["asked"] == len(search["tried"]) == len(tried) == 6
    losses = []
    for options, each in zip(tried, search["tried"], strict=True):
        alone = Job(frame, options, among=~asked.tested)
        trained = alone.run()
        losses.append(trained.record["metrics"]["valid"]["log_loss"])
        assert each["loss"] == pytest.approx(losses[-1], rel=1e-5)
        assert each["epochs"] == len(trained.history["loss"]) and each["error"] is None
        assert {**tried[0].to_data(), **each["options"]} == options.to_data()
        if len(losses) - 1 == search["chosen"]:
            assert (trained.network.parameters == model.network.parameters).all()
            assert trained.history["loss"] == model.history["loss"]
    assert search["chosen"] == int(np.argmin(losses)) and search["by"] == "validation loss"
    assert model.record["options"] == tried[search["chosen"]].to_data()


def test_folds_choose_by_the_mean_loss_and_the_best_is_trained_on_all_that_trains():
    frame = table()
    asked = job(frame, search=3, folds=3, **FEW)
    model = train(frame, "y", search=3, folds=3, **FEW)
    _, folds = folds_of(asked)
    assert all(not ((train | test) & asked.tested).any() for train, test in folds)
    assert sum(test.astype(int) for _, test in folds)[~asked.tested].tolist() == [1] * 192
    losses = []
    tried = drawn(asked.options, asked.asked.to_data())
    for options in tried:
        of_folds = []
        for rows, test in folds:
            part = Job(frame.filter(rows), replace(options, folds=None))
            scores = part.run().scores(frame, among=test).metrics()
            of_folds.append(scores["log_loss"])
        losses.append(np.mean(of_folds))
    found = [each["loss"] for each in model.record["search"]["tried"]]
    np.testing.assert_allclose(found, losses, rtol=1e-4)
    chosen = tried[int(np.argmin(losses))]
    alone = Job(frame, replace(chosen, folds=None), among=~asked.tested).run()
    assert (alone.network.parameters == model.network.parameters).all()


def test_a_seed_makes_it_again_and_threads_do_not_matter(tmp_path):
    frame = table()
    models = [train(frame, "y", search=5, epochs=4, n_threads=n) for n in (1, 2, 3)]
    assert told(models[0]) == told(models[1]) == told(models[2])
    assert (models[0].network.parameters == models[2].network.parameters).all()
    other = train(frame, "y", search=5, epochs=4, seed=9)
    assert told(other)["tried"] != told(models[0])["tried"]
    other.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    assert loaded.record["search"] == other.record["search"]
    assert (loaded.network.parameters == other.network.parameters).all()


def test_what_is_given_stays_and_the_rest_is_drawn_within_its_range():
    asked = TrainOptions(target="y", hidden=(7,), optimizer="sgd", search=60, dropout=0.25)
    facts = Facts(rows=500)
    first = settled(asked, facts)
    found = drawn(first, asked.to_data())
    assert found[0] == replace(first, search=None)
    assert {(each.hidden, each.optimizer, each.dropout) for each in found} == {((7,), "sgd", 0.25)}
    rates = [each.learning_rate for each in found[1:]]
    assert 1e-3 <= min(rates) < 2e-3 and 0.05 < max(rates) <= 0.1  # that of sgd is 0.01
    free = drawn(settled(TrainOptions(target="y", search=60), facts), ("target", "search"))[1:]
    assert {len(each.hidden) for each in free} == {1, 2, 3, 4}
    assert {each.schedule for each in free} == {"constant", "cosine"}
    assert 0.0 in {each.dropout for each in free} and max(each.dropout for each in free) < 0.5
    # a draw does not depend on what is given
    assert [each.schedule for each in found[1:]] == [each.schedule for each in free]


@pytest.mark.parametrize("options", [{}, {"folds": 2}])
def test_options_that_diverge_are_named_and_do_not_win(options, monkeypatch, caplog):
    def with_one_that_diverges(options, given):
        found = drawn(options, given)
        return [replace(found[0], optimizer="sgd", learning_rate=1e30), *found[1:]]

    monkeypatch.setattr("fastbp.tables.search.drawn", with_one_that_diverges)
    model = train(table(target="number"), "y", search=2, epochs=3, **options)
    search = model.record["search"]
    assert [each["error"] is None for each in search["tried"]] == [False, True]
    assert search["chosen"] == 1 and search["tried"][0]["loss"] is None
    assert "not finite" in search["tried"][0]["error"] and "not finite" in caplog.text


def test_a_search_of_which_all_diverge_is_an_error():
    options = {"search": 2, "learning_rate": 1e30, "optimizer": "sgd", "epochs": 3}
    with pytest.raises(DivergenceError, match="not finite"):
        train(table(target="number"), "y", **options)


@pytest.mark.parametrize("options", [{}, {"folds": 2}])
def test_the_time_limits_all(options):
    frame = table(2000)
    model = train(frame, "y", search=6, epochs=10**6, patience=0, max_time=0.6, **options)
    assert model.record["stopped"] == model.record["search"]["stopped"] == "time"
    assert model.record["metrics"]["test"]["accuracy"] > 0.5
    assert model.record["steps"] > 0


@pytest.mark.usefixtures("ctrl_c_in_training")
def test_ctrl_c_keeps_the_best_so_far():
    model = train(table(2000), "y", search=4, epochs=10**6, patience=0)
    assert model.record["stopped"] == "interrupted" and model.record["steps"] > 0
    losses = [each["loss"] for each in model.record["search"]["tried"]]
    assert losses[model.record["search"]["chosen"]] == min(x for x in losses if x is not None)


def test_rows_in_a_scratch_file_are_searched_too():
    frame = table(4000)
    options = {"preset": "fast", "search": 3, "epochs": 2, "memory": 60_000, "hidden": (5,)}
    assert job(frame, **options).budget.streamed
    model = train(frame, "y", **options)
    assert model.record["streamed"] and len(told(model)["tried"]) == 3
    assert all(each["loss"] is not None for each in told(model)["tried"])


def test_rows_for_validation_may_be_given():
    model = train(table(), "y", valid=table(60, seed=1), search=3, **FEW)
    assert model.record["metrics"]["valid"]["rows"] == 60
    assert model.record["metrics"]["test"]["rows"] == 48


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"search": 0}, ValueError, "search=0: expected a whole number of at least 1"),
        ({"search": 2.5}, TypeError, "search=2.5"),
        ({"search": 3, "valid_share": 0}, ValueError, "search=3: options are chosen by rows"),
        ({"search": 3, "checkpoints": "kept"}, ValueError, "checkpoints: a search keeps none"),
        ({"search": 3, "ensemble": 2}, ValueError, "ensemble=2: a search keeps one network"),
        ({"search": 3, "callbacks": print}, ValueError, "callbacks: a search trains many"),
        ({"search": 3, "serch": 3}, TypeError, "serch"),
    ],
)
def test_what_a_search_cannot_do_is_said_before_any_work(options, error, words):
    with pytest.raises(error, match=words):
        train(table(), "y", **options)


@pytest.mark.parametrize("options", [{}, {"time": "day"}, {"valid": table(50, "number", seed=3)}])
def test_folds_that_are_trained_at_once_have_the_scores_of_one_after_the_other(options):
    frame = table(target="number")
    models = [train(frame, "y", folds=4, n_threads=n, **FEW, **options) for n in (1, 2, 4)]
    assert len(models[0].record["folds"]["scores"]) == 4
    assert models[0].record["folds"] == models[1].record["folds"] == models[2].record["folds"]


def test_folds_end_at_the_time_limit():
    limited = train(table(2000), "y", folds=4, epochs=10**6, patience=0, max_time=0.5)
    assert limited.record["folds"]["stopped"] == "time"


def test_ctrl_c_ends_the_folds_that_run_and_begins_no_other():
    stop, begun = Stop(), []

    def fold(number):
        if not stop.seen:
            begun.append(number)
            if number == 2:
                os.kill(os.getpid(), signal.SIGINT)
        while not stop.seen:
            time.sleep(0.01)
        return number, stop.stopped

    found = run_at_once(fold, range(1, 6), 2, stop)
    assert found == [(number, "interrupted") for number in range(1, 6)]
    assert sorted(begun) == [1, 2]
