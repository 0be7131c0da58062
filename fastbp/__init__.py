"""fastbp: multilayer perceptrons trained by backpropagation on a CPU, at its full speed."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"

if find_spec(f"{__name__}.kernels") is None:
    raise ImportError(
        f"{__path__[0]} is the source of fastbp without its kernels, and hides the installed "
        "package: run Python in another folder, or python -m pip install -e . here"
    )

# __init__.pyi lists the public names and their modules; a module is imported when one of its
# names is first used, so that `import fastbp` costs almost nothing
_MODULES = {
    alias.name: node.module
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8")).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}
__all__ = [name for name, module in _MODULES.items() if module]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _MODULES[name] is None:  # data and kernels
        return import_module(f"{__name__}.{name}")
    try:
        found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "sklearn":
            raise
        raise ModuleNotFoundError(
            f'{__name__}.{name} needs scikit-learn: python -m pip install "{__name__}[sklearn]"',
            name="sklearn",
        ) from error
    # kept, so that the next use takes no lock of an import: a thread that holds one at a fork is
    # not there in the child, which waited without end on Python 3.10
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*_MODULES, "__version__"])
