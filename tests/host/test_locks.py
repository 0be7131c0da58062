"""Locks at a fork: a child is never left with one that nobody gives back."""

import os

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_lock_that_no_fork_could_wait_for_is_made_anew(run_python):
    run_python(
        """
import os, threading, warnings
from types import SimpleNamespace
from fastbp.kernels.support import forks
warnings.simplefilter("ignore")  # Python warns of any fork beside threads
forks._PATIENCE = 0.2
owner = SimpleNamespace(_lock=threading.RLock())
forks.hold_at_forks(owner)
taken, over = threading.Event(), threading.Event()

def holds():
    with owner._lock:
        taken.set()
        over.wait()

def takes_it_in_a_child():
    child = os.fork()
    if child == 0:
        os._exit(0 if owner._lock.acquire(timeout=20) else 5)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

caller = threading.Thread(target=holds)
caller.start()
taken.wait()
assert takes_it_in_a_child() == 0
over.set()
caller.join()
assert takes_it_in_a_child() == 0
"""
    )
