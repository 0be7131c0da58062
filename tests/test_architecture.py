"""The rules of the house: arrows point down, one door to Numba, small files, documented names."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastbp
import fastbp.kernels

# installed, kernels/ lies below fastbp/; in an editable checkout it lies beside it
FASTBP, KERNELS = Path(fastbp.__file__).parent, Path(fastbp.kernels.__file__).parent
CHECKOUT = Path(__file__).resolve().parent.parent
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "setup.cfg",
    "LICENSE",
    "fastbp",
    "kernels",
    "benchmarks",
    "tests",
}
MOST_LINES = 400
# the files that may write LLVM IR
IR_FILES = {
    f"fastbp.kernels.simd.{name}"
    for name in ("vector", "view", "intrinsics", "bits", "meeting", "dispatch", "dual", "tile")
}


def _modules(package, folder):
    """Return the files of a package and of those below it, by dotted name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


# an installed fastbp/ has kernels/ below it
SOURCES = {**_modules("fastbp", FASTBP), **_modules("fastbp.kernels", KERNELS)}
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}


def _at_run_time(tree):
    """Yield the nodes of a module, without those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and _name_of(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _at_run_time(node)


def imports(name):
    """Return all that a module imports anywhere in it, as dotted names of modules and members."""
    is_package = SOURCES[name].stem == "__init__"
    package = name if is_package else name.rpartition(".")[0]
    found = set()
    for node in _at_run_time(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            found |= {f"{start}.{alias.name}" for alias in node.names}
    return found


def own_modules(name):
    """Return which modules of fastbp a module imports."""
    found = set()
    for target in imports(name):
        # `from .table import Table` names a member; its module is the longest known prefix
        parts = target.split(".")
        prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        found |= {next((prefix for prefix in prefixes if prefix in SOURCES), None)}
    return found - {None, name}


def test_every_folder_is_a_package_that_is_installed():
    packages = {name for name, path in SOURCES.items() if path.stem == "__init__"}
    assert {path.parent for path in SOURCES.values()} == {SOURCES[name].parent for name in packages}
    listed = re.search(r"\npackages = \[(.*?)\]", (CHECKOUT / "pyproject.toml").read_text(), re.S)
    assert packages == set(re.findall(r'"([\w.]+)"', listed[1]))


def test_the_walk_sees_the_files_and_their_imports():
    # the other tests would pass if it saw none
    assert {
        "fastbp.network",
        "fastbp.kernels.compiler.jit",
        "fastbp.kernels.simd.gemm",
    } <= SOURCES.keys()
    assert "fastbp.kernels.simd.tile" in own_modules("fastbp.kernels.simd.gemm")
    assert "fastbp.kernels.formulas.losses" in own_modules("fastbp.network")
    assert "numba.njit" in imports("fastbp.kernels.compiler.jit")


# how values are quoted in messages, and what limits the process: the command line starts with
# them, and without Numba
BELOW_ALL = {"fastbp", "fastbp.control_groups", "fastbp.memory", "fastbp.quoted"}


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if ".kernels" in name))
def test_kernels_import_nothing_above_them(name):
    outside = {module for module in own_modules(name) if ".kernels" not in module}
    assert outside <= BELOW_ALL


# the rooms and files of fastbp/, each below those that may import from it
ORDER = (
    "quoted",
    "control_groups",
    "memory",
    "kernels",
    "annotations",
    "checks",
    "durations",
    "errors",
    "machine",
    "json_data",
    "components",
    "engine",
    "data",
    "derivatives",
    "stepping",
    "model_file",
    "ranks",
    "second_order",
    "training",
    "saved",
    "network",
    "scaling",
    "ensemble",
    "estimators",
    "many",
    "tables",
    "tabular",
    "exports",
    "report",
    "diagnostics",
    "commands",
    "cli",
    "__main__",
)


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if name != "fastbp"))
def test_rooms_of_fastbp_import_downwards(name):
    room = ORDER.index(name.split(".")[1])
    above = {m for m in own_modules(name) if m != "fastbp" and ORDER.index(m.split(".")[1]) > room}
    assert above == set()


# the rooms of kernels/, each above those it may import from; a file at the top is an equation
ROOMS = ({"support", "tuning"}, {"compiler"}, {"simd"}, {"formulas"}, {"equation"}, {"net"})
ABOVE_NET = {"", "forward_row", "forward_batch", "train_step"}


def _floor(module):
    """Return the height of the room of a module of kernels/."""
    room = module.removeprefix("fastbp.kernels").lstrip(".").split(".")[0]
    if room in ABOVE_NET:
        return len(ROOMS)
    floors = {name: height for height, names in enumerate(ROOMS) for name in names}
    return floors.get(room, floors["equation"])


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if ".kernels" in name))
def test_rooms_of_kernels_import_downwards(name):
    inside = own_modules(name) - BELOW_ALL
    assert {module for module in inside if _floor(module) > _floor(name)} == set()


def test_the_walk_of_rooms_sees_every_room():
    found = {_floor(name) for name in SOURCES if ".kernels" in name}
    assert found == set(range(len(ROOMS) + 1))
    assert _floor("fastbp.kernels.simd.gemm") < _floor("fastbp.kernels.matmul")


def test_tuning_imports_nothing_but_the_standard_library():
    names = {target.split(".")[0] for target in imports("fastbp.kernels.tuning")}
    assert names <= sys.stdlib_module_names


def test_a_file_at_the_top_of_kernels_holds_the_public_function_of_its_name():
    stems = {path.stem for path in KERNELS.glob("*.py")} - {"__init__", "tuning"}
    topics = {"peak": "measure_peak", "random": "random_uniform"}
    for stem in stems:
        public = topics.get(stem, stem)
        module = importlib.import_module(f"fastbp.kernels.{stem}")
        assert getattr(module, public) is getattr(fastbp.kernels, public)


def test_no_module_imports_itself_by_way_of_others():
    graph = {name: own_modules(name) for name in SOURCES}
    while graph:
        # take away what imports nothing that is left, until a cycle is all there is
        leaves = {name for name, targets in graph.items() if not targets & graph.keys()}
        assert leaves, f"these import each other: {sorted(graph)}"
        graph = {name: targets for name, targets in graph.items() if name not in leaves}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_nobody_imports_a_top_level_package_called_kernels(name):
    # that name belongs to another package on PyPI
    assert {target for target in imports(name) if target.split(".")[0] == "kernels"} == set()


DECORATORS = {"njit", "jit", "vectorize", "guvectorize", "stencil", "cfunc", "generated_jit"}


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"fastbp.kernels.compiler.jit"}))
def test_only_jit_is_a_door_to_numbas_decorators(name):
    from_numba = {target for target in imports(name) if target.split(".")[0] == "numba"}
    assert {target for target in from_numba if target.rpartition(".")[2] in DECORATORS} == set()
    attributes = {
        node.attr
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Attribute) and _name_of(node.value) in {"numba", "nb"}
    }
    assert attributes & DECORATORS == set()


@pytest.mark.parametrize("name", sorted(set(SOURCES) - IR_FILES))
def test_only_three_files_write_llvm_ir(name):
    assert {target for target in imports(name) if target.startswith("llvmlite.ir")} == set()
    assert {t for t in imports(name) if t.startswith("numba.extending")} == set()


def _name_of(node):
    return node.id if isinstance(node, ast.Name) else None


PRODUCTS = {"dot", "matmul", "einsum", "vdot", "inner", "tensordot", "linalg", "blas"}


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if ".kernels" in name))
def test_kernels_leave_no_product_to_blas(name):
    tree = TREES[name]
    called = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _name_of(node.value) in {"np", "numpy", "scipy"}
    }
    assert called & PRODUCTS == set()
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.MatMult)]
    libraries = {target.split(".")[0] for target in imports(name)}
    assert "scipy" not in libraries
    members = {target.rpartition(".")[2] for target in imports(name) if target[:5] == "numpy"}
    assert members & PRODUCTS == set()


# what Numba, enum, PyTorch and scikit-learn offer under no other name; what scikit-learn's
# estimators call the state that their solver updates
FOREIGN = {
    "fastbp.commands.codes": {"_value_"},
    "fastbp.estimators.stochastic": {"_best_parameters", "_no_improvement_count"},
    "fastbp.estimators.validation": {"_accept_sample_weight"},
    "fastbp.exports.sklearn": {"_label_binarizer"},
    "fastbp.kernels.compiler.cache_code": {"_rebuild", "_reduce"},
    "fastbp.kernels.compiler.jit": {"_cache", "_lock"},
    "fastbp.kernels.support.forks": {"_lock"},
    "fastbp.kernels.compiler.pipeline": {"_data_layout", "_tm"},
    "fastbp.exports.torch_modules": {"_modules"},
}


def _names_defined(tree):
    """Return the attributes and methods that the classes and functions of a module define."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if _name_of(node.value) in {"self", "cls"}:
                found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def private_attributes(tree):
    """Return the underscore attributes that a module reads or sets of objects not its own.

    An attribute counts as its own if one of its classes has that name; `_engine` never does, as
    several classes have one.
    """
    own = _names_defined(tree) - {"_engine"}
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and _name_of(node.value) not in {"self", "cls"}
        and node.attr not in own
    }


def test_private_attributes_are_found():
    tree = ast.parse("class A:\n    _b = 1\n    def c(self, d): return self._e + d._b + d._f.__g__")
    assert private_attributes(tree) == {"_f"}
    tree = ast.parse("def f(a, self):\n    a._b = 1\n    self._engine = a._engine")
    assert private_attributes(tree) == {"_b", "_engine"}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_module_reads_a_private_attribute_of_another(name):
    assert private_attributes(TREES[name]) - FOREIGN.get(name, set()) == set()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_module_imports_a_private_name_of_another(name):
    own = {target for target in imports(name) if target.startswith("fastbp.")}
    private = {target.rpartition(".")[2] for target in own}
    assert {n for n in private if n.startswith("_") and not n.startswith("__")} == set()


def test_import_fastbp_imports_no_other_package_but_numpy(run_python):
    code = """
    import sys
    import fastbp
    heavy = {"numba", "llvmlite", "sklearn", "scipy", "torch", "jax", "polars", "pandas",
             "matplotlib", "safetensors", "tqdm"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
    # and using it imports nothing that is for extras (scipy, if it is there, Numba imports)
    import numpy as np
    fastbp.Network([2, 1]).fit(np.ones((3, 2)), np.ones(3), epochs=1)
    extras = {"sklearn", "torch", "jax", "polars", "pandas", "matplotlib"}
    assert not extras & set(sys.modules), extras & set(sys.modules)
    """
    run_python(code)


def test_every_public_name_can_be_had_and_is_listed():
    for name in fastbp.__all__:
        assert getattr(fastbp, name) is not None
        assert name in dir(fastbp)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = fastbp.no_such_name


def _git(*arguments):
    if not (CHECKOUT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not in a git checkout: nothing says which files belong to the repository")
    done = subprocess.run(
        ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:  # as where another user owns the checkout
        pytest.skip(f"git does not read this checkout: {done.stderr.strip()}")
    return done.stdout.splitlines()


def test_the_top_level_holds_what_it_should_and_no_more():
    files = _git("ls-files", "--cached", "--others", "--exclude-standard")
    found = {Path(file).parts[0] for file in files if (CHECKOUT / file).exists()}
    assert {name for name in found if not name.startswith(".")} == TOP_LEVEL


def test_no_file_is_longer_than_it_should_be():
    files = _git("ls-files", "--cached", "--others", "--exclude-standard", "*.py")
    paths = [CHECKOUT / file for file in files if (CHECKOUT / file).exists()]
    assert paths
    lengths = {str(path): len(path.read_text().splitlines()) for path in paths}
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}


def _public(body, prefix=""):
    """Yield the functions and classes, with public methods, that have no underscore."""
    for node in body:
        is_callable = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if is_callable and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{node.name}.")


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_public_callable_says_what_it_does(name):
    assert ast.get_docstring(TREES[name])
    silent = [
        path
        for path, node in _public(TREES[name].body)
        # a setter is described by its property, and overloads by what they overload
        if not ast.get_docstring(node)
        and not any(getattr(d, "attr", "") == "setter" for d in node.decorator_list)
        and "overload" not in map(_name_of, node.decorator_list)
    ]
    assert silent == []
