"""The guard of speed: what it compares, what it looks at again, and how it ends."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastbp
from benchmark_modules import CLASSES, FOLDER, load

load("benchmarks")
guard = load("benchmarks.guard")
guard_process = load("benchmarks.guard_process")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


class Machine:
    """Stands for the pairs of processes: each pair gives its times of a case, or a failure."""

    def __init__(self, *pairs):
        self.left, self.measured = list(pairs), []

    def __call__(self):
        return self

    def __enter__(self):
        self.figures = self.left.pop(0)
        self.measured.append([])
        return self

    def __exit__(self, *_):
        pass

    def names(self):
        return list(self.figures)

    def load(self, name):
        self.name, figures = name, self.figures[name]
        return figures if isinstance(figures, list) else [None, None]

    def rounds(self, seconds):
        self.measured[-1].append(self.name)
        return [list(times) for times in self.figures[self.name]]


def compare(*pairs, select=""):
    machine = Machine(*pairs)
    return guard.compare(machine, select, 0.1, 60.0), machine


PAIRS = 1 + guard.AGAIN + guard.SURE
EVEN = ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))


def test_what_has_not_lost_is_measured_by_one_pair():
    found, machine = compare({"a": EVEN, "b": ((2.0, 2.0), (2.05, 2.05)), "c": ((1.0,), (0.5,))})
    assert machine.measured == [["a", "b", "c"]]
    assert (found.times["b"], found.lost()) == (([2.0, 2.0], [2.05, 2.05]), [])


def test_only_the_suspects_are_measured_again_the_slowest_first():
    slow, slower = ((1.0,), (1.2,)), ((1.0,), (1.4,))
    figures = {"a": EVEN, "b": slow, "c": slower}
    found, machine = compare(*[figures] * PAIRS)
    assert machine.measured == [["a", "b", "c"], *[["c", "b"]] * (PAIRS - 1)]
    assert found.pairs == {"a": 1, "b": PAIRS, "c": PAIRS}
    assert found.lost() == ["c", "b"]


def test_what_is_as_quick_after_all_is_not_measured_further():
    slow, even = {"a": EVEN, "b": ((1.0,), (1.2,))}, {"a": EVEN, "b": ((1.2,), (1.0,))}
    found, machine = compare(slow, slow, slow, slow, even)
    assert machine.measured == [["a", "b"], ["b"], ["b"], ["b"], ["b"]]
    assert (found.pairs["b"], found.lost()) == (5, [])


@pytest.mark.parametrize(
    "old, new, lost",
    [
        ([1.0, 1.0, 1.0], [2.0, 1.0, 1.0], False),  # the new commit's first figure was unlucky
        ([0.8, 1.0, 1.0], [1.0, 1.0, 1.0], False),  # the old one's was lucky
        ([1.06, 1.0, 1.0], [1.15, 1.15, 1.15], True),  # a loss that showed by half at first
        ([1.0, 1.0, 1.0], [1.07, 1.07, 1.07], False),  # one that is allowed
        ([1.0, 1.0, 1.0], [1.04, 2.0, 2.0], False),  # not suspected, so not looked at again
        ([1.0, 2.0, 1.0], [1.2, 1.2, 1.2], True),  # one slow figure of the old excuses nothing
        ([1.0, 1.0, 1.0], [2.0, 2.0, 1.0], False),  # the new one can be as quick
        ([1.0, 2.0, 2.0], [2.0, 2.0, 2.0], False),  # the old one is as slow
    ],
)
def test_a_loss_shows_in_medians_and_bests(old, new, lost):
    figures = [{"a": ((o,), (n,))} for o, n in zip(old, new, strict=True)]
    found, _ = compare(*figures, *figures[-1:] * guard.SURE)
    assert found.lost() == (["a"] if lost else [])


def test_a_gain_is_no_loss():
    found, machine = compare({"a": ((2.0, 2.0), (1.0, 1.0))})
    assert (found.lost(), len(machine.measured)) == ([], 1)


def test_a_loss_without_time_to_confirm_it_does_not_count(monkeypatch):
    monkeypatch.setattr(guard, "LATER_END", -1.0)
    found, machine = compare(*[{"a": ((1.0,), (2.0,))}] * 3)
    assert machine.measured == [["a"], [], []]
    assert found.slower(0.1) == ["a"]
    assert found.lost() == []


def test_what_there_is_no_time_for_is_said(monkeypatch):
    monkeypatch.setattr(guard, "FIRST_END", -1.0)
    found, _ = compare({"a": EVEN})
    assert re.search(r"^a +not compared$", "\n".join(found.lines()), re.MULTILINE)


def test_what_one_side_lacks_is_listed_and_not_compared():
    found, machine = compare({"a": EVEN, "added": ["no", ""], "b": EVEN})
    assert machine.measured == [["a", "b"]]
    assert (list(found.times), found.skipped) == (["a", "b"], ["added"])


def test_what_only_the_old_commit_lacks_is_not_compared():
    found, _ = compare({"a": ["AttributeError: relu6", None]})
    assert (found.times, found.skipped) == ({}, ["a"])


def test_what_fails_with_the_new_commit_alone_is_no_answer():
    with pytest.raises(guard.GuardError, match="b fails with the new commit: OSError: no"):
        compare({"a": EVEN, "b": [None, "OSError: no"]})


def test_the_table_begins_with_the_greatest_loss():
    found, _ = compare(
        *[{"better": ((2.0e-6,), (1.0e-6,)), "worse": ((1e-6, 2e-6), (3e-6, 4e-6))}] * PAIRS
    )
    _, *rows = (line.split() for line in found.lines())
    assert rows == [
        ["worse", "1.0", "3.0", "2.33", str(PAIRS)],
        ["better", "2.0", "1.0", "0.50", "1"],
    ]


@pytest.fixture
def run(monkeypatch, capsys):
    """Return ``run(machine, *arguments)`` without git: exit status and standard output."""
    monkeypatch.setattr(guard, "commits_of", lambda options: ("a" * 40, "b" * 40))
    monkeypatch.setattr(guard, "git", lambda *arguments: b"abc subject\n")
    monkeypatch.setattr(guard, "install", lambda commit, folder: {})

    def run(machine, *arguments):
        monkeypatch.setattr(guard, "Pair", lambda variables: machine)
        return guard.main(["OLD", "NEW", *arguments]), capsys.readouterr()

    return run


@pytest.mark.parametrize(
    "new, options, status",
    [(1.05, [], 0), (1.15, [], 1), (1.15, ["--loss", "0.2"], 0), (1.05, ["--loss", "0.02"], 1)],
)
def test_the_exit_status_says_whether_something_lost(run, new, options, status):
    found, (out, _) = run(Machine(*[{"time_a": ((1.0,), (new,))}] * PAIRS), *options)
    assert found == status
    assert out.startswith("old abc subject\nnew abc subject\n")
    assert re.search(rf"in {PAIRS} pairs of processes: (\d)", out)[1] == str(status)
    assert ("\n    time_a\n" in out) == bool(status)


def test_what_could_not_be_confirmed_is_named(run, monkeypatch):
    monkeypatch.setattr(guard, "LATER_END", -1.0)
    status, (out, _) = run(Machine(*[{"time_a": ((1.0,), (2.0,)), "time_b": EVEN}] * 3))
    assert status == 0
    assert "\nslower, but not confirmed in the time: time_a\n" in out


def test_a_failure_ends_with_2_and_says_why(run):
    status, (_, err) = run(Machine({"time_a": [None, "OSError: no"]}))
    assert (status, err) == (2, "time_a fails with the new commit: OSError: no\n")


def test_an_option_selects_by_name(run):
    status, (out, _) = run(Machine({"Epoch.a": EVEN, "Relu.b": EVEN}), "--bench", "Epo|no")
    assert (status, "Epoch.a" in out, "Relu.b" in out) == (0, True, False)
    status, (_, err) = run(Machine({"Epoch.a": EVEN}), "--bench", "no-such")
    assert (status, "no-such" in err) == (2, True)


@pytest.mark.parametrize("arguments", [["--loss", "10"], ["--loss", "0"], ["--no-such-option"]])
def test_a_wrong_option_is_refused(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        guard.main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@needs_git
def test_an_unknown_commit_is_refused():
    command = [sys.executable, str(FOLDER / "guard.py"), "no-such-commit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("no-such-commit is no commit of ")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return ``commit(file, text)`` for a repository of its own, which the guard looks at."""
    monkeypatch.setattr(guard, "ROOT", tmp_path)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]

    def git(*more):
        subprocess.run(["git", "-C", tmp_path, *who, *more], check=True)

    git("init", "--quiet")

    def commit(file, text):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        git("add", ".")
        git("commit", "--quiet", "--message", text)

    return commit


@needs_git
def test_without_a_parent_there_is_nothing_to_compare(clone, capsys):
    clone("kernels/a.py", "1")
    assert guard.main([]) == 0
    assert capsys.readouterr().out == "HEAD has no parent in this clone: nothing to compare\n"


@needs_git
def test_only_changes_of_the_package_are_compared(clone, capsys):
    clone("kernels/a.py", "1")
    clone("README.md", "2")
    assert guard.main([]) == 0
    assert "have the same code in fastbp/ and kernels/: nothing" in capsys.readouterr().out
    clone("fastbp/b.py", "3")
    assert guard.commits_of(guard.parse([])) == (guard.commit_of("HEAD~1"), guard.commit_of("HEAD"))


@needs_git
@pytest.mark.parametrize(
    "old, new, same",
    [
        ("a = 1", "# why\na = 1  # how", True),
        ('"""One."""\ndef f():\n    """Two."""', '"""Three."""\ndef f():\n    "Four."', True),
        ('class A:\n    """One."""\n    b = 1', 'class A:\n    """Two."""\n    b = 1', True),
        ("a = 1", "a = 2", False),
        ('def f():\n    return "a"', 'def f():\n    return "b"', False),
        ('a = """One."""', 'a = """Two."""', False),
    ],
)
def test_comments_and_docstrings_are_not_compared(clone, old, new, same):
    clone("kernels/a.py", old)
    clone("kernels/a.py", new)
    options = guard.parse([])
    if not same:
        assert guard.commits_of(options) == (guard.commit_of("HEAD~1"), guard.commit_of("HEAD"))
        return
    with pytest.raises(guard.NothingToCompareError, match="have the same code"):
        guard.commits_of(options)


@needs_git
def test_code_that_is_none_is_no_answer(clone, capsys):
    clone("kernels/a.py", "1")
    clone("kernels/a.py", "def")
    assert guard.main([]) == 2
    assert capsys.readouterr().err.startswith("kernels/a.py: invalid syntax")


SLOW = """
import time
def _slow(self, t, factors=Constant.factors):
    time.sleep(0.002)
    return factors(self, t)
Constant.factors = _slow
"""


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Return the variables of two installed copies of fastbp; the second has a slow schedule."""
    folders = [tmp_path_factory.mktemp(side) for side in ("old", "new")]
    for folder in folders:
        for package, name in ((fastbp, "fastbp"), (fastbp.kernels, "fastbp/kernels")):
            source = Path(package.__file__).parent
            shutil.copytree(source, folder / name, dirs_exist_ok=True)
    with (folders[1] / "fastbp/components/schedules.py").open("a") as file:
        file.write(SLOW)
    return [{"PYTHONPATH": str(folder)} for folder in folders]


@pytest.mark.slow
def test_each_process_of_a_pair_measures_its_own_copy(sites):
    with guard.Pair(sites) as pair:
        assert pair.names() == list(guard_process.cases())
        assert pair.load("Schedule.time_factors('constant')") == [None, None]
        old, new = pair.rounds(0.1)
        assert len(old) == len(new) >= guard_process.FEWEST_ROUNDS
        assert min(new) > 0.002 > max(old)
        assert (
            pair.load("Loss.time_no_such")
            == ["its process ended: exit status 1: KeyError: 'Loss.time_no_such'"] * 2
        )


@pytest.mark.slow
def test_a_process_that_measures_another_copy_is_refused(sites):
    pair = guard.Pair([sites[0], {"PYTHONPATH": "/no/such/folder"}])
    with pair, pytest.raises(guard.GuardError, match="not that in /no/such/folder"):
        pair.names()


@pytest.mark.slow
def test_an_old_commit_that_cannot_run_the_benchmarks_is_not_compared(tmp_path):
    (tmp_path / "fastbp.py").write_text("")
    pair = guard.Pair([{"PYTHONPATH": str(tmp_path)}] * 2)
    with pair, pytest.raises(guard.NothingToCompareError, match="cannot run these benchmarks"):
        pair.names()


def test_the_workloads_and_the_kernels_are_guarded():
    guarded = {name.split(".")[0] for name in guard_process.cases()}
    expected = {"Activation", "ActivationDerivative", "Hadamard", "Loss", "Optimizer", "Random"}
    expected |= {"Initializer", "Schedule", "Products", "SparseProducts", "RampProducts"}
    assert guarded == expected | {"DropoutEpoch", "Epoch", "EpochFloat64", "Predict", "PredictWide"}
    assert guarded < {kind.__name__ for kind in CLASSES}


def test_the_workloads_come_first():
    assert next(iter(guard_process.cases())) == "Epoch.time_epoch('tiny', 1)"


def test_the_readme_names_the_command():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^    python benchmarks/guard.py HEAD~1 HEAD( |$)", text, re.MULTILINE)
    assert f"{guard.LOSS:.0%}".replace("%", " %") in text
