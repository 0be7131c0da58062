"""Tables in a forked child: polars waits there for threads of the parent, if it had begun some."""

import os
import threading
from functools import lru_cache

import polars as pl

from ...kernels.support.forks import in_forked_children, was_forked

# seconds in which polars certainly begins its threads and adds numbers, on a busy machine too
_ENOUGH = 10.0


def require_polars() -> None:
    """Raise RuntimeError in a forked child in which polars would wait without end.

    Only a trial tells whether it would: it is made once, in a forked child alone.
    """
    if was_forked() and not _answers():
        raise RuntimeError(
            f"process {os.getpid()} was forked from one that had read tables: polars, which reads "
            "them, would wait for threads of its parent without end. Start processes with spawn or "
            'forkserver, as multiprocessing.get_context("spawn") does, or fork before the first '
            "table"
        )


@lru_cache(maxsize=1)
def _answers():
    answered = threading.Event()

    def try_it():
        two = pl.col("a") + 1, pl.col("a") * 2  # two expressions are work for threads
        pl.DataFrame({"a": [1, 2]}).select(x=two[0], y=two[1])
        answered.set()

    threading.Thread(target=try_it, daemon=True).start()
    return answered.wait(_ENOUGH)


in_forked_children(_answers.cache_clear)
