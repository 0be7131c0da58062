"""The rows that parallel tasks take: all of them once, in whole tiles, in equal parts."""

from collections import Counter

import numpy as np
import pytest

from fastbp.kernels.net.passes import start_of_part
from fastbp.kernels.simd.gemm import FEW_ROWS, MAIN_ROWS

first_of = start_of_part.py_func


def sizes_of(count, tasks):
    """Return how many of `count` rows each task takes."""
    starts = [first_of(number, count, tasks) for number in range(tasks + 1)]
    assert starts[0] == 0 and starts[-1] == count
    return np.diff(starts)


@pytest.mark.parametrize("tasks", [1, 2, 3, 7, 85, 256])
def test_parts_are_whole_tiles_but_the_last_and_differ_by_one_tile(tasks):
    for count in range(1, 1100):
        sizes = sizes_of(count, tasks)
        assert sizes.min() >= 0
        busy = sizes[sizes > 0]
        assert not (busy[:-1] % FEW_ROWS).any()
        whole = -(-sizes // FEW_ROWS)
        assert whole.max() - whole.min() <= 1


def test_no_task_gets_one_row_more_than_a_tile():
    rows = 85 * MAIN_ROWS + FEW_ROWS  # 1,024 of 12 rows and 4
    assert Counter(sizes_of(rows, 85)) == {MAIN_ROWS: 84, MAIN_ROWS + FEW_ROWS: 1}
    assert set(sizes_of(85 * MAIN_ROWS, 85)) == {MAIN_ROWS}
    assert set(sizes_of(128, 2)) == {64}


def test_gradients_and_outputs_have_the_same_bits_on_many_threads(run_python):
    code = """
    import hashlib
    import numpy as np
    from fastbp import Network
    for rows in (1, 3, 5, 13, 127, 600):
        X = np.random.default_rng(rows).normal(size=(rows, 29)).astype("float32")
        found = set()
        for n_threads in (1, 2, 3, 5, 8):
            net = Network([29, 50, 7, 3], "tanh", seed=1)
            loss, gradients = net.backward(X, X[:, :3], n_threads=n_threads)
            net.update(gradients, n_threads=n_threads)
            out = net.forward(X, n_threads=n_threads)
            parts = (np.float64(loss), gradients.flat, net.parameters, out)
            found.add(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
        assert len(found) == 1, rows
    print("same")
    """
    assert run_python(code, NUMBA_NUM_THREADS=8).strip() == "same"
