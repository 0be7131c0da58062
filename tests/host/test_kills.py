"""Processes that are killed while they write: the old file or the new one."""

import os
import re
import sys
from pathlib import Path

import pytest

import fastbp
import fastbp.kernels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there"),
    pytest.mark.skipif(sys.platform == "darwin", reason="forked children differ there"),
]

CODE = """
import os, random, signal, sys, time
from collections import Counter
from pathlib import Path
import numpy as np
import fastbp
from fastbp import Adam, Ensemble, Network, TableModel
from fastbp.kernels.compiler.cache_file import write_sealed
from fastbp.kernels.support import files
from fastbp.report.build import write_report
from fastbp.tables.result.writing import write_frames
from fastbp.training.checkpoints import Checkpoints

KILLS = 297
random.seed(0)
X, Y = np.ones((64, 40), "f4"), np.zeros((64, 8), "f4")

def net(seed):
    return Network([40, 150, 8], optimizer=Adam(), seed=seed)

nets = [net(0), net(1)]
both = [Ensemble(nets), Ensemble(nets[::-1])]
nets[0].fit(X, Y, epochs=1, n_threads=1)  # compiled, and no threads: children are forked
import jinja2, onnx, polars as pl
import fastbp.tables.job

def checkpoints(net, path):
    path.mkdir(exist_ok=True)
    Checkpoints(path, keep=2).write(net.to_model())

def in_a_child(act, *given):
    # polars works in no child of a process that used it, so that children alone use it
    child = os.fork()
    if not child:
        act(*given)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def train(seed, path):
    rows = pl.DataFrame({"x": [0.0, 1.0] * 50, "y": ["a", "b"] * 50})
    fastbp.train(rows, "y", preset="fast", epochs=1, seed=seed, n_threads=1).save(path)

def table(seed):
    in_a_child(train, seed, "trained")
    return TableModel.load("trained")

def score(number, path):
    write_frames(path, (pl.DataFrame({"row": [number] * 10_000}) for _ in range(3)))

def seal(byte, path):
    write_sealed(path, "key", byte * 200_000)

write_report(nets[0], Path("report"))  # it measures the peak, once for all
tables = [table(0), table(1)]
WRITERS = {
    "net.safetensors": (Network.save, nets),
    "ensemble.safetensors": (Ensemble.save, both),
    "kept": (checkpoints, nets),
    "net.c": (fastbp.to_c, nets),
    "net.py": (fastbp.to_numpy, nets),
    "net.onnx": (fastbp.to_onnx, nets),
    "net.html": (write_report, nets),
    "table.safetensors": (TableModel.save, tables),
    "scored.csv": (score, [1, 2]),
    "scored.parquet": (score, [1, 2]),
    "kernel.bin": (seal, [b"1", b"2"]),
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
            in_a_child(write, model, folder / name)
            found[name].append(content(folder / name))
    return found

here = Path.cwd()
(here / "good").mkdir()
wanted = good(here / "good")
model_files = {*wanted["net.safetensors"]}
names = list(WRITERS)
met = Counter()
for number in range(KILLS):
    name = names[number % len(names)]
    write, models = WRITERS[name]
    path = here / name
    begun, begins = os.pipe()
    named = random.random() < 0.5  # as where the system has no files without a name
    child = os.fork()
    if not child:
        if named:
            files._open_unnamed = lambda folder, mode: None
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            write(models[0], path)
            os.write(begins, b"!")
            for place in range(1, 10**9):
                write(models[place % 2], path)
        except KeyboardInterrupt:
            os._exit(1)  # Python's own end waits for the threads of polars, which are not forked
    kill = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3]
    os.close(begins)
    assert os.read(begun, 1)
    os.close(begun)
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
        assert found and all(file in model_files for file in found), (name, kill)
    else:
        assert found in wanted[name], (name, kill)
        # what the one before left is gone
        assert len(list(here.glob(f".{name}.*"))) <= 1, (name, kill)
    met[name, kill.name, "two" if found == wanted[name][1] else "one"] += 1
assert {which for *_, which in met} == {"one", "two"}
for row, count in sorted(met.items()):
    print(*row, count)
"""


def test_a_file_is_the_old_or_the_new_one_whenever_its_writer_is_killed(run_python):
    rows = [line.split() for line in run_python(CODE, timeout=900).splitlines()]
    assert sum(int(row[-1]) for row in rows) == 297


# what writes a file by itself, or opens one to be written
_WRITES = re.compile(
    r"write_(text|bytes)\(|open\([^\n]*, \"[rb]*[wxa+]|O_WRONLY|O_RDWR|TemporaryFile|mk[sd]temp"
    r"|sink_|savefig|write_(parquet|ipc|json|excel)\(|np\.save|os\.(replace|rename|link)\("
)
# all that writes for good does so with the first, and is killed above or in test_killed_commands
_WRITERS = {
    "kernels/support/files.py": "files for good",
    "tables/result/writing.py": "Parquet, to a file that the first has opened",
    "data/spool.py": "scratch files without a name",
    "tables/read/scratch.py": "scratch files, without a name but for the 201st",
    "tables/read/plain.py": "text, to a scratch file",
    "diagnostics/facts.py": "a look whether a folder can be written, without a name",
    "ranks/reduction.py": "memory that ranks share, without a name once all have it",
    "commands/native.py": "the null device",
    "commands/log.py": "the null device",
}


def test_whatever_writes_a_file_does_it_in_one_way():
    found = set()
    for folder in (Path(fastbp.__file__).parent, Path(fastbp.kernels.__file__).parent):
        for path in folder.rglob("*.py"):
            if _WRITES.search(path.read_text()):
                below = "kernels" if folder.name == "kernels" else ""
                found.add((below / path.relative_to(folder)).as_posix())
    assert found == _WRITERS.keys()
