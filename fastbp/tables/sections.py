"""What a model file says of a table: the schema, and how the table was read."""

from ..errors import ModelFileError
from ..json_data import read_as
from ..model_file import Model
from .columns.schema import Schema
from .losses import LOSSES
from .read.naming import Reading
from .wording import one_line

SECTION, READING = "table", "reading"


def reading_of(model: Model, path: object) -> Reading | None:
    """Return how the table of a model was read, or None if its file is older than that."""
    if READING not in model.sections:
        return None
    try:
        return read_as(Reading, model.sections[READING], READING)
    except ValueError as error:
        raise ModelFileError(
            f"{path} does not describe how its table was read: {one_line(error)}"
        ) from error


def schema_of(model: Model, source: object) -> Schema:
    """Return the schema in a model file that has one; `source` names the file in errors."""
    try:
        schema = Schema.from_data(model.sections[SECTION])
        inputs = model.specs[0].n_in
        if schema.n_features != inputs:
            raise ValueError(f"{schema.n_features} features, but the network has {inputs} inputs")
        outputs, loss = schema.n_outputs, model.loss
        fits = loss == schema.loss if schema.target.classes else loss in LOSSES["regression"]
        if schema.quantiles and model.loss_parameter != schema.quantiles:
            raise ValueError(
                f"quantiles {schema.quantiles}, but the network has {model.loss_parameter}"
            )
        if model.specs[-1].n_out != outputs or not fits:
            raise ValueError(
                f"a {schema.target.task} of {outputs} outputs, but the network has "
                f"{model.specs[-1].n_out} and the loss {loss}"
            )
    except ValueError as error:
        raise ModelFileError(
            f"{source} describes a table that cannot be read: {one_line(error)}"
        ) from error
    return schema
