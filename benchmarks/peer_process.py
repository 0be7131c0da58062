"""A peer in a process of its own, and what is said when it fails."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peer_frameworks import PEERS

ROOT = Path(__file__).resolve().parent.parent
# the longest time of one request, compiling a step included
LIMIT_SECONDS = 300
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class PeerError(Exception):
    """Why a peer has no result, in one line."""


class Process:
    """A peer in a process of its own, which starts with the first request.

    Parameters
    ----------
    peer : str
        A name in ``PEERS``.
    threads : int
        Threads that may compute.
    limit : float
        Seconds that an answer may take.
    """

    def __init__(self, peer, threads, limit=LIMIT_SECONDS):
        self.peer, self.threads, self.limit = peer, threads, limit
        self._process = None

    def _start(self):
        environment = {
            **os.environ,
            **dict.fromkeys(VARIABLES, str(self.threads)),
            **PEERS[self.peer].environment(self.threads),
        }
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peer_frameworks", self.peer, str(self.threads)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # so that its compilers can be ended with it
        )

    def ask(self, request, **arguments):
        """Return the answer to a request, a dict; see `peer_frameworks.Server`.

        Raises
        ------
        PeerError
            If the peer is not installed, fails, dies, or takes too long. The next request
            starts a new process.
        """
        if self._process is None:
            self._start()
        process = self._process
        with contextlib.suppress(BrokenPipeError):  # it is dead: reading finds out
            line = json.dumps({"request": request, "arguments": arguments})
            print(line, file=process.stdin, flush=True)
        if not select.select([process.stdout], [], [], self.limit)[0]:
            self.close()
            raise PeerError(f"{request} took more than {self.limit:g} s")
        line = process.stdout.readline()
        if not line:
            raise PeerError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
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
