"""Commands that are killed at random moments: the old file or the new one, and one line."""

import os
import sys

import pytest

from command_line import STEP, people

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there"),
    pytest.mark.skipif(sys.platform == "darwin", reason="forked children differ there"),
]

# a process that has imported everything forks one for each command, which starts at once
CODE = """
import os, random, re, signal, sys, time
from collections import Counter
from pathlib import Path
import fastbp.commands.app, fastbp.report.build, fastbp.tables.job, fastbp.tables.result.writing
import fastbp.exports.onnx, fastbp.exports.onnx_tables, jinja2, onnx
import numpy as np
from fastbp import Network, TableModel, cli
from fastbp.kernels.support import files

SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
TRAIN = f"train {DATA} --target rich --drop income --preset fast --seed 1 --hidden {{width}} "
WRITERS = {
    "scored.csv": f"predict {{model}} {DATA} -o scored.csv",
    "scored.parquet": f"predict {{model}} {DATA} -o scored.parquet",
    "net.onnx": "export {model} -o net.onnx",
    "report.html": "report {model} -o report.html",
    "model": TRAIN + "--epochs 20 --checkpoint kept{width} --every 0 --resume -o model",
}
ENDS = {
    signal.SIGKILL: ((-9,), ""),
    signal.SIGTERM: ((143, 75), "fastbp: terminated"),  # 75: with checkpoints
    signal.SIGINT: ((130,), "fastbp: interrupted"),
}

# signals wait until a command looks for them: how early one comes is not the matter here
run = cli._run
cli._run = lambda: (signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS), run())

def start(line, place, named=False):
    # run a command for one model or the other in a child; return its process
    words = line.format(model=("../one", "../two")[place], width=(20, 30)[place]).split()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return child
    for stream, name in ((1, "../out"), (2, "../err")):
        handle = os.open(name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(handle, stream)
    sys.stdout, sys.stderr = (open(n, "w", 1, closefd=False) for n in (1, 2))
    if named:  # as where the system has no files without a name
        files._open_unnamed = lambda folder, mode: None
    sys.argv = ["fastbp", *words]
    cli.main()

def end(child):
    # return the status of a child and what it said, but for the steps that it began
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, re.sub(STEPS, "", Path("../err").read_text()).strip()

def content(name):
    path = Path(name)
    if name != "model":
        return path.read_bytes()
    TableModel.load(path)  # no two are the same, but each knows whether it is whole
    return True

def hidden():
    return {path for path in Path().rglob(".*") if path.is_file()}

# kernels loaded, and no threads: children are forked
net = Network([4, 3, 2], loss="cross_entropy")
net.fit(np.ones((8, 4), "f4"), np.ones(8, int), epochs=1, n_threads=1)
net.predict(np.ones((8, 4), "f4"), n_threads=1)
os.mkdir("work")
os.chdir("work")
for place, name in enumerate(("one", "two")):
    assert end(start(TRAIN + f"--epochs 3 -o ../{name}", place)) == (0, "")
wanted, seconds, tally = {}, {}, Counter()
for name, line in WRITERS.items():
    wanted[name] = []
    for place in (0, 1):
        begin = time.monotonic()
        assert end(start(line, place))[0] == 0, Path("../err").read_text()
        seconds[name] = time.monotonic() - begin
        wanted[name].append(content(name))
random.seed(SEED)
for number in range(KILLS):
    name, kill = list(WRITERS)[number % len(WRITERS)], SIGNALS[number // len(WRITERS) % 3]
    place = random.randrange(2)
    for path in Path().glob("kept*/checkpoint-*"):
        path.unlink()
    before = content(name)
    child = start(WRITERS[name], place, named=random.randrange(2))
    time.sleep(random.random() * seconds[name] * 1.1)
    begin = time.monotonic()
    os.kill(child, kill)
    status, said = end(child)
    slow = time.monotonic() - begin
    where = name, kill.name, status, said
    now = content(name)
    assert now in (before, wanted[name][place]), where
    if status:
        codes, words = ENDS[kill]
        assert status in codes and said.startswith(words) and said.count("fastbp:") < 2, where
    assert "Traceback" not in said, where
    assert slow < 30, where
    left = hidden()
    assert kill == signal.SIGKILL or not left, where
    if left:  # the next that writes the file removes it
        assert end(start(WRITERS[name], place))[0] == 0 and not hidden(), where
    changed = "same" if before == wanted[name][place] else "old" if now == before else "new"
    tally[name, kill.name, status, changed, len(left)] += 1
for row, count in sorted(tally.items()):
    print(*row, count)
"""


def test_a_command_that_is_killed_leaves_the_old_file_or_the_new_one(run_python, tmp_path):
    people(300).write_csv(tmp_path / "people.csv")
    given = {"DATA": str(tmp_path / "people.csv"), "STEPS": STEP.pattern, "KILLS": 30, "SEED": 0}
    lines = [f"{name} = {value!r}" for name, value in given.items()]
    told = run_python("\n".join([*lines, CODE]), timeout=900)
    rows = [line.split() for line in told.splitlines()]
    assert sum(int(row[-1]) for row in rows) == 30
    # most were met at work
    assert sum(int(row[-1]) for row in rows if row[2] != "0") > 10
