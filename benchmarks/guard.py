"""Does a commit lose speed? ``python benchmarks/guard.py OLD NEW`` ends with 1 if it does.

Both commits are installed beside the packages of this environment, and run the benchmarks of this
checkout, each in a process of its own. The processes take turns of 20 ms, so that whatever else
the machine does slows both. What seems slower is measured again, in two fresh pairs of processes,
and what is slower then in six more, while it is: where memory lies and how the processor guesses
differ from process to process. A loss counts when it shows in all rounds together, in the median
and in the best. Commits that differ in comments and docstrings alone are not compared.

The exit status is 0 if nothing lost more than allowed or there is nothing to compare, 1 if
something did, and 2 if it could not be measured. What seemed slower, and could not be confirmed in
the time, is named.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.guard_process import GuardError, NothingToCompareError, Pair
from benchmarks.process import ROOT, ProcessError

PACKAGES = ("fastbp", "kernels")
LOSS, MINUTES = 0.10, 4.0
# a first loss of this share of the allowed one is measured again, AGAIN times; what has lost then,
# SURE times more, while it has [sparse_matmul differs tenfold between processes of one commit: of
# five guards of a comment two found a loss in three pairs]
SUSPECT, AGAIN, SURE = 0.5, 2, 6
# seconds of a case at first, and when it is measured again
FIRST, LATER = 0.25, 1.0
# shares of the time, after which no case is begun: for the first pair, and more for each later one
FIRST_END, LATER_END = 0.5, 1 / 16


def git(*arguments):
    """Return what git prints, as bytes."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


def commit_of(name):
    """Return the hash of a named commit; None if there is none."""
    try:
        found = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except subprocess.CalledProcessError:
        return None
    return found.decode().strip()


def code_of(commit):
    """Return the code of the package in a commit, by file, without comments and docstrings."""
    folders = git("ls-tree", "--name-only", commit, *PACKAGES).decode().split()
    if not folders:
        return {}
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit, *folders))) as archive:
        files = [each for each in archive if each.name.endswith(".py")]
        texts = {each.name: archive.extractfile(each).read() for each in files}
    return {name: dump_without_docstrings(text, name) for name, text in texts.items()}


def dump_without_docstrings(text, name):
    """Return the syntax tree of a file, as text."""
    try:
        tree = ast.parse(text, name)
    except SyntaxError as error:
        raise GuardError(f"{name}: {error}") from None
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


def install(commit, folder):
    """Install a commit into a folder of its own; return the variables of its processes."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
        # Python before 3.11.4 has no filters; the archive is git's
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder / "source", **safely)
    target = [f"--target={folder / 'site'}", str(folder / "source")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *target]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise GuardError(f"{commit[:8]} cannot be installed")
    return {"PYTHONPATH": str(folder / "site"), "FASTBP_CACHE_DIR": str(folder / "cache")}


def ratio(old, new):
    """Return the new times as a multiple of the old: by medians or by bests, the smaller."""
    return min(median(new) / median(old), min(new) / min(old))


class Comparison:
    """The times of both commits.

    Attributes
    ----------
    times : dict
        For each case the lists of old and new times in seconds.
    pairs : dict
        How many pairs of processes have measured each case.
    skipped : list
        Cases that one side lacks, or for which there was no time.
    """

    def __init__(self, allowed):
        self.allowed = allowed
        self.times, self.pairs, self.skipped = {}, {}, []

    def measure(self, pair, names, seconds, end):
        """Measure cases with one pair until `end`, by the clock of `time.monotonic`.

        Raises
        ------
        GuardError
            If a case fails with the new commit alone.
        """
        for name in names:
            if time.monotonic() > end:
                self.skipped += [name] if name not in self.times else []
                continue
            old, new = pair.load(name)
            if new and old is None:
                raise GuardError(f"{name} fails with the new commit: {new}")
            if old is not None or new is not None:
                self.skipped.append(name)
                continue
            for kept, found in zip(
                self.times.setdefault(name, ([], [])), pair.rounds(seconds), strict=True
            ):
                kept += found
            self.pairs[name] = self.pairs.get(name, 0) + 1

    def slower(self, allowed, pairs=1):
        """Return the cases slower than allowed in so many pairs, the slowest first."""
        found = {name: ratio(*times) for name, times in self.times.items()}
        names = sorted(found, key=found.get, reverse=True)
        return [n for n in names if found[n] > 1 / (1 - allowed) and self.pairs[n] >= pairs]

    def lost(self):
        """Return the cases with a loss that every further pair has confirmed."""
        return self.slower(self.allowed, 1 + AGAIN + SURE)

    def open(self):
        """Return the cases that were slower in every pair, and too few pairs had time for."""
        lost = self.lost()
        return [name for name in self.slower(self.allowed) if name not in lost]

    def lines(self):
        """Return the lines of the printed table, the greatest loss first; times are the best."""
        width = max(map(len, [*self.times, *self.skipped]))
        lines = [f"{'benchmark':{width}}    old us     new us  new/old  pairs"]
        for name in sorted(self.times, key=lambda name: -ratio(*self.times[name])):
            old, new = (1e6 * min(times) for times in self.times[name])
            cells = f"{old:10,.1f} {new:10,.1f}  {ratio(*self.times[name]):7.2f}"
            lines.append(f"{name:{width}} {cells}  {self.pairs[name]:5}")
        return lines + [f"{name:{width}}  not compared" for name in self.skipped]


def compare(new_pair, select, allowed, seconds):
    """Return the `Comparison` of all cases whose name matches a pattern, in so many seconds."""
    found, end = Comparison(allowed), time.monotonic() + FIRST_END * seconds
    with new_pair() as pair:
        names = [name for name in pair.names() if re.search(select, name)]
        if not names:
            raise GuardError(f"--bench {select}: no benchmark has such a name")
        found.measure(pair, names, FIRST, end)
    suspects = found.slower(allowed * SUSPECT)
    for pairs in range(1, 1 + AGAIN + SURE):
        # one that there was no time for is not confirmed
        suspects = suspects if pairs <= AGAIN else found.slower(allowed, pairs)
        if not suspects:
            break
        with new_pair() as pair:
            found.measure(pair, suspects, LATER, end + pairs * LATER_END * seconds)
    return found


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description="Fail if a commit loses speed.")
    parser.add_argument("old", nargs="?", help="default: the parent of the new one")
    parser.add_argument("new", nargs="?", default="HEAD", help="default: HEAD")
    parser.add_argument("--loss", type=float, default=LOSS, help=f"allowed; default: {LOSS:.2f}")
    parser.add_argument("--bench", default="", metavar="REGEX", help="select benchmarks by name")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"in all; default: {MINUTES:g}"
    )
    options = parser.parse_args(arguments)
    if not 0 < options.loss < 1:
        parser.error(f"--loss {options.loss:g}: expected a share between 0 and 1")
    return options


def commits_of(options):
    """Return the hashes of both commits."""
    new = commit_of(options.new)
    old = commit_of(options.old or f"{options.new}~1")
    for name, commit in ((options.new, new), (options.old, old)):
        if name and not commit:
            raise GuardError(f"{name} is no commit of {ROOT}")
    if not old:
        raise NothingToCompareError(f"{options.new} has no parent in this clone")
    if code_of(old) == code_of(new):
        same = f"{old[:8]} and {new[:8]} have the same code in fastbp/ and kernels/"
        raise NothingToCompareError(same)
    return old, new


def main(arguments=None):
    """Run the command line; return its exit status."""
    options, begin = parse(arguments), time.monotonic()
    try:
        commits = commits_of(options)
        for label, commit in zip(("old", "new"), commits, strict=True):
            print(label, git("log", "-1", "--format=%h %s", commit).decode().strip(), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            variables = [install(commit, Path(folder, commit)) for commit in commits]
            left = 60 * options.minutes - (time.monotonic() - begin)
            found = compare(lambda: Pair(variables), options.bench, options.loss, left)
    except NothingToCompareError as why:
        print(f"{why}: nothing to compare")
        return 0
    except (GuardError, ProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(found.lines()))
    lost, still_open = found.lost(), found.open()
    seconds = time.monotonic() - begin
    pairs = 1 + AGAIN + SURE
    print(f"\nlost more than {options.loss:.0%} in {pairs} pairs of processes: {len(lost)}")
    print("".join(f"    {name}\n" for name in lost), end="")
    if still_open:
        print(f"slower, but not confirmed in the time: {', '.join(still_open)}")
    print(f"{len(found.times)} compared, {len(found.skipped)} not, in {seconds:.0f} s")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
