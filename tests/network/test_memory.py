"""Memory: training takes what its arrays take, and nothing is allocated inside the loop."""

import json
import re
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fastbp import Network

MIB = 2**20
WIDE, BATCH = [1024, 2048, 2048, 1000], 1024

only_linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc"
)

_SMALL_FIT = """
import json, re
from pathlib import Path
import numpy as np
from fastbp import Network

def status(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

def fit(sizes, X, epochs, batch, **options):
    net = Network(sizes, loss="cross_entropy", optimizer="adam")
    y = np.arange(len(X)) % sizes[-1]
    net.fit(X, y, epochs=epochs, batch_size=batch, n_threads={threads}, **options)
    assert net.history.n_threads == {threads}
    return net

fit([4, 4, 4], np.ones((16, 4), "float32"), 2, 8)
"""

_WIDE_FIT = """
X = np.random.default_rng(0).standard_normal((2048, {sizes[0]}), "float32")
before = status("VmRSS")
net = fit({sizes}, X, 2, {batch})
print(json.dumps([status("VmHWM") - before, net.summary({batch})]))
"""


@only_linux
@pytest.mark.parametrize("threads", [1, 2])
def test_training_takes_four_arrays_of_parameters_the_batch_and_64_mb(run_python, threads):
    small = _SMALL_FIT.format(threads=threads)
    run_python(small, NUMBA_NUM_THREADS=2)  # compiling takes more memory than training
    code = small + _WIDE_FIT.format(sizes=WIDE, batch=BATCH)
    added, summary = json.loads(run_python(code, NUMBA_NUM_THREADS=2))
    parameters = sum(a * b + b for a, b in pairwise(WIDE))
    # weights, gradient and two moments; the inputs and A of every layer; the 64 MB hold the best
    # weights, the transposed ones and the deltas, together 79: as much of the gradient is not kept
    assert added <= 4 * (4 * parameters + BATCH * sum(WIDE)) + 64e6
    stated = float(re.search(r"batches of 1024 takes ([\d.]+) MiB", summary)[1])
    assert stated == pytest.approx(added / MIB, rel=0.03)


_LONG_FIT = """
sizes = []
X = np.random.default_rng(0).standard_normal((80, 16), "float32")
fit([16, 32, 4], X, 1000, 8, callbacks=lambda entry: sizes.append(status("VmRSS")))
print(sizes[-1] - sizes[99])
"""


@only_linux
@pytest.mark.parametrize("threads", [1, 2])
def test_the_process_does_not_grow_with_epochs(run_python, threads):
    code = _SMALL_FIT.format(threads=threads) + _LONG_FIT
    grown = int(run_python(code, NUMBA_NUM_THREADS=2))
    # an entry of the history takes about 700 bytes; 100 bytes a step would be 0.9 MB
    assert grown < 900 * 1000 + MIB / 2


@pytest.mark.parametrize(("steps", "epochs"), [(1000, 2), (2, 300)])
def test_python_keeps_numbers_of_a_step_and_an_entry_of_an_epoch(steps, epochs):
    X = np.random.default_rng(0).standard_normal((8 * steps, 64), "float32")
    net, start = Network([64, 256, 256, 10], loss="cross_entropy"), []
    data = {"X": X, "y": np.arange(len(X)) % 10, "batch_size": 8, "n_threads": 1}

    def look(entry):
        if not start:
            tracemalloc.reset_peak()
            start.append(tracemalloc.get_traced_memory()[0])

    net.fit(**data, epochs=1)  # loads the kernels
    tracemalloc.start()
    try:
        net.fit(**data, epochs=epochs, callbacks=look)
        grown = tracemalloc.get_traced_memory()[1] - start[0]
    finally:
        tracemalloc.stop()
    # the parameters are 340 kB, and what 1000 steps gather is 2 MB
    assert grown < 100 * steps + 1000 * epochs + 100_000


_COUNTED = """
import numpy as np
from numba.core.runtime import rtsys
from fastbp import Adam, Dense, Dropout, Network
from fastbp.data.samples import samples

def allocations(engine, data, steps):
    before = rtsys.get_allocation_stats()
    arrays = np.arange(len(data)), np.full(steps, 1e-3), 0, 4, np.zeros(steps), np.zeros(steps)
    assert engine.train(data, *arrays, {threads}) == steps
    after = rtsys.get_allocation_stats()
    return after.alloc - before.alloc, after.mi_alloc - before.mi_alloc

X, y = np.ones((4000, 5), "float32"), np.arange(4000) % 3
for optimizer in ("adam", Adam(clip_norm=1.0)):
    layers = [Dense(8, "gelu"), Dropout(0.2), Dense(3)]
    net = Network(inputs=5, layers=layers, loss="cross_entropy", optimizer=optimizer)
    engine = net.engine
    data = samples(X, y, engine.plan, net.loss)
    engine.start_training(data, 4, {threads})
    allocations(engine, data, 1)  # loads the kernel
    few, many = allocations(engine, data, 1), allocations(engine, data, 1000)
    # each array that enters compiled code is counted: Numba does count
    assert few == many and min(few) > 0, (few, many)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_compiled_code_allocates_as_often_for_a_thousand_steps_as_for_one(run_python, threads):
    run_python(_COUNTED.format(threads=threads), NUMBA_NRT_STATS=1, NUMBA_NUM_THREADS=2)
