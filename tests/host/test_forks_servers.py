"""Servers whose workers are forked or started, gunicorn and Dask: right answers, and an end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import numpy as np
import pytest

from fastbp import Network
from forked_children import CHILDREN, HANGS, parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

# each answer is the process, its threads for a fit of two, a gradient and what the model predicts
_APP = """
import os
import numpy as np
from fastbp import Network

X = np.random.default_rng(0).normal(size=(600, 20)).astype("float32")
model = Network.load("model.safetensors")

def gradient():
    net = Network([20, 70, 3], seed=0)  # requests at once must not share buffers of training
    return net.backward(X, X[:, :3], n_threads=2)[1].flat.tobytes()

gradient()  # with --preload it is the parent that uses threads here

def app(environ, start_response):
    threads = Network([20, 70, 3]).fit(X, X[:, :3], epochs=1, n_threads=2).n_threads
    start_response("200 OK", [])
    return [f"{os.getpid()} {threads} ".encode(), gradient(), model.predict(X).tobytes()]
"""


@contextlib.contextmanager
def _gunicorn(folder, *options):
    """Run a server in a folder; yield its process and its port."""
    with socket.create_server(("127.0.0.1", 0)) as door, open(folder / "log", "wb") as log:
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{door.fileno()}"]
        command += ["--workers", "2", "--timeout", str(HANGS), "--graceful-timeout", str(HANGS)]
        server = subprocess.Popen(
            [*command, *options, "app:app"],
            cwd=folder,
            env={**os.environ, "NUMBA_NUM_THREADS": "2"},
            stdout=log,
            stderr=log,
            pass_fds=[door.fileno()],
            start_new_session=True,
        )
        try:
            yield server, door.getsockname()[1]
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _ask(port):
    """Return the process that answers, its threads, and its outputs."""
    link = HTTPConnection("127.0.0.1", port, timeout=HANGS)
    with contextlib.closing(link):
        link.request("GET", "/")
        process, threads, outputs = link.getresponse().read().split(b" ", 2)
    return int(process), int(threads), outputs


@pytest.mark.parametrize("options", [[], ["--threads", "4"], ["--preload"]])
def test_workers_of_gunicorn_answer_and_end(tmp_path, options):
    pytest.importorskip("gunicorn")
    X = np.random.default_rng(0).normal(size=(600, 20)).astype("float32")
    net = Network([20, 70, 3], seed=0)
    net.save(tmp_path / "model.safetensors")
    gradient = net.backward(X, X[:, :3], n_threads=1)[1].flat
    expected = gradient.tobytes() + net.predict(X, n_threads=1).tobytes()
    (tmp_path / "app.py").write_text(_APP)
    workers, threads, end = set(), set(), time.monotonic() + HANGS
    with _gunicorn(tmp_path, *options) as (server, port), ThreadPoolExecutor(8) as clients:
        while len(workers) < 2 and time.monotonic() < end:
            for worker, used, outputs in clients.map(_ask, 16 * [port]):
                assert outputs == expected
                workers.add(worker)
                threads.add(used)
        server.send_signal(signal.SIGTERM)
        assert server.wait(2 * HANGS) == 0, (tmp_path / "log").read_text()
    log = (tmp_path / "log").read_text()
    assert len(workers) == 2 and "SIGKILL" not in log and "TIMEOUT" not in log, log
    if "--preload" in options:  # their parent used threads
        assert threads == {1}
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_workers_of_dask_fit_and_predict(run_python, tmp_path):
    pytest.importorskip("distributed")
    run_python(
        f"""
{CHILDREN}
import dask
from distributed import Client, LocalCluster

if __name__ == "__main__":
    {parent("libgomp", tmp_path)}
    expected = {{digest(threads=1)}}
    asked = [dask.delayed(digest, pure=False)() for _ in range(6)]
    for method in ("spawn", "forkserver", "fork"):
        with dask.config.set({{"multiprocessing.context": method}}):
            assert set(dask.compute(*asked, scheduler="processes", num_workers=2)) == expected
    assert set(dask.compute(*asked, scheduler="threads", num_workers=4)) == expected
    with (
        LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        assert set(client.gather(client.compute(asked))) == expected
""",
        timeout=600,
        NUMBA_NUM_THREADS=2,
        DASK_TEMPORARY_DIRECTORY=tmp_path,
    )
