"""How much predictions change with the inputs of a network: the gradient of the output."""

import numpy as np
import numpy.typing as npt

from ..annotations import Threads
from ..ensemble import Ensemble, members_of
from ..network import Network


def input_gradients(
    network: Network | Ensemble,
    X: npt.NDArray,
    output: int | None = None,
    n_threads: Threads = "auto",
) -> npt.NDArray[np.float64]:
    """Return d a_c / d x (n, n_in) of rows X (n, n_in), dropout inactive.

    c is the `output`, by default the largest: of the class that is predicted. Of an ensemble it
    is the mean of its members'.
    """
    place = network.forward(X, n_threads).argmax(axis=1) if output is None else output
    found = [_of_one(member, X, place, n_threads) for member in members_of(network)]
    mean: npt.NDArray[np.float64] = np.mean(found, axis=0)
    return mean


def _of_one(network, X, output, n_threads):
    """Return the gradients of one network; `output` is one for all rows, or of each row."""
    chosen = np.zeros((len(X), network.layers[-1].n_out), network.dtype)
    chosen[np.arange(len(X)), output] = 1
    return network.vjp(X, chosen, n_threads=n_threads)[1].astype(np.float64)
