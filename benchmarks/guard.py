"""Does a commit lose speed? ``python benchmarks/guard.py OLD NEW`` ends with 1 if it does.

asv builds both commits and measures each with the benchmarks of this checkout. Benchmarks that
seem slower are measured twice more, the commits in turn, because another process on the machine
may have caused a low figure. The exit status is 0 if nothing lost more than allowed, 1 if something
did, and 2 if it could not be measured.
"""

import argparse
import itertools
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).resolve().parent
# the peak too: it runs the tile of the products, so that a slower tile keeps its share of it
BENCHMARKS = r"track_share|track_peak.*, 1\)"
LOSS = 0.10
# a first loss of this share of the allowed one is measured again, AGAIN times
SUSPECT = 0.5
AGAIN = 2


class GuardError(Exception):
    """Why there is no answer, in one line."""


def commit_of(name):
    """Return the hash of a named commit."""
    command = ["git", "-C", str(FOLDER), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GuardError(f"{name} is no commit of {FOLDER.parent}")
    return done.stdout.strip()


def measure(commit, patterns):
    """Have asv measure a commit; return a figure for each benchmark, None if it failed."""
    begin = time.time()
    command = [sys.executable, "-m", "asv", "run", "--show-stderr", f"{commit}^!"]
    options = [f"--bench={pattern}" for pattern in patterns]
    # the exit status does not help: an older commit may lack what some benchmark calls
    subprocess.run([*command, *options], cwd=FOLDER, stdout=sys.stderr, check=False)
    return kept_figures(commit, patterns, begin)


def kept_figures(commit, patterns, begin):
    """Return the figures of a commit that asv has kept since `begin`."""
    try:  # here, because asv imports this file in environments without asv
        from asv.results import iter_results
    except ImportError:
        raise GuardError("asv is not installed; the extra bench has it") from None

    folder = FOLDER / json.loads((FOLDER / "asv.conf.json").read_text())["results_dir"]
    figures = {}
    for result in iter_results(str(folder)):
        for name in result.get_all_result_keys() if result.commit_hash == commit else ():
            if result.started_at[name] < begin * 1000:
                continue
            params = result.get_result_params(name)
            values = result.get_result_value(name, params)
            for arguments, figure in zip(itertools.product(*params), values, strict=True):
                # asv matches patterns against this spelling
                figures[f"{name}({', '.join(arguments)})" if arguments else name] = figure
    # NaN marks a benchmark that was left out; older figures of others may stand beside it
    return {
        key: figure
        for key, figure in figures.items()
        if any(re.search(pattern, key) for pattern in patterns)
        and (figure is None or not math.isnan(figure))
    }


def losers(old, new, allowed):
    """Return the benchmarks of both commits that lost more than allowed."""
    return [key for key in new if key in old and ratio(old[key], new[key]) < 1 - allowed]


def ratio(old, new):
    """Return the new figures as a multiple of the old: by medians or by bests, the greater.

    A loss must show in both. Other processes lower most figures, but rarely the best ones. They may
    also lower a measured peak, which raises a share, but rarely the median.
    """
    return max(median(new) / median(old), max(new) / max(old))


def compare(commits, patterns, allowed, measure=measure):
    """Return the figures of both commits: dicts of lists, longer where a loss is suspected.

    Raises
    ------
    GuardError
        If a commit was not measured, or a benchmark failed with the new one.
    """
    old, new = (measure(commit, patterns) for commit in commits)
    # the old commit may lack a benchmark
    old = {key: [figure] for key, figure in old.items() if figure is not None}
    new = {key: [figure] for key, figure in new.items()}
    _require_figures(commits, old, new)
    suspects = losers(old, new, allowed * SUSPECT)
    exactly = [f"^{re.escape(key)}$" for key in suspects]
    for _ in range(AGAIN if suspects else 0):
        for commit, figures in zip(commits, (old, new), strict=True):
            found = measure(commit, exactly)
            for key in suspects:
                figures[key].append(found.get(key))
        _require_figures(commits, old, new)
    return old, new


def _require_figures(commits, *both):
    for commit, figures in zip(commits, both, strict=True):
        if not figures:
            raise GuardError(f"asv measured nothing of {commit[:8]}; its output says why")
        failed = [key for key, values in figures.items() if None in values]
        if failed:
            raise GuardError(f"of {commit[:8]} these failed: {', '.join(failed)}")


def table(old, new):
    """Return the lines of the printed table, the greatest loss first; figures are the best."""
    both = sorted(new.keys() & old.keys(), key=lambda key: ratio(old[key], new[key]))
    width = max(map(len, [*old, *new]))
    lines = [f"{'benchmark':{width}}  {'old':>7}  {'new':>7}  ratio  times"]
    for key in both:
        cells = f"{max(old[key]):7.3f}  {max(new[key]):7.3f}  {ratio(old[key], new[key]):5.2f}"
        lines.append(f"{key:{width}}  {cells}  {len(new[key]):5}")
    lines += [f"{key:{width}}  only in the old commit" for key in old if key not in new]
    lines += [f"{key:{width}}  only in the new commit" for key in new if key not in old]
    return lines


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description="Fail if a commit loses speed.")
    parser.add_argument("old", nargs="?", default="HEAD~1", help="default: HEAD~1")
    parser.add_argument("new", nargs="?", default="HEAD", help="default: HEAD")
    parser.add_argument("--loss", type=float, default=LOSS, help=f"allowed; default: {LOSS:.2f}")
    parser.add_argument("--bench", default="", metavar="REGEX", help="select benchmarks by name")
    options = parser.parse_args(arguments)
    if not 0 < options.loss < 1:
        parser.error(f"--loss {options.loss:g}: expected a share between 0 and 1")
    return options


def main(arguments=None, measure=measure):
    """Run the command line; return its exit status."""
    options = parse(arguments)
    try:
        commits = [commit_of(options.old), commit_of(options.new)]
        # both must match: a greater time would pass for a gain
        patterns = [f"^(?=.*(?:{options.bench})).*(?:{BENCHMARKS})"]
        old, new = compare(commits, patterns, options.loss, measure)
    except GuardError as error:
        print(error, file=sys.stderr)
        return 2
    lost = losers(old, new, options.loss)
    print("\n".join(table(old, new)))
    print(f"\nlost more than {options.loss:.0%} from {options.old} to {options.new}: {len(lost)}")
    print("".join(f"    {key}\n" for key in lost), end="")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
