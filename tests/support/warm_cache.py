"""A cache that `fastbp warmup` filled where none was, once for all tests that ask for one."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from command_line import Done, in_a_process
from kernel_scripts import COUNT

# tells, at the end, what was compiled, and the signatures of the loops around the tile
_TELLS = f"""
import atexit, json
{COUNT}
def tell():
    from numba.core.dispatcher import Dispatcher
    import fastbp.kernels.simd.gemm as gemm
    loops = {{
        name: [str(signature) for signature in value.signatures]
        for name, value in {{**vars(gemm), "gemm": gemm.gemm.dispatcher}}.items()
        if isinstance(value, Dispatcher)
    }}
    with open("told.json", "w") as file:
        json.dump([Compilations.count, loops], file)
atexit.register(tell)
"""


@dataclass
class WarmCache:
    """A cache for float32, which tests only read or copy.

    Attributes
    ----------
    root : pathlib.Path
        What ``FASTBP_CACHE_DIR`` named.
    done : command_line.Done
        How the command ended.
    compiled : int
        The functions that Numba compiled.
    loops : dict of str to list of str
        The signatures of each loop around the tile.
    """

    root: Path
    done: Done
    compiled: int
    loops: dict[str, list[str]]


def warm_cache(folder):
    """Return the `WarmCache` in a folder; whoever asks first, in any process, fills it."""
    told = folder / "warm.json"
    try:
        folder.mkdir()
    except FileExistsError:
        until = time.monotonic() + 600
        while not told.exists():
            assert time.monotonic() < until, "the process that fills the cache has failed"
            time.sleep(0.1)
    else:
        env = {"FASTBP_CACHE_DIR": str(folder / "cache"), "NUMBA_NUM_THREADS": "2"}
        done = in_a_process("warmup", folder=folder, before=f"exec({_TELLS!r})", **env)
        facts = [vars(done), *json.loads((folder / "told.json").read_text())]
        (folder / "part").write_text(json.dumps(facts))
        (folder / "part").rename(told)
    done, *facts = json.loads(told.read_text())
    return WarmCache(folder / "cache", Done(**done), *facts)
