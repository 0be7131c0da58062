"""Model files of commands: the model of a table, or a network alone."""

import logging
import os

from ..checks import all_finite
from .exits import Code, Ended

_log = logging.getLogger("fastbp")


def load_table_model(path):
    """Return the `TableModel` in a file.

    Raises
    ------
    Ended
        If there is no such file.
    ModelFileError
        If it holds something else, or is damaged.
    """
    from ..tables.model import TableModel

    check_there(path)
    model = TableModel.load(path)
    _tell_of_nan(path, model.network)
    return model


def load_model(path):
    """Return the model in a file, of a table or of networks alone; see `load_table_model`."""
    from .. import model_file
    from ..ensemble import networks_of
    from ..tables.model import TableModel
    from ..tables.sections import SECTION

    check_there(path)
    model = model_file.load(path)
    if SECTION in model.sections:
        return TableModel.from_model(model, path)
    return networks_of(model, path)


def _tell_of_nan(path, network):
    if not all_finite(network.parameters):
        _log.warning("%s: its weights hold NaN or infinity, and so will predictions", path)


def check_there(path):
    """Raise `Ended` if there is no such file."""
    if os.path.isdir(path):
        from ..training.checkpoints import Checkpoints

        kept = Checkpoints(path).files()
        hint = f"; its newest checkpoint is {kept[0]}" if kept else ""
        raise Ended(Code.BAD_DATA, f"{path} is a folder: expected a model file{hint}")
    if not os.path.isfile(path):
        raise Ended(Code.BAD_DATA, f"{path}: no such file; expected a model, as train -o writes it")
