"""The shuffle of NumPy's RandomState, in compiled code."""

import numpy as np
import pytest

from fastbp.kernels.net.epochs import shuffle


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 100, 1_025, 70_000])
def test_orders_are_those_of_numpy(count):
    for seed in range(3):
        expected, own = np.random.RandomState(seed), np.random.RandomState(seed)
        own.random_sample(seed)  # the state need not be fresh
        expected.random_sample(seed)
        orders = np.arange(count), np.arange(count)
        kind, words, place, *normal = own.get_state()
        words, place, partners = words.copy(), np.array([place]), np.empty(count, np.uint64)
        for _ in range(3):
            expected.shuffle(orders[0])
            shuffle.serial(words, place, partners, orders[1])
            assert (orders[0] == orders[1]).all()
        own.set_state((kind, words, int(place[0]), *normal))
        assert (own.randint(2**31, size=700) == expected.randint(2**31, size=700)).all()
