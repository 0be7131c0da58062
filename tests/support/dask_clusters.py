"""A Dask cluster of real processes: a scheduler, and workers of one thread each."""

import contextlib
import subprocess
import sys

_SERVER = """
import sys
import dask
from distributed import LocalCluster

# a worker that is lost may take longer than 15 s to come back, on a busy machine
dask.config.set({"distributed.deploy.lost-worker-timeout": "600s"})
if __name__ == "__main__":
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(n_workers=int(sys.argv[1]), **options) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@contextlib.contextmanager
def cluster(folder, workers=2):
    """Yield the address of a cluster, and the process of its scheduler; end it at the end."""
    script = folder / "cluster.py"
    script.write_text(_SERVER)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, str(script), str(workers)]
    with subprocess.Popen(command, cwd=folder, **pipes) as server:
        try:
            yield server.stdout.readline().strip(), server
        finally:
            server.stdin.close()
            try:
                server.wait(timeout=60)
            finally:
                server.kill()
