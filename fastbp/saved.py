"""A network that is saved to a model file, loaded from one, and copied by its content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import model_file
from .annotations import FilePath
from .engine.described import Described
from .engine.engine import Engine
from .engine.monotonic import require_signs
from .engine.plan import Plan
from .kernels.formulas.custom import CustomFormula

if TYPE_CHECKING:
    from typing_extensions import Self


class Saved(Described):
    """What a `Network` has in common with its model file."""

    def save(self, path: FilePath) -> None:
        """Write the network to one safetensors file: weights, moments and its place in training.

        A loaded network continues training with the same bits. While another thread trains the
        network, it waits for the end of a slice of about 50 ms, or of one longer step.
        """
        require_signs(self._engine.plan, self._engine.params)
        model_file.save(path, self.to_model())

    @classmethod
    def load(cls, path: FilePath, custom: Iterable[CustomFormula] = ()) -> Self:
        """Return the network that `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        custom : sequence, optional
            The formulas of your own that the file names, as `custom_activation` and `custom_loss`
            return them; others are ignored.

        Raises
        ------
        ModelFileError
            If the file is truncated, altered, of a version this program cannot read, or of
            several networks, or if it names a formula that is not among `custom`.
        FileNotFoundError
            If there is no such file.
        """
        return cls.from_model(model_file.load_one(path, custom))

    def to_model(self) -> model_file.Model:
        """Return the content of the network's model file.

        It is a copy of one moment between two steps, if another thread trains the network.
        """
        params, moments, steps, epochs = self._engine.progress()
        return replace(self._content(), params=params, moments=moments, steps=steps, epochs=epochs)

    def _content(self):
        """Return the content of the model file, whose arrays are the network's own."""
        engine = self._engine
        return model_file.Model(
            specs=self.layers,
            input_drop=self.input_dropout,
            dtype=self.dtype.name,
            loss=self.loss,
            loss_parameter=self.loss_parameter,
            optimizer=self.optimizer,
            seed=self.seed,
            steps=self.steps,
            epochs=self.epochs,
            params=engine.params,
            moments=engine.moments,
        )

    @classmethod
    def from_model(cls, model: model_file.Model) -> Self:
        """Return the network of a model file's content; arrays are copied."""
        network = cls.__new__(cls)
        plan = Plan(model.specs, model.input_drop, model.dtype)
        engine = Engine(plan, model.loss, model.loss_parameter, model.optimizer, model.seed)
        Described.__init__(network, engine)
        network._take(model)
        return network

    def _take(self, model):
        """Take the parameters of a model, and its place in training."""
        engine = self._engine
        engine.seed = model.seed
        engine.set_progress(model.params, model.moments, model.steps, model.epochs)

    def __reduce__(self):
        """Pickle and copy by the content of the model file: addresses do not travel."""
        others = {name: value for name, value in vars(self).items() if name != "_engine"}
        return type(self).from_model, (self.to_model(),), others


def first_of_ranks(ranks: Any, model: Any, own: list[CustomFormula]) -> Any:
    """Return the model of a checkpoint that rank 0 has; `own` are formulas that it may name."""
    if not own:
        return ranks.first(model)
    content = ranks.first(None if model is None else model_file.to_bytes(model))
    return None if content is None else model_file.from_bytes(content, custom=own)
