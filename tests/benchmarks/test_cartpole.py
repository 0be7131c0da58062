"""The DQN that trains in compiled code balances its pole, by the physics of the textbook."""

import numpy as np
import pytest

from benchmark_modules import load

load("benchmarks")
cartpole = load("benchmarks.cartpole")


@pytest.mark.slow
def test_the_pole_stands_for_475_steps_on_average():
    result = cartpole.train(seed=0)
    assert result.mean_return >= 475
    assert result.steps < 200_000 and result.updates > 1000


@pytest.mark.slow
def test_one_seed_gives_one_training():
    one, other = (cartpole.train(seed=1, most=3000) for _ in range(2))
    assert (one.updates, one.mean_return) == (other.updates, other.mean_return)
    assert one.updates == 1000


@pytest.mark.slow
@pytest.mark.parametrize("action", [0, 1])
def test_the_physics_solve_the_equations_of_motion(action):
    for before in np.random.default_rng(action).uniform(-0.2, 0.2, (5, 4)).astype("float32"):
        after = before.copy()
        cartpole.push(after, action)
        _, speed, angle, spin = before.astype("float64")
        sin, cos, half = np.sin(angle), np.cos(angle), 0.5
        # Newton's law of the whole, and of the turn about the pole's foot
        masses = [[1.1, 0.1 * half * cos], [cos, 4 / 3 * half]]
        forces = [(10, -10)[action == 0] + 0.1 * half * spin**2 * sin, 9.8 * sin]
        rates = [speed, None, spin, None]
        rates[1], rates[3] = np.linalg.solve(masses, forces)
        np.testing.assert_allclose(after, before + 0.02 * np.array(rates), atol=1e-6)


@pytest.mark.slow
def test_a_pole_falls_when_it_leans_or_the_cart_leaves():
    states = {
        (0, 0, 0, 0): False,
        (2.5, 0, 0, 0): True,
        (0, 0, 0.22, 0): True,
        (0, 0, -0.3, 0): True,
    }
    for state, falls in states.items():
        assert cartpole.push(np.array(state, "float32"), 1) is falls
