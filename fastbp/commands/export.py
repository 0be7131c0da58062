"""``fastbp export``: a model in the form of other houses."""

from pathlib import Path
from typing import Annotated

import typer

from ..tables.wording import counted
from .exits import Code, Ended, guarded
from .log import LogOption, Mode
from .models import load_model
from .values import ModelArgument, not_the_input, writable

_FORMS = {".onnx": "to_onnx", ".c": "to_c", ".py": "to_numpy"}


def export(
    model: ModelArgument,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A name in .onnx, .c or .py.", metavar="FILE", callback=writable
        ),
    ],
    log: LogOption = Mode.text,
):
    """Write a model as ONNX with its preprocessing, or its network as C99 or as NumPy code.

    Exit codes: 0 done, 1 the system failed, 2 usage, 3 not a model file.
    """
    with guarded(log) as out:
        import fastbp

        from ..tables.result.notes import notes_of

        suffix = Path(output).suffix.lower()
        if suffix not in _FORMS:
            raise Ended(Code.USAGE, f"-o {output}: expected a name in {', '.join(_FORMS)}")
        loaded, options = load_model(model), {}
        not_the_input(output, model)
        schema = getattr(loaded, "schema", None)
        if suffix != ".onnx" and schema is not None:
            loaded, options = loaded.network, {"notes": notes_of(schema)}
            out.text(
                f"the network alone, of {counted(schema.n_features, 'number')} that comments in "
                "the file describe; .onnx takes the columns of the table"
            )
        getattr(fastbp, _FORMS[suffix])(loaded, output, **options)
        out.event("saved", f"saved to {output}", path=output)
