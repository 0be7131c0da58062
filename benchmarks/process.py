"""A process of its own that answers requests, and what is said when it fails."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# the longest time of one request, compiling a step included
LIMIT_SECONDS = 300


class ProcessError(Exception):
    """Why a process has no answer, in one line."""


class Process:
    """A module that runs `serve` in a process of its own, which starts with the first request.

    Parameters
    ----------
    module : str
        Name of the module, with its package.
    arguments : sequence of str
        Arguments of its command line.
    variables : dict
        More variables of its environment.
    limit : float
        Seconds that an answer may take.
    """

    def __init__(self, module, arguments=(), variables=None, limit=LIMIT_SECONDS):
        self.command = [sys.executable, "-m", module, *arguments]
        self.environment, self.limit = {**os.environ, **(variables or {})}, limit
        self._process = None

    def _start(self):
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # so that its compilers can be ended with it
        )

    def ask(self, request, **arguments):
        """Return the answer to a request, a dict.

        Raises
        ------
        ProcessError
            If the answer is an error, or the process dies or takes too long. The next request
            starts a new process.
        """
        self.send(request, **arguments)
        return self.receive(request)

    def send(self, request, **arguments):
        """Send a request; `receive` waits for its answer."""
        if self._process is None:
            self._start()
        with contextlib.suppress(BrokenPipeError):  # it is dead: reading finds out
            line = json.dumps({"request": request, "arguments": arguments})
            print(line, file=self._process.stdin, flush=True)

    def receive(self, request):
        """Return the answer to a request that was sent; see `ask`."""
        process = self._process
        if not select.select([process.stdout], [], [], self.limit)[0]:
            self.close()
            raise ProcessError(f"{request} took more than {self.limit:g} s")
        line = process.stdout.readline()
        if not line:
            raise ProcessError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise ProcessError(answer["error"])
        return answer

    def _last_words(self):
        """Say how the process ended, and close it."""
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        self.close()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ": ".join(["its process ended", how, *lines[-1:]])

    def close(self):
        """End the process and all processes that it started."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
        self._process.wait()
        self._process = None


def serve(answer):
    """Answer requests from standard input, one line of JSON each, until it ends."""
    # output of the libraries goes to standard error
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # in one order with errors
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), file=answers)
