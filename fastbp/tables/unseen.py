"""Rows that did not train, and the networks that have not seen them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..annotations import Threads
from ..ensemble import mean_of
from ..network import Network


@dataclass(frozen=True)
class Unseen:
    """Encoded rows X (n, n_features) with their targets y, and networks that train on others.

    What the networks predict is the mean of their outputs. `weight` (n,) are the rows' own
    weights, without those of their classes; None where all rows count the same. `others` are the
    networks of the same ensemble that trained on these rows.
    """

    networks: Sequence[Network]
    X: npt.NDArray
    y: npt.NDArray
    weight: npt.NDArray | None = None
    others: Sequence[Network] = ()

    @property
    def weights(self) -> npt.NDArray:
        """The rows' own weights (n,), ones where all rows count the same."""
        return np.ones(len(self.X)) if self.weight is None else self.weight.astype(np.float64)

    def outputs(self, n_threads: Threads = "auto") -> npt.NDArray:
        """Return the mean outputs (n, n_out) of the networks."""
        return mean_of(network.forward(self.X, n_threads) for network in self.networks)

    def logits(self, n_threads: Threads = "auto") -> npt.NDArray:
        """Return what the output activation takes: Z of the last layer (networks, n, n_out)."""
        return np.stack([_linear(each).forward(self.X, n_threads) for each in self.networks])

    def thinned(self, most: int) -> "Unseen":
        """Return at most so many of the rows that have a weight, spread evenly."""
        rows = np.arange(len(self.X)) if self.weight is None else np.flatnonzero(self.weight)
        rows = rows[:: max(1, -(-len(rows) // max(1, most)))]
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], weight=weight)


def _linear(network):
    """Return a copy of a network without its output activation: probabilities may be 0 or 1."""
    model = network.to_model()
    last = replace(model.specs[-1], activation="identity")
    specs = (*model.specs[:-1], last)
    return Network.from_model(replace(model, specs=specs, loss="squared_error", loss_parameter=0.0))
