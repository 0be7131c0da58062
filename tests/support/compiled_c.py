"""C sources compiled by gcc, for the tests of exports."""

import shutil
import subprocess

import pytest

GCC = shutil.which("gcc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror", "-pedantic"]
compiles = [
    pytest.mark.slow,
    pytest.mark.skipif(GCC is None, reason="there is no gcc to compile with"),
]


def needs_gcc(test):
    for mark in compiles:
        test = mark(test)
    return test


def compiled(source, target, *options):
    done = subprocess.run(
        [GCC, *STRICT, *options, "-o", target, source, "-lm"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return target
