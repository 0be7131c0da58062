"""The Dask cluster of ``--dask ADDRESS``, in whose processes a search trains."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..quoted import quoted_path
from .exits import Code, Ended, usage

_CONNECT_SECONDS = 10


@contextmanager
def connected(address: str, search: int | None) -> Iterator[Any]:
    """Yield the client of the scheduler at an address, or of its file; None without an address.

    `search` is how many options are searched.

    Raises
    ------
    Ended
        If nothing is searched, if it is no address, if nobody answers there, or if the cluster has
        no workers.
    """
    if not address:
        yield None
        return
    from distributed import Client

    from ..tables.search import require_search

    with usage():
        require_search("dask", search)
    told = f"--dask {quoted_path(address)}"
    at = _address_in(address, told) if os.path.exists(address) else address
    try:
        client = Client(at, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (ValueError, TypeError) as error:
        raise Ended(
            Code.USAGE, f"{told}: expected tcp://HOST:PORT, or a scheduler's file: {error}"
        ) from None
    except OSError:
        raise Ended(
            Code.FAILED, f"{told}: no scheduler answered within {_CONNECT_SECONDS} s"
        ) from None
    with client:
        if not client.nthreads():
            raise Ended(Code.FAILED, f"{told}: the cluster has no workers; start some")
        yield client


def _address_in(path, told):
    """Return the address in the file that ``dask scheduler --scheduler-file`` writes."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["address"]
    except (ValueError, KeyError, TypeError):
        raise Ended(Code.USAGE, f"{told}: this file is not that of a scheduler") from None
