"""Checks of networks, text about them, and the writing of files, for all exports."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from ..annotations import FilePath
from ..checks import all_finite
from ..ensemble import Ensemble, members_of
from ..kernels.formulas.losses import LOSSES
from ..kernels.support.files import write_whole
from ..model_file import custom_formulas
from ..network import Network
from ..quoted import quoted
from ..tables.wording import printable

# the loss whose partner an output activation is, as squared_error for the identity; where losses
# share a partner, the first one
LOSS_OF_OUTPUT: dict[str, str] = {loss.partner: loss.name for loss in reversed(LOSSES.values())}


def as_network(function: str, net: Any, argument: str = "net", several: bool = False) -> Any:
    """Return a copy of a network of one moment, which another thread may train meanwhile.

    An ensemble is one if it may be of `several`. It raises TypeError if `net` is no network, and
    ValueError if its weights are not finite.
    """
    if isinstance(net, Ensemble) and not several:
        raise TypeError(
            f"fastbp.{function}: {argument} is an ensemble of {len(net)} networks, and this takes "
            "one: give each of its `members`, and take the mean of their outputs; fastbp.to_onnx, "
            "to_c and to_numpy write the whole ensemble"
        )
    if not isinstance(net, (Network, Ensemble)):
        hint = ""
        if is_table_model(net):
            hint = "; of a table model, its `network` (to_onnx takes its preprocessing along)"
        elif hasattr(net, "coefs_"):
            hint = "; fastbp.from_sklearn makes one of scikit-learn's multilayer perceptrons"
        raise TypeError(
            f"fastbp.{function}: {argument}={quoted(net)}: expected a fastbp.Network{hint}"
        )
    members = [copy(member) for member in members_of(net)]
    if own := [formula for member in members for formula in custom_formulas(member)]:
        raise ValueError(
            f"fastbp.{function}: {argument} has a formula of your own, {quoted(own[0])}, which "
            "cannot be exported"
        )
    kept = Ensemble(members) if isinstance(net, Ensemble) else members[0]
    if not all_finite(kept.parameters):
        raise ValueError(
            f"fastbp.{function}: the weights of {argument} hold NaN or infinity, as after training "
            "that diverged; expected finite numbers"
        )
    return kept


@contextmanager
def needing(packages: tuple[str, ...], message: str) -> Iterator[None]:
    """Say in the error which package to install, if the import of one of `packages` fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        raise ModuleNotFoundError(f"fastbp.{message}", name=error.name) from error


def is_table_model(model: Any) -> bool:
    """Return whether `model` is a network with the schema of the tables that it reads."""
    networks = (Network, Ensemble)
    return hasattr(model, "schema") and isinstance(getattr(model, "network", None), networks)


def described(net: Network | Ensemble) -> str:
    """Return what it is, with sizes and activations: ``A multilayer perceptron, 8-16-3, relu``."""
    members = members_of(net)
    what = "A multilayer perceptron"
    if len(members) > 1:
        what = f"The mean of {len(members)} multilayer perceptrons"
    return ", ".join([what, *dict.fromkeys(map(_shape, members))])


def _shape(net):
    sizes = [net.layers[0].n_in, *(layer.n_out for layer in net.layers)]
    return ", ".join(["-".join(map(str, sizes)), *(layer.activation for layer in net.layers)])


def comments(notes: Sequence[object]) -> list[str]:
    """Return lines that are safe in a comment of C or Python."""
    if isinstance(notes, str):
        raise TypeError(f"notes={quoted(notes)}: expected a sequence of lines")
    return [printable(str(line)).replace("*/", "* /") for line in notes]


def write(path: FilePath | None, content: bytes) -> None:
    """Write a file atomically, if there is a path."""
    if path is not None:
        write_whole(Path(path), content, sync=True)
