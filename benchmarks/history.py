"""Add commits to the history of speed: ``python benchmarks/history.py COMMIT...``.

asv measures each commit with the benchmarks of ``bench_history.py``, as they are in this checkout,
in an environment with pinned packages; that takes about two minutes. The results are kept in
``results/``, in the folder of a class of machines: only figures of one class can be compared.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
MODULE = "bench_history"
DIGITS = 4
CPU_INFO = Path("/proc/cpuinfo")
# by the flag that /proc/cpuinfo has
LEVELS = {"avx512f": "avx512", "avx2": "avx2"}


def machine_class():
    """Return the name of the class of this machine, such as ``2-core-x86-avx512``."""
    words = set(CPU_INFO.read_text().split()) if CPU_INFO.is_file() else set()
    kind = "x86" if platform.machine() in ("x86_64", "AMD64") else platform.machine()
    level = next((name for flag, name in LEVELS.items() if flag in words), "")
    return "-".join(filter(None, (f"{os.cpu_count()}-core", kind, level)))


def commit_of(name):
    """Return the hash of a named commit."""
    command = ["git", "-C", str(FOLDER), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{name} is no commit of {FOLDER.parent}")
    return done.stdout.strip()


def results_of(commit, machine):
    """Return the result files of a commit."""
    return sorted((RESULTS / machine).glob(f"{commit[:8]}-*.json"))


def asv(*arguments, **options):
    """Run asv in this folder; return whether it ended well."""
    command = [sys.executable, "-m", "asv", *arguments]
    return subprocess.run(command, cwd=FOLDER, check=False, **options).returncode == 0


def measure(commit, machine):
    """Have asv measure a commit, its kernels compiled anew; make its files small."""
    with tempfile.TemporaryDirectory() as cache:
        asv(
            *("run", "--machine", machine, "--bench", rf"^{MODULE}\.", "--show-stderr"),
            f"{commit}^!",
            env={**os.environ, "FASTBP_CACHE_DIR": cache},
        )
    for path in results_of(commit, machine):
        rewrite(path, short_result, None)
    rewrite(RESULTS / "benchmarks.json", short_list, 1)


def rewrite(path, change, indent):
    """Change the JSON of a file."""
    content = change(json.loads(path.read_text("utf-8")))
    path.write_text(json.dumps(content, indent=indent) + "\n", encoding="utf-8")


def short_list(benchmarks):
    """Return asv's list of benchmarks, with those of the history alone."""
    return {
        name: entry
        for name, entry in benchmarks.items()
        if name == "version" or name.startswith(f"{MODULE}.")
    }


def short_result(result):
    """Return a result file of asv without the times of the measurement, and of few digits."""
    columns = result["result_columns"]
    for row in result["results"].values():
        for n, column in enumerate(columns[: len(row)]):
            row[n] = None if column in ("started_at", "duration") else rounded(row[n])
    return {**result, "durations": {}}


def rounded(value):
    """Return a value with all numbers in it rounded to four digits; None if not finite."""
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description="Add commits to the history of asv.")
    parser.add_argument("commits", nargs="*", default=["HEAD"], help="default: HEAD")
    parser.add_argument("--again", action="store_true", help="also those that have results")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the command line; return its exit status."""
    options, machine = parse(arguments), machine_class()
    facts = {"machine": machine, "os": platform.system(), "ram": "", "cpu": machine}
    facts |= {"arch": platform.machine(), "num_cpu": str(os.cpu_count())}
    if not asv("machine", "--yes", *(f"--{name}={value}" for name, value in facts.items())):
        return 2
    missing = []
    for commit in map(commit_of, options.commits):
        if options.again or not results_of(commit, machine):
            measure(commit, machine)
            missing += [] if results_of(commit, machine) else [commit[:8]]
    print(f"without results: {', '.join(missing)}" if missing else "all commits have results")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
