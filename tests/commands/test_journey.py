"""The whole journey: train on a messy table, be killed, resume, predict, evaluate, report.

Victims are trainings that are killed at random moments and resumed until they end; what they
leave has the bits of a training that nobody killed. The environment variable FASTBP_KILLS says
how many are killed in all; a fifth as many, and at least 4, are terminated.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from command_line import command, events, in_a_process, people
from fastbp import TableModel, model_file
from fastbp.training.state import SECTION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="without unnamed files, who is killed may leave one"
    ),
]
KILLS = int(os.environ.get("FASTBP_KILLS", "12"))
TERMINATIONS = max(4, KILLS // 5)
SMALL = ("--hidden", "200,100", "--batch-size", 2, "--epochs", 12, "--patience", 0)
VARIANTS = {
    "one thread": ("--threads", 1, "--dropout", 0.1, *SMALL),
    "two threads": (
        "--threads",
        2,
        "--hidden",
        "600,400",
        "--batch-size",
        500,
        "--epochs",
        14,
        "--patience",
        0,
        "--schedule",
        "cosine",
        "--dtype",
        "float64",
    ),
    "streamed": ("--memory", "100kB", "--class-weight", "balanced", *SMALL),
    "early stopping": (
        "--optimizer",
        "adamw",
        "--learning-rate",
        2e-5,
        "--dropout",
        0.2,
        "--clip-norm",
        1,
        "--hidden",
        "200,100",
        "--batch-size",
        2,
        "--epochs",
        60,
        "--patience",
        3,
    ),
}
TIMES = {"seconds", "samples_per_second", "gflops"}
SOON = 0.4  # a slice of at most 0.2 s, and a checkpoint to write


def content(path):
    """Return all that a model file holds, but for the times it took."""
    model = model_file.load(path)
    history = {k: v for k, v in model.sections["history"].items() if k not in TIMES}
    record = {
        name: model.sections["record"][name]
        for name in ("stopped", "best_epoch", "metrics", "confusion", "steps", "streamed", "data")
    }
    return {
        "fingerprint": TableModel.load(path).fingerprint,
        "parameters": model.params.tobytes(),
        "moments": model.moments.tobytes(),
        "steps": (model.steps, model.epochs),
        "schema": model.sections["table"],
        "history": json.dumps(history),
        "record": json.dumps(record),
    }


class Victim:
    """A training in a folder of its own, which is killed and resumed."""

    def __init__(self, folder, options, seed):
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.checkpoints, self.scratch = folder / "ck", folder / "scratch"
        self.scratch.mkdir(parents=True)
        people(5000).write_csv(folder / "people.csv")
        self.arguments = (
            "train",
            "people.csv",
            "--target",
            "rich",
            "--drop",
            "income",
            "--preset",
            "fast",
            "--log",
            "json",
            *options,
        )
        self.fell, self.places, self.ends, self.lives = Counter(), set(), [], 0
        begin, process = time.monotonic(), self.start("-o", "whole")
        while not self.said() and process.poll() is None:
            time.sleep(0.01)
        self.start_seconds = time.monotonic() - begin  # on this machine, as busy as it is
        assert process.wait(timeout=300) == 0, self.errors()
        self.whole = content(folder / "whole")

    def number(self):
        """Return the number of the newest checkpoint."""
        with contextlib.suppress(FileNotFoundError):
            names = [name for name in os.listdir(self.checkpoints) if name[0] != "."]
            return max((int(name[11:-12]) for name in names), default=0)
        return 0

    def start(self, *options):
        resumed = ("--checkpoint", "ck", "--every", "0s", "--resume", "-o", "model")
        line = command(*self.arguments, *(options or resumed))
        env = {**os.environ, "TMPDIR": str(self.scratch)}
        with open(self.folder / "out", "w") as out, open(self.folder / "err", "w") as err:
            return subprocess.Popen(line, stdout=out, stderr=err, cwd=self.folder, env=env)

    def said(self):
        """Return the kinds of the events so far; the last line may be cut off."""
        lines = (self.folder / "out").read_text().splitlines(keepends=True)
        return [event["event"] for event in events("".join(x for x in lines if x[-1] == "\n"))]

    def wait(self, process, moment):
        """Wait for a moment; return False if the process ended before."""
        before, until = self.number(), time.monotonic() + 120
        if moment == "anywhere":
            until = time.monotonic() + self.rng.uniform(0, 1.5 * self.start_seconds)
        while process.poll() is None and time.monotonic() < until:
            if moment == "training" and self.number() > before:
                until = min(until, time.monotonic() + self.rng.uniform(0, 0.4))
                moment = "anywhere"
            elif moment == "data" and self.said():
                until = min(until, time.monotonic() + self.rng.uniform(0, 0.2))
                moment = "anywhere"
            elif moment == "end" and "done" in self.said():
                until = min(until, time.monotonic() + self.rng.uniform(0, 0.02))
                moment = "anywhere"
            time.sleep(0.002)
        return process.poll() is None

    def kill(self, moment):
        """Kill the training at a moment, and note where it was; return False if it had ended."""
        process, before = self.start(), self.number()
        if not self.wait(process, moment):
            return self.ended(process)
        process.send_signal(signal.SIGSTOP)  # to look at it; it never goes on
        place = self.place(process.pid, before)
        process.kill()
        process.wait()
        self.fell[place] += 1
        self.check_folder()
        return True

    def place(self, pid, before):
        """Return what a stopped process was doing."""
        with contextlib.suppress(FileNotFoundError):
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TZ":
                time.sleep(0.001)
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                if (file := Path(os.readlink(handle))).name.startswith("#"):
                    return "writing a checkpoint" if file.parent == self.checkpoints else "saving"
        said = self.said()
        if "saved" in said:
            return "after saving"
        if "done" in said:
            return "saving"
        if self.number() > before:
            return "training"
        return "encoding and compiling" if said else "starting and reading"

    def terminate(self, moment):
        """Terminate the training at a moment; return False if it had ended."""
        process, before = self.start(), self.number()
        if not self.wait(process, moment):
            return self.ended(process)
        trains = self.number() > before and "done" not in self.said()
        begin = time.time()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
        if code == 0:  # the signal came when all was done
            return self.ended(process)
        begun = bool(self.said())
        # before Python has come to the command, nobody handles the signal
        assert code == 75 or (code == -signal.SIGTERM and not begun), self.errors()
        assert code != 75 or "--resume" in self.errors()
        if trains:
            last = max(file.stat().st_ctime for file in self.checkpoints.iterdir())
            self.ends.append((last - begin, time.time() - begin))
        self.fell["terminated in training" if trains else "terminated outside of it"] += 1
        self.check_folder()
        return True

    def errors(self):
        return (self.folder / "err").read_text()

    def ended(self, process):
        """Check a training that came to its end, so that another can begin; return False."""
        assert process.wait() == 0, self.errors()
        assert self.errors() == ""
        assert (self.folder / "model").exists()
        self.check_folder()
        self.lives += 1
        shutil.rmtree(self.checkpoints)
        return False

    def check_folder(self):
        """Check that there are no other files than there should be, and all of them whole."""
        names = {path.name for path in self.folder.iterdir()}
        assert names <= {"people.csv", "whole", "model", "ck", "scratch", "out", "err"}, names
        assert not list(self.scratch.iterdir())
        if (self.folder / "model").exists():
            assert content(self.folder / "model") == self.whole
            (self.folder / "model").unlink()
        if not self.checkpoints.exists():
            return
        files = sorted(self.checkpoints.iterdir())
        assert len(files) <= 3  # the third was to be removed next
        for file in files:
            assert file.name.startswith("checkpoint-")
            section = model_file.load(file).sections[SECTION]
        if files:
            self.places.add((section["epoch"], section["done"]))

    def live(self, kills, terminations):
        """Be killed and terminated so often; then come to the end."""
        moments = ["anywhere", "training", "data", "end", "training"]
        deeds = [(self.kill, moments[n % len(moments)]) for n in range(kills)]
        moments = ["training", "training", "anywhere", "training"]
        deeds += [(self.terminate, moments[n % len(moments)]) for n in range(terminations)]
        for n in self.rng.permutation(len(deeds)):
            deed, moment = deeds[n]
            while not deed(moment):
                pass  # it had ended before: another one
        process = self.start()
        process.wait(timeout=120)
        shutil.copy(self.folder / "model", self.folder.with_suffix(".model"))
        self.ended(process)


def shares(total, parts):
    return [total // parts + (n < total % parts) for n in range(parts)]


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    """Return victims, two of which lived at a time, by the name of their variant."""
    folder, begin = tmp_path_factory.mktemp("journey"), time.monotonic()

    def live(number, name, kills, terminations):
        victim = Victim(folder / str(number), VARIANTS[name], seed=number)
        victim.live(kills, terminations)
        return victim

    counts = [shares(total, len(VARIANTS)) for total in (KILLS, TERMINATIONS)]
    with ThreadPoolExecutor(2) as pool:
        lives = list(pool.map(live, range(len(VARIANTS)), VARIANTS, *counts))
    fell = sum((victim.fell for victim in lives), Counter())
    kept, ended = (np.sort(each) for each in zip(*(e for v in lives for e in v.ends), strict=True))
    print(
        f"\n{dict(fell)}\n{sum(victim.lives for victim in lives)} came to their end, "
        f"{sum(len(victim.places) for victim in lives)} places of checkpoints\n"
        f"SIGTERM to checkpoint: median {np.median(kept):.3f} s, at most {kept[-1]:.3f} s; "
        f"to end: median {np.median(ended):.3f} s, at most {ended[-1]:.3f} s; "
        f"all in {time.monotonic() - begin:.0f} s"
    )
    return dict(zip(VARIANTS, lives, strict=True))


def test_killed_trainings_end_with_the_bits_of_one_that_nobody_killed(victims):
    # that they are the same is checked wherever one ends: here, that the kills fell everywhere
    fell = sum((victim.fell for victim in victims.values()), Counter())
    assert fell.total() == KILLS + TERMINATIONS
    inside = fell["training"] + fell["writing a checkpoint"]
    assert inside >= KILLS // 10
    assert fell["starting and reading"] + fell["encoding and compiling"] > 0
    assert all(victim.lives > 0 for victim in victims.values())
    places = {place for victim in victims.values() for place in victim.places}
    assert len(places) > KILLS // 4
    assert any(done for _, done in places), "no checkpoint was within an epoch"


def test_a_training_that_is_terminated_writes_a_checkpoint_soon(victims):
    kept, ended = zip(*(end for victim in victims.values() for end in victim.ends), strict=True)
    assert np.median(kept) < SOON
    # all of Python has to be taken down, on a machine that may be busy
    assert max(kept) < 10 * SOON and max(ended) < 30 * SOON


def test_victims_were_what_they_are_called(victims):
    whole = {name: json.loads(victim.whole["record"]) for name, victim in victims.items()}
    assert whole["early stopping"]["stopped"] == "early stopping"
    assert [name for name in whole if whole[name]["streamed"]] == ["streamed"]


def test_the_model_of_a_killed_training_goes_to_work(victims):
    victim = victims["early stopping"]
    folder = victim.folder
    shutil.copy(folder.with_suffix(".model"), folder / "survivor")
    people(700, seed=8).write_csv(folder / "new.csv")
    for name in ("survivor", "whole"):
        done = in_a_process("predict", name, "new.csv", "-o", f"{name}.csv", folder=folder)
        assert done.code == 0, done.err
    scored = (folder / "survivor.csv").read_text()
    assert scored == (folder / "whole.csv").read_text()
    assert len(scored.splitlines()) == 701
    done = in_a_process("evaluate", "survivor", "new.csv", "--log", "json", folder=folder)
    assert done.code == 0 and done.events[0]["accuracy"] > 0.9
    done = in_a_process("report", "survivor", "-o", "page.html", folder=folder)
    assert done.code == 0 and "<html" in (folder / "page.html").read_text(encoding="utf-8")
    done = in_a_process("info", "survivor", folder=folder)
    assert done.code == 0 and victim.whole["fingerprint"] in done.out
