"""What all tests share: the installed package, and fresh interpreters."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# `python -m pytest` puts the checkout on the path, where fastbp/ lies without its kernels
# (they are installed from kernels/): test what is installed, as a user would import it
_CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _CHECKOUT]

import fastbp.network  # noqa: E402
from fastbp.training.interrupt import Interrupt  # noqa: E402

# a test is the same in every run: networks that draw their seed draw this one
fastbp.network.randbits = lambda bits: 0

# speed is for benchmarks: on a busy machine any example may take long
settings.register_profile("fastbp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fastbp")

# a shell's background job ignores Ctrl-C, and so would all that tests start
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark the tests that start interpreters, or run a whole README, as slow."""
    for item in items:
        if {"run_python", "after_running"} & set(item.fixturenames):
            item.add_marker("slow")


class _Failures:
    """Tells each failure when it happens: a run that is killed comes to no summary."""

    def __init__(self, config):
        self._config = config

    def pytest_runtest_logreport(self, report):
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and reporter is not None:
            reporter.ensure_newline()
            reporter.line(f"failed: {report.nodeid} ({report.when})\n{report.longreprtext}")


def pytest_configure(config):
    """Tell failures at once, in the process that prints."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Failures(config))


@pytest.fixture(autouse=True)
def no_steps(monkeypatch):
    """Let commands in this process tell no step that takes long, as on a busy machine."""
    if find_spec("typer"):
        monkeypatch.setattr("fastbp.commands.log.SOON", 1e9)


@pytest.fixture
def ctrl_c_in_training(monkeypatch):
    """Press Ctrl-C half a second after the first training watches for it, how late it may be.

    By the time of a test, one on a busy machine would hit the tests themselves.
    """
    watching, timers = Interrupt.watching, []

    def watched(self):
        if not timers:
            timers.append(threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)))
            timers[0].start()
        return watching(self)

    monkeypatch.setattr(Interrupt, "watching", watched)
    yield
    assert timers, "nothing was trained"
    timers[0].join()


@pytest.fixture(scope="session")
def run_python(tmp_path_factory):
    """Return ``run(code, **env) -> stdout``: run a script in a fresh interpreter.

    It runs in an empty folder, with this environment and `env` on top (None
    removes a variable), and shares the user's cache of kernels unless
    ``FASTBP_CACHE_DIR`` says otherwise. A script that fails fails the test.
    `python` is another interpreter.
    """

    def run(code, timeout=300, python=sys.executable, **env):
        folder = tmp_path_factory.mktemp("run")
        script = tmp_path_factory.mktemp("script") / "script.py"
        script.write_text(textwrap.dedent(code))
        variables = {**os.environ, **env}
        done = subprocess.run(
            [python, str(script)],
            cwd=folder,
            env={name: str(value) for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode != 0:
            pytest.fail(f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    return run


@pytest.fixture(scope="session")
def warmed(request, tmp_path_factory):
    """Return the `warm_cache.WarmCache` that all tests of this run share."""
    from warm_cache import warm_cache

    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if hasattr(request.config, "workerinput") else folder
    return warm_cache(shared / "warm")
