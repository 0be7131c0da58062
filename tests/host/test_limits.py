"""The time limit and signals end validation too, between two slices of it."""

import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fastbp import MLPRegressor, Network, fit_many
from fastbp.engine.engine import Engine
from fastbp.training.stopped import Stopped

rng = np.random.default_rng(0)
SIZES = [256, 512, 512, 1]
X, Y = rng.normal(size=(64, 256)).astype("f4"), rng.normal(size=(64, 1)).astype("f4")
# several slices of inference
VALID = rng.normal(size=(6000, 256)).astype("f4"), rng.normal(size=(6000, 1)).astype("f4")
GIVEN = {"epochs": 3, "batch_size": 16, "n_threads": 1, "validation_data": VALID}


class Cut:
    """Lets something happen in the midst of the validation of an epoch, counted from 1."""

    def __init__(self, monkeypatch):
        self.late, self.act, self.slices, self._left = 0.0, None, 0, 0
        clock = SimpleNamespace(perf_counter=lambda: time.perf_counter() + self.late)
        monkeypatch.setattr("fastbp.training.loop.time", clock)
        for name in ("evaluate", "forward"):
            monkeypatch.setattr(Engine, name, self._watched(getattr(Engine, name)))

    def at(self, epoch, act):
        """Call `act` after the first slice of the validation of that epoch."""
        self._left, self.act = epoch, act

    def is_late(self, seconds):
        """Let the clock go forward."""
        self.late += seconds

    def _watched(self, infer):
        def watched(engine, data, n_threads="auto", go_on=None):
            if go_on is None:
                return infer(engine, data, n_threads)
            self._left -= 1
            self.slices = 0

            def asked():
                self.slices += 1
                if self.slices == 2 and self._left == 0:
                    self.act()
                return go_on()

            return infer(engine, data, n_threads, asked)

        return watched


@pytest.fixture
def cut(monkeypatch):
    return Cut(monkeypatch)


def test_a_validation_that_lasts_beyond_the_time_is_cut(cut, caplog):
    net = Network(SIZES, seed=0)
    cut.at(2, lambda: cut.is_late(1000))
    history = net.fit(X, Y, max_time=900, **GIVEN)
    assert history.stopped == Stopped.TIME and cut.slices == 2
    assert np.isnan(history["val_loss"]).tolist() == [False, True]
    assert "epoch 2 has no score" in caplog.text
    assert net.epochs == 2


def test_a_validation_that_ends_soon_after_the_time_is_scored(cut, monkeypatch):
    monkeypatch.setattr("fastbp.kernels.tuning.SCORING_SECONDS", 2000)
    net = Network(SIZES, seed=0)
    cut.at(2, lambda: cut.is_late(1000))
    history = net.fit(X, Y, max_time=900, **GIVEN)
    assert history.stopped == Stopped.TIME
    assert len(history) == 2 and np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("by", ["time", "signal"])
def test_what_is_cut_is_scored_by_the_resumed_training(cut, tmp_path, by, number):
    whole, parts = Network(SIZES, seed=0), Network(SIZES, seed=0)
    expected = whole.fit(X, Y, **GIVEN)
    act = {"time": lambda: cut.is_late(1000), "signal": lambda: signal.raise_signal(number)}[by]
    cut.at(2, act)
    kept = {"checkpoints": tmp_path / "kept"}
    history = parts.fit(X, Y, max_time=900, **kept, **GIVEN)
    ended = Stopped.INTERRUPTED if number == signal.SIGINT else Stopped.TERMINATED
    assert history.stopped == (Stopped.TIME if by == "time" else ended)
    assert len(history) == 1 and parts.epochs == 1
    resumed = Network(SIZES, seed=0)
    history = resumed.fit(X, Y, resume=True, **kept, **GIVEN)
    for name in ("loss", "val_loss", "val_r2"):
        assert history[name] == expected[name]
    assert np.array_equal(resumed.parameters, whole.parameters)
    assert history.best_epoch == expected.best_epoch


def test_the_weights_of_an_epoch_without_a_score_are_not_the_best(cut):
    net, twin = Network(SIZES, seed=0), Network(SIZES, seed=0)
    cut.at(3, lambda: cut.is_late(1000))
    history = net.fit(X, Y, max_time=900, early_stopping=9, **GIVEN)
    twin.fit(X, Y, early_stopping=9, **GIVEN | {"epochs": 2})
    assert history.best_epoch is not None and np.array_equal(net.parameters, twin.parameters)


@pytest.mark.filterwarnings("ignore:.*Maximum time")
@pytest.mark.parametrize("own", [False, True])
def test_the_scores_of_an_estimator_are_cut_too(cut, own):
    reg = MLPRegressor(
        hidden_layer_sizes=(512, 512), max_iter=5, early_stopping=not own, random_state=0
    )
    reg.set_params(max_time=900, n_threads=1, validation_fraction=0.98, n_iter_no_change=9)
    held = {"X_val": VALID[0], "y_val": VALID[1].ravel()} if own else {}
    cut.at(2, lambda: cut.is_late(1000))
    data = (X, Y.ravel()) if own else (VALID[0], VALID[1].ravel())
    reg.fit(*data, **held)
    scores = reg.validation_loss_curve_ if own else reg.validation_scores_
    assert np.isnan(scores).tolist() == [False, True] and reg.n_iter_ == 2
    assert np.isfinite(reg.predict(X)).all()


def test_the_scores_of_folds_are_cut(cut):
    made = []

    def stop():
        while not made:  # a thread trains before the call has returned
            time.sleep(0.001)
        made[0].stop()

    cut.at(1, stop)
    with fit_many([{"sizes": SIZES, "seed": 0}], *VALID, folds=2, epochs=1, n_threads=1) as results:
        made.append(results)
        ended = results.wait()
    assert [result.scores for result in ended] == [{}, {}]  # one was in the midst of them
    assert all(result.error is None for result in ended)
