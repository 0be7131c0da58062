"""The modules of benchmarks/, imported from the checkout, for their tests."""

import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
if not FOLDER.is_dir():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)

# prefixes by which asv recognizes benchmarks
KINDS = ("time_", "track_", "peakmem_", "timeraw_")


def load(name):
    """Import the package or one of its modules without putting the checkout on the path."""
    if "." not in name:
        spec = importlib.util.spec_from_file_location(
            name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    return importlib.import_module(name)


load("benchmarks")
WORKLOADS = load("benchmarks.workloads").WORKLOADS
MODULES = [load(f"benchmarks.{path.stem}") for path in sorted(FOLDER.glob("bench_*.py"))]
CLASSES = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if inspect.isclass(kind) and kind.__module__ == module.__name__
]


def functions(kind):
    """Return the names of a class's benchmarks."""
    return [name for name in dir(kind) if name.startswith(KINDS)]
