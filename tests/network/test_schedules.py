"""Learning rates over time: the formulas, their joints, and that they depend on time alone."""

import numpy as np
import pytest

import oracle
from fastbp import SCHEDULES, Adam, Constant, Cosine, Exponential, Network, OneCycle, Step, WarmUp

# each with its own numbers and, where it has any, with its defaults
EXAMPLES = [
    Constant(),
    Step(),
    Step(every=2.5, factor=0.3),
    Exponential(),
    Exponential(factor=0.7),
    Cosine(),
    Cosine(epochs=7.0, end=0.2),
    OneCycle(),
    OneCycle(epochs=8.0, warm=0.25, start=0.1, end=0.01),
    WarmUp(),
    WarmUp(epochs=2.0, after=Cosine(epochs=6.0, end=0.1)),
    WarmUp(epochs=3.0, after=Step(every=2.0, factor=0.5)),
]
# from the start to far beyond every end, fractions of an epoch between
TIMES = np.arange(0, 130, 1 / 16)

every_example = pytest.mark.parametrize("schedule", EXAMPLES, ids=repr)


def textbook(schedule, t):
    parameters = dict(vars(schedule))
    if schedule.name == "warm_up":
        after = parameters["after"]
        parameters["after"] = lambda later: textbook(after, later)
    return oracle.SCHEDULES[schedule.name](t, **parameters)


def test_every_schedule_has_an_example():
    assert {schedule.name for schedule in EXAMPLES} == set(SCHEDULES)


@every_example
def test_factors_follow_the_formula(schedule):
    expected = [textbook(schedule, t) for t in TIMES.tolist()]
    # roundings of the cosine near its zero are a unit of 1, not of the factor
    np.testing.assert_allclose(schedule.factors(TIMES), expected, rtol=1e-13, atol=1e-15)


@every_example
def test_a_factor_depends_on_its_time_alone(schedule):
    whole = schedule.factors(TIMES)
    for start in (1, 33, 700):
        assert np.array_equal(schedule.factors(TIMES[start:]), whole[start:])
    alone = np.concatenate([schedule.factors(TIMES[i : i + 1]) for i in range(0, len(TIMES), 50)])
    assert np.array_equal(alone, whole[::50])


@every_example
def test_factors_are_finite_and_never_negative(schedule):
    factors = schedule.factors(TIMES)
    assert factors.shape == TIMES.shape
    assert np.isfinite(factors).all()
    assert (factors >= 0).all()


@pytest.mark.parametrize(
    "schedule, joint, value",
    [
        (Cosine(epochs=7.0, end=0.2), 7.0, 0.2),
        (OneCycle(epochs=8.0, warm=0.25, start=0.1, end=0.01), 2.0, 1.0),
        (OneCycle(epochs=8.0, warm=0.25, start=0.1, end=0.01), 8.0, 0.01),
        (WarmUp(epochs=2.0, after=Cosine(epochs=6.0, end=0.1)), 2.0, 1.0),
        (WarmUp(epochs=2.0, after=Cosine(epochs=6.0, end=0.1)), 8.0, 0.1),
        (WarmUp(epochs=3.0, after=Constant()), 3.0, 1.0),
    ],
    ids=repr,
)
def test_pieces_meet_at_their_joint(schedule, joint, value):
    near = 1e-7
    before, at, after = schedule.factors(np.array([joint - near, joint, joint + near]))
    assert at == pytest.approx(value, rel=1e-13)
    # no slope here is steeper than pi / 2 a quarter of an epoch
    assert before == pytest.approx(value, abs=10 * near)
    assert after == pytest.approx(value, abs=10 * near)


@pytest.mark.parametrize(
    "schedule, start",
    [
        (Constant(), 1.0),
        (Step(2.5, 0.3), 1.0),
        (Exponential(0.7), 1.0),
        (Cosine(7.0, 0.2), 1.0),
        (OneCycle(8.0, 0.25, 0.1, 0.01), 0.1),
        (WarmUp(2.0), 0.0),
    ],
    ids=repr,
)
def test_training_begins_where_the_schedule_says(schedule, start):
    assert schedule.factors(np.array([0.0]))[0] == pytest.approx(start, abs=1e-15)


def test_a_step_falls_at_its_epoch_and_not_before():
    factors = Step(every=10.0, factor=0.5).factors(np.array([9.999, 10.0, 19.999, 20.0]))
    assert factors.tolist() == [1, 0.5, 0.5, 0.25]


def test_after_its_end_a_schedule_stays():
    later = np.array([7.0, 7.5, 100.0, 1e6])
    assert np.array_equal(Cosine(7.0, 0.2).factors(later), np.full(4, Cosine(7.0, 0.2).end))
    np.testing.assert_allclose(OneCycle(7.0, end=0.01).factors(later), 0.01, rtol=1e-13)


@every_example
def test_rates_are_the_learning_rate_times_the_factor(schedule):
    optimizer = Adam(0.03, schedule=schedule)
    np.testing.assert_allclose(
        optimizer.rates(TIMES), 0.03 * schedule.factors(TIMES), rtol=1e-15, atol=0
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_name_stands_for_the_schedule_with_its_defaults(name):
    assert Adam(schedule=name).schedule == SCHEDULES[name]()


# not all the pauses are between two pieces of a schedule
@pytest.mark.parametrize("epochs", [(1, 5), (3, 3), (1, 1, 1, 1, 1, 1)])
@pytest.mark.parametrize(
    "schedule",
    [Step(2.5, 0.3), Exponential(0.7), Cosine(4.0, 0.2), OneCycle(6.0), WarmUp(2.0, Cosine(3.0))],
    ids=repr,
)
def test_training_resumed_anywhere_has_the_same_rates_and_bits(schedule, epochs):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(23, 3)), rng.normal(size=(23, 1))

    def make():
        return Network([3, 5, 1], "tanh", optimizer=Adam(0.05, schedule=schedule))

    whole, parts, rates = make(), make(), []
    history = whole.fit(X, y, epochs=6, batch_size=5)
    for count in epochs:
        rates += parts.fit(X, y, epochs=count, batch_size=5)["learning_rate"]
    assert rates == history["learning_rate"]
    assert np.array_equal(parts.parameters, whole.parameters)
    # the rate of an epoch's last batch, one of five: t = epoch + 4/5
    expected = [0.05 * textbook(schedule, epoch + 4 / 5) for epoch in range(6)]
    assert rates == pytest.approx(expected, rel=1e-12)
