"""A rank that is lost ends all; the training goes on from its checkpoints, on any ranks."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from fastbp import Checkpoints
from mpi_ranks import ended, needs_mpi, run_program, started

pytestmark = [pytest.mark.slow, needs_mpi]
JOB = Path(__file__).parent.parent / "support" / "ranks_job.py"
KILLS = int(os.environ.get("FASTBP_TEST_KILLS", "2"))


def is_alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_rank_ends_all_within_half_a_minute_and_it_resumes_to_the_same_bits(tmp_path):
    kept, draw = tmp_path / "kept", random.Random(0)
    for _ in range(KILLS):
        for file in tmp_path.glob("rank-*"):
            file.unlink()
        before = set(kept.glob("checkpoint-*"))
        process = started(3, [JOB, 100_000, kept], tmp_path)
        while set(kept.glob("checkpoint-*")) <= before and process.poll() is None:
            time.sleep(0.01)  # until it has written a checkpoint of its own
        time.sleep(draw.random() / 2)
        numbers = [int((tmp_path / f"rank-{n}").read_text()) for n in range(3)]
        began = time.monotonic()
        os.kill(draw.choice(numbers), signal.SIGKILL)
        status, _, err = ended(process, timeout=60)
        assert time.monotonic() - began < 30
        assert status == 128 + signal.SIGKILL, err
        assert not any(map(is_alive, numbers))
    epochs = Checkpoints(kept).latest().epochs + 2
    shutil.copytree(kept, tmp_path / "fewer")
    resumed = run_program(3, [JOB, epochs, kept], tmp_path)
    assert resumed == run_program(3, [JOB, epochs, "whole"], tmp_path)
    assert resumed.split()[1] == "epochs"
    run_program(2, [JOB, epochs, "fewer"], tmp_path)
    two, three = (np.load(tmp_path / name / "parameters.npy") for name in ("fewer", "kept"))
    np.testing.assert_allclose(two, three, rtol=0, atol=1e-10)
