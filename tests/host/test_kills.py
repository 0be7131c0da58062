"""Processes that are killed at random moments while they write: the old file or the new one."""

import os
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there"),
    pytest.mark.skipif(sys.platform == "darwin", reason="forked children differ there"),
]

CODE = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
import fastbp
from fastbp import Adam, Ensemble, Network
from fastbp.report.build import write_report
from fastbp.training.checkpoints import Checkpoints

KILLS = 300
random.seed(0)
X, Y = np.ones((64, 40), "f4"), np.zeros((64, 8), "f4")

def net(seed):
    return Network([40, 150, 8], optimizer=Adam(), seed=seed)

nets = [net(0), net(1)]
both = [Ensemble(nets), Ensemble(nets[::-1])]
nets[0].fit(X, Y, epochs=1, n_threads=1)  # compiled, and no threads: children are forked
import onnx

def checkpoints(net, path):
    path.mkdir(exist_ok=True)
    Checkpoints(path, keep=2).write(net.to_model())

WRITERS = {
    "net.safetensors": (Network.save, nets),
    "ensemble.safetensors": (Ensemble.save, both),
    "kept": (checkpoints, nets),
    "net.c": (fastbp.to_c, nets),
    "net.py": (fastbp.to_numpy, nets),
    "net.onnx": (fastbp.to_onnx, nets),
    "net.html": (write_report, nets),
}

def content(path):
    if path.is_dir():
        return tuple(each.read_bytes() for each in path.iterdir() if each.name[0] != ".")
    return path.read_bytes() if path.exists() else None

def good(folder):
    found = {}
    for name, (write, models) in WRITERS.items():
        found[name] = []
        for model in models:
            write(model, folder / name)
            found[name].append(content(folder / name))
    return found

here = Path.cwd()
(here / "good").mkdir()
wanted = good(here / "good")
model_files = {*wanted["net.safetensors"]}
names = list(WRITERS)
left = signals = 0
for number in range(KILLS):
    name = names[number % len(names)]
    write, models = WRITERS[name]
    path = here / name
    begun, begins = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(begins, b"!")
        for place in range(10**9):
            write(models[place % 2], path)
    kill = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3]
    os.read(begun, 1)
    os.close(begun), os.close(begins)
    time.sleep(random.random() * 0.03)
    ended = 0, 0
    while not ended[0]:  # Python may lose a Ctrl-C, as in a destructor
        os.kill(child, kill)
        until = time.monotonic() + 1
        while not ended[0] and time.monotonic() < until:
            ended = os.waitpid(child, os.WNOHANG)
            time.sleep(0.0005)
    assert ended[1] != 0
    found = content(path)
    if name == "kept":
        assert all(file in model_files for file in found or ()), (name, kill)
    else:
        assert found is None or found in wanted[name], (name, kill)
    left += found is not None
assert left > KILLS / 2  # it was written, mostly
# what a process that was killed leaves behind is hidden, and goes with the next that writes
print(left)
"""


def test_a_file_is_the_old_or_the_new_one_whenever_its_writer_is_killed(run_python):
    assert int(run_python(CODE)) > 150
