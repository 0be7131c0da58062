"""The benchmarks: every entry of every table has one, and each of them runs."""

import ast
import itertools
import re
import shlex
import subprocess
import sys
from functools import cache

import pytest

import fastbp
from benchmark_modules import CLASSES, FOLDER, MODULES, WORKLOADS, functions, load

# what a parameter of this name must run through
TABLES = {
    "activation": fastbp.ACTIVATIONS,
    "loss": fastbp.LOSSES,
    "optimizer": fastbp.OPTIMIZERS,
    "initializer": fastbp.INITIALIZERS,
    "schedule": fastbp.SCHEDULES,
    "workload": WORKLOADS,
}


def parameters(kind):
    """Return the values of each parameter of a benchmark class, by name."""
    return dict(zip(getattr(kind, "param_names", ()), getattr(kind, "params", ()), strict=True))


def smallest(kind):
    """Return the arguments to run: every entry of a table of formulas, else the first value."""
    values = {
        name: all_values if name in TABLES and name != "workload" else all_values[:1]
        for name, all_values in parameters(kind).items()
    }
    return list(itertools.product(*values.values()))


def cases():
    for kind in CLASSES:
        starts_processes = kind.__module__ == "benchmarks.bench_process"
        for arguments in smallest(kind):
            name = "-".join(map(str, (kind.__name__, *arguments)))
            marks = [pytest.mark.slow] if starts_processes else []
            yield pytest.param(kind, arguments, id=name, marks=marks)


def commands():
    """Return (program, arguments) of each command in the README of the benchmarks."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^    (?:mpiexec .*)?python benchmarks/(\w+)\.py ?(.*)$", text, re.MULTILINE
    )
    return [(program, shlex.split(arguments, comments=True)) for program, arguments in found]


@pytest.mark.parametrize("program, arguments", commands())
def test_a_command_of_the_readme_has_options_that_exist(program, arguments):
    assert load(f"benchmarks.{program}").parse(arguments)


def test_the_readme_names_every_program():
    starts = [path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text("utf-8")]
    servers = {"peer_frameworks", "guard_process"}
    assert {program for program, _ in commands()} == set(starts) - servers


def test_the_suite_imports_only_what_old_commits_have():
    found, left = set(), [module.__name__.rpartition(".")[2] for module in MODULES]
    for name in left:  # it grows by the modules that these import
        for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module)
            if isinstance(node, ast.ImportFrom):
                # `from . import name` has no module
                own = (node.module or node.names[0].name).removeprefix("benchmarks.")
                left += [own] if (FOLDER / f"{own}.py").is_file() and own not in left else []
    assert "workloads" in left
    # fastbp.data is an attribute: the first commits have another module of that name
    assert {name for name in found if name.startswith("fastbp")} == {"fastbp", "fastbp.kernels"}


def test_every_module_has_benchmarks():
    assert {kind.__module__ for kind in CLASSES} == {module.__name__ for module in MODULES}
    assert all(functions(kind) for kind in CLASSES)


@pytest.mark.parametrize("parameter", TABLES)
def test_every_entry_has_a_benchmark(parameter):
    covered = [set(parameters(kind).get(parameter, ())) for kind in CLASSES]
    missing = set(TABLES[parameter]) - set().union(*covered)
    assert not missing, f"no benchmark of {parameter} {missing}"


def test_the_workloads_are_those_of_the_design():
    assert {name: (w.sizes, w.batch, w.rows) for name, w in WORKLOADS.items()} == {
        "tiny": ((4, 32, 16, 4), 128, 10_000),
        "tabular": ((32, 64, 64, 1), 64, 20_000),
        "digits": ((64, 100, 10), 200, 1_797),
        "mnist": ((784, 128, 10), 128, 20_000),
        "mnist2": ((784, 512, 512, 10), 256, 20_000),
        "wide": ((1024, 2048, 2048, 1000), 1024, 4_096),
    }


def test_the_workloads_are_those_of_the_command():
    # two lists: old commits, which asv runs these benchmarks with, lack the command's module
    from fastbp.diagnostics.bench import WORKLOADS as COMMANDS

    assert {name: (w.sizes, w.batch, w.loss) for name, w in WORKLOADS.items()} == {
        name: (w.sizes, w.batch, w.loss) for name, w in COMMANDS.items()
    }


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_makes_the_same_data_for_the_same_seed(name):
    workload, make_data = WORKLOADS[name], sys.modules["benchmarks.workloads"].make_data
    X, y = make_data(workload, rows=5)
    assert X.shape == (5, workload.sizes[0])
    assert X.dtype == "float32"
    fastbp.Network(list(workload.sizes), loss=workload.loss).evaluate(X, y)
    again = make_data(workload, rows=5)
    other = make_data(workload, rows=5, seed=1)
    assert X.tobytes() == again[0].tobytes() != other[0].tobytes()
    assert y.tobytes() == again[1].tobytes()


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """Return what runs a script in a process, once: the history has those of other modules."""

    @cache
    def run(script):
        folder = tmp_path_factory.mktemp("script")
        subprocess.run([sys.executable, "-c", script], check=True, cwd=folder, timeout=300)

    return run


@pytest.fixture
def soon(monkeypatch):
    """Let a figure be of one round or a few: here, what counts is that there is one."""
    common = load("benchmarks.common")
    best_in_turn = common.best_in_turn
    for module in (common, *MODULES):
        if hasattr(module, "best_in_turn"):
            monkeypatch.setattr(
                module, "best_in_turn", lambda *given: best_in_turn(*given[:2], 0.05)
            )


@pytest.mark.parametrize("kind, arguments", list(cases()))
def test_a_benchmark_runs(kind, arguments, run_once, soon):
    benchmark = kind()
    if hasattr(kind, "setup_cache"):
        benchmark.setup_cache()
    if hasattr(benchmark, "setup"):  # once, for each runs again and again after one
        try:
            benchmark.setup(*arguments)
        except NotImplementedError:  # tells asv that there is nothing to measure
            assert kind.__name__ == "ActivationDerivative"
            assert arguments[0] in ("softmax", "ascending")
            return
    for name in functions(kind):
        if name == "peakmem_fit_wide":  # that of digits with 1000 times the work
            continue
        result = getattr(benchmark, name)(*arguments)
        if name.startswith("track_"):
            assert result > 0
        if name.startswith("timeraw_"):
            run_once(result)
