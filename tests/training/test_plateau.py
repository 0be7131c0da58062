"""`ReduceLROnPlateau`: the learning rate falls where a loss stands still, and only there."""

import numpy as np
import pytest

from fastbp import LBFGS, Adam, Cosine, MLPRegressor, Network, ReduceLROnPlateau, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = X[:, 0] * X[:, 1]
NEVER = 1e9  # an improvement that no loss makes


def net(optimizer=None):
    return Network([4, 8, 1], "tanh", optimizer=optimizer or Adam(1e-2), dtype="float64", seed=0)


def test_the_rate_falls_after_each_patience_down_to_its_least():
    rule = ReduceLROnPlateau(factor=0.5, patience=3, min_delta=NEVER, least=0.2)
    rates = net().fit(X, Y, epochs=15, callbacks=rule)["learning_rate"]
    # the first loss is lower than none; 0.125 would be below the least
    expected = 1e-2 * np.repeat([1, 0.5, 0.25, 0.2], [4, 3, 3, 5])
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_a_loss_that_falls_leaves_the_rate_and_the_bits_alone():
    plain, watched = net(), net()
    rule = ReduceLROnPlateau(patience=2)
    losses = plain.fit(X, Y, epochs=20)["loss"]
    assert (np.diff(losses) < 0).all()
    assert watched.fit(X, Y, epochs=20, callbacks=[rule])["loss"] == losses
    assert plain.parameters.tobytes() == watched.parameters.tobytes()


def test_it_watches_the_validation_loss_and_follows_a_schedule():
    noise = RNG.normal(size=(40, 1)) * 3
    valid = (RNG.normal(size=(40, 4)), noise)
    rule = ReduceLROnPlateau(factor=0.1, patience=2)
    history = net(Adam(5e-2, schedule=Cosine(120))).fit(
        X, Y, epochs=90, validation_data=valid, callbacks=rule
    )
    best, waited, factor, expected = np.inf, 0, 1.0, []
    for epoch, loss in enumerate(history["val_loss"]):
        expected.append(
            factor * Adam(5e-2, schedule=Cosine(120)).rates(np.array([float(epoch)]))[0]
        )
        improves = loss < best
        best, waited = (loss, 0) if improves else (best, waited + 1)
        if waited == 2:
            waited, factor = 0, factor * 0.1
    assert factor < 1
    np.testing.assert_allclose(history["learning_rate"], expected, rtol=1e-12)


def test_a_resumed_training_goes_on_with_the_same_bits(tmp_path):
    rule = ReduceLROnPlateau(factor=0.5, patience=2, min_delta=NEVER)
    whole, first, second = net(), net(), net()
    whole.fit(X, Y, epochs=12, callbacks=rule)
    first.fit(X, Y, epochs=5, callbacks=rule, checkpoints=tmp_path)
    history = second.fit(X, Y, epochs=12, callbacks=rule, checkpoints=tmp_path, resume=True)
    assert second.parameters.tobytes() == whole.parameters.tobytes()
    assert history["learning_rate"] == whole.history["learning_rate"]


def test_other_callbacks_are_called_and_other_fits_refuse_it():
    seen, rule = [], ReduceLROnPlateau()
    net().fit(X, Y, epochs=3, callbacks=[rule, seen.append])
    assert [entry["epoch"] for entry in seen] == [0, 1, 2]
    with pytest.raises(TypeError, match="ReduceLROnPlateau acts in Network"):
        MLPRegressor(callbacks=[rule], max_iter=3).fit(X, Y)
    frame = {f"x{n}": column for n, column in enumerate(X.T)} | {"y": Y}
    with pytest.raises(TypeError, match="ReduceLROnPlateau acts in Network"):
        train(frame, "y", callbacks=rule, epochs=2)
    with pytest.raises(ValueError, match=r"LBFGS\(.*\) has no learning rate to reduce"):
        net(LBFGS()).fit(X, Y, epochs=2, callbacks=rule)


@pytest.mark.parametrize(
    "numbers, words",
    [
        ({"factor": 1}, "factor=1"),
        ({"factor": 0}, "factor=0"),
        ({"patience": 0}, "patience=0"),
        ({"min_delta": -1}, "min_delta=-1"),
        ({"least": 1.5}, r"least=1\.5"),
    ],
)
def test_numbers_out_of_range_are_named(numbers, words):
    with pytest.raises(ValueError, match=words):
        ReduceLROnPlateau(**numbers)
