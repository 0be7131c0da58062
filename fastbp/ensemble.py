"""The `Ensemble`: several networks whose mean output is the prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from . import model_file
from .annotations import Array, ArrayLike, FilePath, Floats, Matrix, Threads, Weights
from .data.samples import features, samples
from .data.weights import allowed_of
from .engine.plan import Layer
from .errors import ModelFileError
from .kernels import loss
from .kernels.formulas.custom import CustomFormula
from .network import Network
from .quoted import quoted, shortened
from .training.metrics import metric_of, predicted


class Ensemble:
    """The mean of several trained networks.

    Parameters
    ----------
    members : iterable of Network
        Two or more, of equal inputs, outputs, output activation, loss and dtype.

    Raises
    ------
    TypeError, ValueError
        If one is no network, there are fewer than two, or they differ in one of these.

    Examples
    --------
    >>> import fastbp
    >>> nets = [fastbp.Network([4, 8, 3], loss="cross_entropy", seed=seed) for seed in range(3)]
    >>> ensemble = fastbp.Ensemble(nets)
    >>> ensemble.forward([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """

    def __init__(self, members: Iterable[Network]) -> None:
        #: The networks, in their order.
        self.members: tuple[Network, ...] = tuple(members)
        for place, member in enumerate(self.members):
            if not isinstance(member, Network):
                raise TypeError(f"members[{place}]={quoted(member)}: expected a fastbp.Network")
            for name, value in _equal_in_all(member).items():
                first = _equal_in_all(self.members[0])[name]
                if value != first:
                    raise ValueError(
                        f"members[{place}] has {name} {value}, and members[0] {first}: expected "
                        "networks of equal inputs, outputs, loss and dtype"
                    )
        if len(self.members) < 2:
            raise ValueError(f"members: {len(self.members)} given, expected two or more")

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Network]:
        return iter(self.members)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the first member: all have its inputs, outputs and output activation."""
        return self.members[0].layers

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating-point type of all members."""
        return self.members[0].dtype

    @property
    def loss(self) -> str:
        """The loss of all members."""
        return self.members[0].loss

    @property
    def loss_parameter(self) -> float | tuple[float, ...]:
        """The parameter of the loss; 0 if it has none."""
        return self.members[0].loss_parameter

    @property
    def parameters(self) -> Floats:
        """The parameters of all members, one after another: a copy."""
        return np.concatenate([member.parameters for member in self.members])

    def forward(self, X: Matrix, n_threads: Threads = "auto") -> Floats:
        """Return the mean of the members' outputs (n, n_out), which is taken in float64."""
        return mean_of(self._outputs(X, n_threads))

    def spread(self, X: Matrix, n_threads: Threads = "auto") -> Floats:
        """Return the standard deviation of the members' outputs (n, n_out): that of `np.std`.

        It is the population's, the root of the mean square about the mean, as the members are
        all that the prediction is made of.
        """
        return self.mean_and_spread(X, n_threads)[1]

    def mean_and_spread(self, X: Matrix, n_threads: Threads = "auto") -> tuple[Floats, Floats]:
        """Return what `forward` and `spread` do, from one pass of each member."""
        return mean_and_spread_of(self._outputs(X, n_threads))

    def predict(self, X: Matrix, n_threads: Threads = "auto") -> Array:
        """Return predictions for `X`, as `Network.predict` does from the mean outputs."""
        return predicted(self.loss, self.forward(X, n_threads))

    def evaluate(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: Weights = None,
        n_threads: Threads = "auto",
        *,
        missing_targets: bool = False,
    ) -> dict[str, float]:
        """Return the mean loss of the mean outputs, and their accuracy or R2, by name.

        The arguments are those of `Network.evaluate`.
        """
        allowed = allowed_of(missing_targets)
        plan = self.members[0].engine.plan
        data = samples(X, y, plan, self.loss, sample_weight, allowed=allowed)
        outputs = mean_of(each.engine.forward(data, n_threads) for each in self.members)
        targets: Any = data.y if data.labels is None else data.labels
        weight = data.weight if data.output_weight is None else data.output_weight
        weight = None if weight is None else weight.astype(self.dtype)
        rule: Any = {"parameter": self.loss_parameter or None, "sample_weight": weight}
        mean, _ = loss(outputs, targets, self.loss, **rule, n_threads=n_threads)
        metric = metric_of(self.loss)
        return {"loss": mean, metric.name: metric.score(outputs, data)}

    def _outputs(self, X, n_threads):
        rows = features(X, self.members[0].engine.plan)  # converted and checked once
        return (member.engine.forward(rows, n_threads) for member in self.members)

    def summary(self, batch_size: int = 128) -> str:
        """Return a table of the layers of each member; of all in one, if they are equal."""
        tables = [member.summary(batch_size) for member in self.members]
        if len(set(tables)) == 1:
            return f"{len(self)} networks, each:\n{tables[0]}"
        parts = (f"network {n}:\n{table}" for n, table in enumerate(tables, 1))
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return f"Ensemble({len(self)} members, the first {self.members[0]!r})"

    def save(self, path: FilePath) -> None:
        """Write all members to one safetensors file, atomically."""
        model_file.save(path, self.to_model())

    @classmethod
    def load(cls, path: FilePath, custom: Iterable[CustomFormula] = ()) -> Ensemble:
        """Return the ensemble that `save` wrote; nothing in the file is executed.

        `custom` are the formulas of your own that it names, as for `Network.load`.

        Raises
        ------
        ModelFileError
            If the file is truncated, altered, of another version, or of a single network.
        FileNotFoundError
            If there is no such file.
        """
        found = networks_of(model_file.load(path, custom), path)
        if isinstance(found, Network):
            raise ModelFileError(f"{path} holds one network: load it with fastbp.Network.load")
        return found

    def to_model(self) -> model_file.Model:
        """Return the content of the ensemble's model file; each member is a copy of one moment."""
        first, *more = (member.to_model() for member in self.members)
        return replace(first, more=tuple(more))


def mean_of(outputs: Iterable[Floats]) -> Floats:
    """Return the mean of arrays, in their dtype; it is taken in float64."""
    return mean_and_spread_of(outputs, spreads=False)[0]


def mean_and_spread_of(outputs: Iterable[Floats], spreads: bool = True) -> tuple[Floats, Floats]:
    """Return the mean of arrays, as `mean_of`, and their standard deviation, that of `np.std`.

    One is in memory at a time (Welford, Technometrics 4, 1962). Without `spreads` it is 0.
    """
    total: Any = 0.0
    mean: Any = 0.0
    squares: Any = 0.0
    for count, each in enumerate(outputs, 1):
        wide = each.astype(np.float64)
        total = total + wide
        if spreads:
            away = wide - mean
            mean = mean + away / count
            squares = squares + away * (wide - mean)
    squares = np.broadcast_to(squares, np.shape(total))
    return np.asarray(total / count, each.dtype), np.asarray(np.sqrt(squares / count), each.dtype)


def ensemble_of(members: Iterable[Network]) -> Network | Ensemble:
    """Return the ensemble of some networks; of a single one, the network itself."""
    members = tuple(members)
    return members[0] if len(members) == 1 else Ensemble(members)


def members_of(model: Network | Ensemble) -> tuple[Network, ...]:
    """Return the members of an ensemble, or a network as the only one."""
    return model.members if isinstance(model, Ensemble) else (model,)


def networks_of(model: model_file.Model, path: object) -> Network | Ensemble:
    """Return the network, or the ensemble, in the `Model` that was read from `path`.

    ModelFileError if the networks of an ensemble do not go together.
    """
    parts = (replace(model, more=()), *model.more)
    try:
        return ensemble_of([Network.from_model(part) for part in parts])
    except ValueError as error:
        raise ModelFileError(
            f"{path} describes an ensemble that cannot be: {shortened(error)}"
        ) from error


def _equal_in_all(network):
    """Return what the members of an ensemble have in common, by name."""
    last = network.layers[-1]
    return {
        "inputs": network.layers[0].n_in,
        "outputs": last.n_out,
        "output activation": last.activation,
        "loss": network.loss,
        "loss_parameter": network.loss_parameter,
        "dtype": network.dtype.name,
    }
