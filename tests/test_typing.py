"""Type checkers see the whole public surface: every name, parameter and result has a type."""

import ast
import inspect
import shutil
import subprocess
import sys
import sysconfig
import venv
from functools import cached_property
from pathlib import Path

import pytest

import fastbp
import fastbp.data
import fastbp.kernels

TESTS = Path(__file__).parent
PROGRAM = TESTS / "support/typed_program.py"
PACKAGES = {"fastbp": fastbp, "data": fastbp.data, "kernels": fastbp.kernels}


def test_the_program_uses_every_public_name():
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(PROGRAM.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    public = {(package, name) for package, module in PACKAGES.items() for name in module.__all__}
    assert public - used == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return an environment in which fastbp is laid out as by a wheel: interpreter, packages.

    An editable install maps fastbp.kernels to another folder by an import hook, which mypy does
    not run; in the strict mode of editable installs it finds the folder by links.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=sys.platform != "win32")
    scheme = sysconfig.get_preferred_scheme("prefix")
    variables = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", scheme, variables))
    without_cache = shutil.ignore_patterns("__pycache__")
    for module in (fastbp, fastbp.kernels):
        target = packages.joinpath(*module.__name__.split("."))
        shutil.copytree(Path(module.__file__).parent, target, without_cache, dirs_exist_ok=True)
    packages.joinpath("others.pth").write_text(sysconfig.get_path("purelib"))
    scripts = Path(sysconfig.get_path("scripts", scheme, variables))
    return scripts / Path(sys.executable).name, packages


def mypy(folder, interpreter, *arguments):
    """Run mypy in a folder; return the errors, and the last line."""
    command = [sys.executable, "-m", "mypy", "--python-executable", interpreter, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    *errors, summary = done.stdout.splitlines()
    return errors, summary


@pytest.mark.slow
def test_the_program_passes_mypy_strict(installed, tmp_path):
    errors, summary = mypy(tmp_path, installed[0], "--strict", PROGRAM)
    assert errors == [], "\n".join(errors)
    assert summary.endswith(("in 1 source file", "(checked 1 source file)"))


@pytest.mark.slow
def test_the_package_agrees_with_the_types_of_its_kernels(installed):
    # in a checkout, mypy does not find fastbp.kernels and takes all of it for Any
    interpreter, packages = installed
    config = TESTS.parent / "pyproject.toml"
    errors, summary = mypy(packages, interpreter, "--config-file", config, "-p", "fastbp")
    assert errors == [], "\n".join(errors)
    assert summary.startswith("Success")


def callables_of(name, value):
    """Yield the functions of a public name: itself, or the methods that fastbp writes."""
    if inspect.isfunction(value):
        yield name, value
    if not inspect.isclass(value):
        return
    for base in value.__mro__:
        if not base.__module__.startswith("fastbp"):
            continue
        for key, member in vars(base).items():
            member = getattr(member, "fget", None) or getattr(member, "__func__", member)
            member = member.func if isinstance(member, cached_property) else member
            member = getattr(member, "fn", member)  # scikit-learn's available_if
            is_public = not key.startswith("_") or key in ("__init__", "__len__", "__getitem__")
            if inspect.isfunction(member) and is_public and "fastbp" in member.__module__:
                yield f"{base.__name__}.{key}", member


def untyped(function):
    """Return the parameters of a function that have no type, and "return"."""
    signature = inspect.signature(function)
    return [
        *(p.name for p in list(signature.parameters.values()) if p.annotation is p.empty),
        *(["return"] if signature.return_annotation is signature.empty else []),
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_callable_is_annotated(package):
    missing, seen = {}, 0
    for name in PACKAGES[package].__all__:
        value = getattr(PACKAGES[package], name)
        owner = value if inspect.isclass(value) or inspect.isfunction(value) else type(value)
        for path, function in callables_of(name, owner):
            seen += 1
            places = [place for place in untyped(function) if place not in ("self", "cls")]
            if places:
                missing[path] = places
    assert seen > 10
    assert missing == {}
