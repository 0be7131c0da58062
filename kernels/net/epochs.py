"""Several epochs of one network in one call, in the orders that NumPy's RandomState shuffles.

References: Matsumoto and Nishimura, Mersenne Twister, ACM TOMACS 8, 1998, whose 32-bit words
`_tempered` returns; Durstenfeld, CACM 7, 1964, for the shuffle. How NumPy draws a place from a
word, and in which direction it goes, is its own.
"""

import numpy as np

from ..compiler.jit import inner, kernel
from .loop import train

WORDS = 624  # of the state of a Mersenne Twister
_SHIFT = 397
_UPPER, _LOWER = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
_MATRIX = np.uint32(0x9908B0DF)
_ONE, _BIT = np.uint32(1), np.uint64(1)


@inner
def _mixed(word, after, shifted):
    both = (word & _UPPER) | (after & _LOWER)
    return shifted ^ (both >> _ONE) ^ (_MATRIX * (both & _ONE))


@inner
def _twist(words):
    """Replace all words of a state by the next ones."""
    back = WORDS - _SHIFT
    for i in range(back):
        words[i] = _mixed(words[i], words[i + 1], words[i + _SHIFT])
    for i in range(back, WORDS - 1):
        words[i] = _mixed(words[i], words[i + 1], words[i - back])
    words[WORDS - 1] = _mixed(words[WORDS - 1], words[0], words[_SHIFT - 1])


@inner
def _tempered(word):
    word ^= word >> np.uint32(11)
    word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
    word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
    return word ^ (word >> np.uint32(18))


@kernel
def shuffle(words, place, partners, order):
    """Shuffle `order` (n,) in place, as ``RandomState.shuffle``; n is at most 2^32.

    The state is its `words` (624,), and the `place` (1,) of the next. `partners` (n,) is scratch.
    """
    at, i, mask = place[0], np.uint64(order.size - 1), np.uint64(0)
    while mask < i:
        mask = (mask << _BIT) | _BIT
    while i > np.uint64(0):
        if at == WORDS:
            _twist(words)
            at = 0
        partners[i] = np.uint64(_tempered(words[at])) & mask
        at += 1
        # one above i is drawn again: without a branch, which is not foreseen half of the time
        i -= np.uint64(partners[i] <= i)
        mask >>= np.uint64(i <= (mask >> _BIT))  # the least one that holds i
    place[0] = at
    for i in range(order.size - 1, 0, -1):
        j = partners[i]
        order[i], order[j] = order[j], order[i]


@kernel
def train_epochs(words, place, partners, order, epochs, layers, runs, params, grads, moments, work):
    """Train a network for some epochs, at the same rates; return how many it completed.

    Each shuffles the `order` that the run goes by anew, if there are `partners`. The run says
    where the losses and penalties (epochs, batches) are written. A loss that is not finite ends
    the training; ``runs[0].done`` is then the number of steps before it.
    """
    run = runs[0]
    for epoch in range(epochs):
        if partners.size > 0:
            shuffle(words, place, partners, order)
        made = train(layers, runs, params, grads, moments, work)
        if made < run.steps:
            return epoch
        run.losses += 8 * run.steps
        run.penalties += 8 * run.steps
    return epochs
