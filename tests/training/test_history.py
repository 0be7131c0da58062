"""What `fit` returns: a record of every epoch that prints as a table."""

import re

import numpy as np
import pytest

from fastbp import Adam, Cosine, History, Network
from fit_nets import LABELS, TARGETS, X, classifier, regressor


def test_history_records_every_epoch():
    net = Network([4, 16, 3], "tanh", "cross_entropy", Adam(0.02, schedule=Cosine(5)))
    history = net.fit(X, LABELS, epochs=5, batch_size=20, validation_data=(X[:9], LABELS[:9]))
    assert net.history is history
    assert len(history) == len(history.epochs) == 5
    assert history["epoch"] == [0, 1, 2, 3, 4]
    assert history.stopped == "epochs"
    assert history["loss"][-1] < history["loss"][0]
    # the rate of the last of 3 batches, at t = e + 2/3
    times = np.arange(5) + 2 / 3
    np.testing.assert_allclose(
        history["learning_rate"], 0.02 * (1 + np.cos(np.pi * times / 5)) / 2, rtol=1e-12
    )
    final = net.evaluate(X[:9], LABELS[:9])
    assert history["val_loss"][-1] == pytest.approx(final["loss"], rel=1e-12)
    assert history["val_accuracy"][-1] == final["accuracy"]


def test_history_speed_follows_from_seconds():
    history = regressor().fit(X, TARGETS, epochs=3)
    seconds = np.array(history["seconds"])
    np.testing.assert_allclose(np.array(history["samples_per_second"]) * seconds, 60, rtol=1e-9)
    # 6 operations a weight, without D W^T in the first layer: 4x8 has 4, 8x2 has 6
    flops = 60 * (4 * 32 + 6 * 16)
    np.testing.assert_allclose(np.array(history["gflops"]) * 1e9 * seconds, flops, rtol=1e-9)
    share = np.array(history["gflops"]) * 1e9 / history.peak
    np.testing.assert_allclose(history["share_of_peak"], share, rtol=1e-12)
    assert history.seconds == pytest.approx(seconds.sum())


def table(history):
    """Return the head, the rows and the last line of a printed history."""
    *lines, summary = repr(history).splitlines()
    head, *rows = (re.split(r"\s{2,}", line.strip()) for line in lines)
    assert {len(row) for row in rows} == {len(head)}
    return head, rows, summary


def test_history_prints_a_row_for_every_epoch():
    history = classifier().fit(X, LABELS, epochs=4, validation_data=(X, LABELS))
    head, rows, summary = table(history)
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert [float(row[head.index("loss")]) for row in rows] == pytest.approx(
        history["loss"], abs=1e-5
    )
    assert [float(row[head.index("val loss")]) for row in rows] == pytest.approx(
        history["val_loss"], abs=1e-5
    )
    assert {"val accuracy", "rate", "time", "samples/s", "GFLOP/s", "of peak"} <= set(head)
    assert summary.startswith("4 epochs in") and "float32" in summary and "1 thread" in summary


def test_a_peak_that_another_process_disturbed_is_measured_again(monkeypatch):
    fit = classifier().fit(X, LABELS, epochs=3)
    fastest = max(fit["gflops"]) * 1e9
    for measured, peak in (
        ([2 * fastest], 2 * fastest),
        ([fastest / 3, 2 * fastest], 2 * fastest),
        ([fastest / 3] * 3, fastest),
    ):
        history, trials = History("float64", 1), iter(measured)
        history.epochs = fit.epochs
        monkeypatch.setattr(
            "fastbp.training.history.measure_peak", lambda *_, trials=trials: next(trials)
        )
        assert history.peak == peak and max(history["share_of_peak"]) <= 1
        assert not list(trials)


@pytest.mark.parametrize("epochs", [1, 20, 21, 99, 1000])
def test_a_long_history_prints_few_rows_with_the_first_and_the_last(epochs):
    history = classifier().fit(X, LABELS, epochs=epochs)
    shown = [int(row[0]) for row in table(history)[1]]
    assert shown[0] == 1 and shown[-1] == epochs
    assert shown == sorted(set(shown))
    assert len(shown) == epochs if epochs <= 20 else 10 <= len(shown) <= 25


def test_history_names_what_it_has_when_asked_for_what_it_has_not():
    history = classifier().fit(X, LABELS, epochs=1)
    with pytest.raises(KeyError, match=r"val_loss.*learning_rate"):
        history["val_loss"]


def test_a_history_without_an_epoch_prints():
    # what is left of a run that was interrupted in its first epoch
    history = History("float32", 1)
    assert len(history) == 0 and history.seconds == 0
    assert "no epoch" in repr(history)
    with pytest.raises(KeyError, match="loss"):
        history["loss"]


def test_progress_shows_epochs_and_loss(capsys):
    classifier().fit(X, LABELS, epochs=2, progress=True, validation_data=(X, LABELS))
    shown = capsys.readouterr().err
    assert "2/2" in shown and "loss" in shown
    classifier().fit(X, LABELS, epochs=2)
    assert capsys.readouterr().err == ""


def test_a_short_epoch_has_a_time_that_is_not_0():
    history = History("float32")
    seconds = (8.2e-5, 0.0031, 75.0)
    entry = {"loss": 1.0, "learning_rate": 1e-3, "samples_per_second": 1.0, "gflops": 1.0}
    history.epochs = [{"epoch": n, "seconds": s, **entry} for n, s in enumerate(seconds)]
    text = repr(history)
    for time in (" 82 us ", " 3.1 ms ", " 1 min 15 s "):
        assert text.count(time) == 1
    history.epochs = history.epochs[:1]
    assert "1 epoch in 82 us, " in repr(history)
