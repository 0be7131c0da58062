"""``fastbp export``: a model as ONNX, C or NumPy code."""

from pathlib import Path
from typing import Annotated, Any

from ..tables.wording import counted
from .exits import Code, Ended, guarded
from .models import load_model
from .values import LogOption, ModelArgument, QuietOption, not_the_input, output_option

_FORMS = {".onnx": "to_onnx", ".c": "to_c", ".py": "to_numpy"}


def export(
    model: ModelArgument,
    output: Annotated[Any, output_option("File to write: .onnx, .c or .py.")],
    log: LogOption = "text",
    quiet: QuietOption = False,
):
    """Write a model as ONNX, C or NumPy code.

    ONNX takes the columns of the table, with their preprocessing; C99 and NumPy code are the
    network alone, and describe its inputs in comments.
    """
    with guarded(log, quiet) as out:
        import fastbp

        from ..tables.result.notes import notes_of

        suffix = Path(output).suffix.lower()
        if suffix not in _FORMS:
            raise Ended(
                Code.USAGE, f"--output {output}: expected a name ending in {', '.join(_FORMS)}"
            )
        loaded, options = load_model(model), {}
        not_the_input(output, model)
        schema = getattr(loaded, "schema", None)
        if suffix != ".onnx" and schema is not None:
            loaded, options = loaded.network, {"notes": notes_of(schema)}
            out.text(
                f"the network alone, of {counted(schema.n_features, 'number')} that comments in "
                "the file describe; .onnx takes the columns of the table"
            )
        out.step(f"writing {output}")
        try:
            getattr(fastbp, _FORMS[suffix])(loaded, output, **options)
        except ValueError as error:  # of weights that are not finite, or what a format lacks
            raise Ended(Code.BAD_DATA, f"{model}: {error}") from None
        out.event("saved", f"saved to {output}", path=output)
