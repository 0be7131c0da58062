"""`plan_ranks` and ``fastbp plan``: what they predict, tell and refuse."""

import copy
import json
import re

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from command_line import fastbp
from fastbp import Network, plan_ranks
from fastbp.kernels.support.ramp_rows import RampRows
from fastbp.ranks.cost import Link
from fastbp.ranks.shard import Shard
from fastbp.scaling.plan import RankCosts, RankPlan
from fastbp.scaling.trials import Trials
from mpi_ranks import ended, lines, needs_mpi, run_program, run_ranks, started


@pytest.fixture(scope="module")
def net():
    return Network([6, 16, 3], loss="cross_entropy", seed=0)


@pytest.fixture(scope="module")
def plan(net):
    known = {"latency": 1e-4, "bandwidth": 1e7, "per_machine": 2}
    return plan_ranks(net, 640, 64, ranks=(8, 2, 2), **known)


def table(rows):
    """Return the text of a table of so many rows."""
    numbers = np.random.default_rng(0).standard_normal(rows)
    return "\n".join(["x,y", *(f"{x:.3f},{2 * x:.3f}" for x in numbers)])


def test_an_epoch_is_its_steps_with_a_sum_each_or_with_averages(plan):
    assert [each.ranks for each in plan.entries] == [1, 2, 8]
    assert [each.machines for each in plan.entries] == [1, 1, 4]
    one, two, eight = plan.entries
    assert one.sum == 0 and one.epoch == one.epoch_step == one.epoch_local
    assert one.epoch == pytest.approx(10 * one.compute)
    # 163 numbers of 4 bytes are sent to all seven others in three rounds; two share the network
    numbers = 6 * 16 + 16 + 16 * 3 + 3
    assert eight.sum == pytest.approx(3 * 1e-4 + 7 * 4 * numbers * 2 / 1e7)
    # after the slice, two objects in two exchanges of three rounds each
    told = 2 * (6 * 3 * 1e-4 + 2e-5)
    assert eight.epoch_step == pytest.approx(10 * (eight.compute + eight.sum) + told)
    # ten steps end with an average of three times as many numbers, for Adam has two moments
    assert eight.local_every == 32
    assert eight.epoch_local > told + 3 * 1e-4 + 3 * 7 * 4 * numbers * 2 / 1e7
    assert eight.sync == "local" and eight.epoch == eight.epoch_local < eight.epoch_step
    assert two.sum < eight.sum  # in memory


def test_the_network_stays_as_it_is(net):
    before = copy.deepcopy(net)
    plan_ranks(net, 64, 8, ranks=[2])
    assert net.parameters.tobytes() == before.parameters.tobytes()
    assert (net.steps, net.epochs) == (0, 0)


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy", "poisson", "quantile"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_network_can_be_planned(loss, dtype):
    net = Network([2, 4, 1], loss=loss, dtype=dtype, seed=0)
    assert all(each.epoch > 0 for each in plan_ranks(net, 10, 4, ranks=[1, 4]).entries)


def entry(ranks, compute, sums, sync="step"):
    epoch = compute + sums
    return RankCosts(ranks, ranks, compute, sums, epoch, epoch, 8, sync, epoch)


def made(*entries):
    link = Link(1e-6, 1e9)
    sources = {"shared": "assumed", "network": "given"}
    return RankPlan(100, 10, 2, 1, link, link, sources, [*entries])


def test_it_tells_where_sums_take_over_and_the_fewest_ranks_near_the_best():
    plan = made(entry(1, 8, 0), entry(2, 4, 0.5), entry(4, 2, 2.2, "local"), entry(8, 1, 6))
    assert plan.takes_over == 4
    # 4.5 is within a tenth of 4.2
    assert (plan.best.ranks, plan.speedup(plan.entries[1])) == (2, 8 / 4.5)
    text = str(plan)
    assert "from 4 ranks, a sum of gradients takes longer than the computation" in text
    assert 'use 2 ranks, sync="step"' in text
    assert "between machines: messages of 1 us, 1 GB/s (given)" in text
    assert text.startswith("100 rows, batches of 10, 2 threads to a rank")
    faster = made(entry(1, 8, 0), entry(4, 1, 1.5, "local"))
    assert str(faster).endswith('use 4 ranks, sync="local", average_every=8')
    alone = made(entry(1, 1, 0), entry(2, 1, 0.5))
    assert alone.takes_over is None and str(alone).endswith("use 1 rank")
    assert json.loads(json.dumps(faster.to_dict()))["best"] == 4


def test_default_numbers_of_ranks_are_powers_of_two_to_the_batch(net):
    assert [each.ranks for each in plan_ranks(net, 20, 100).entries] == [1, 2, 4, 8, 16]
    assert [each.ranks for each in plan_ranks(net, 20, 100, ranks=3).entries] == [1, 3]


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"rows": 0}, ValueError, "rows=0"),
        ({"batch_size": 2.5}, TypeError, "batch_size=2.5"),
        ({"ranks": [0]}, ValueError, "ranks=0"),
        ({"ranks": ["two"]}, TypeError, "ranks='two'"),
        ({"ranks": [65]}, ValueError, "65 for batches of 64 rows"),
        ({"latency": 0}, ValueError, "latency=0"),
        ({"latency": float("nan")}, ValueError, "latency=nan"),
        ({"latency": 1e308}, ValueError, "latency=1e+308: expected a number greater than 0 and at"),
        ({"ranks": 65}, ValueError, "65 for batches of 64 rows"),
        ({"ranks": 2.0}, TypeError, "ranks=2.0"),
        ({"network": None}, TypeError, "network=None: expected a Network"),
        ({"bandwidth": 1e-320}, ValueError, "bandwidth=1e-320: expected a number at least 1"),
        ({"bandwidth": -1}, ValueError, "bandwidth=-1"),
        ({"bandwidth": "fast"}, TypeError, "bandwidth='fast'"),
        ({"per_machine": 0}, ValueError, "per_machine=0"),
        ({"n_threads": "auto"}, TypeError, "n_threads='auto'"),
        ({"comm": 3}, TypeError, "comm=3"),
        ({"sample": 3}, TypeError, "sample=3: expected a tuple"),
        ({"sample": (np.ones((2, 5)), [0, 1])}, ValueError, "sample[0] has 5"),
        ({"sample": (np.ones((2, 6)), [0, 3])}, ValueError, "sample[1] holds the label 3"),
    ],
)
def test_bad_arguments_are_named(net, bad, error, words):
    with pytest.raises(error, match=re.escape(words)):
        plan_ranks(**{"network": net, "rows": 640, "batch_size": 64, **bad})


def test_trials_take_the_rows_that_are_given(net, monkeypatch):
    seen, sizes = set(), []
    monkeypatch.setattr(Shard, "windows", seeing(Shard.windows, seen, sizes))
    X = np.arange(5)[:, None] * np.ones(6)
    for rows in (X, csr_matrix(X)):
        plan_ranks(net, 12, 4, ranks=[2], sample=(rows, [0, 1, 2, 0, 1]))
    assert seen == {0.0, 1.0, 2.0, 3.0, 4.0} and max(sizes) <= 12


def seeing(windows, seen, sizes):
    def seen_windows(self, *given, **more):
        for window in windows(self, *given, **more):
            x = window.data.x
            seen.update([*x.data.tolist(), 0.0] if window.data.is_sparse else x.ravel().tolist())
            sizes.append(len(x))
            yield window

    return seen_windows


def test_a_network_that_overflows_is_named():
    net = Network([3, 4, 1], "relu", loss="poisson", seed=0)
    net.parameters[:] = 1e18
    with pytest.raises(ValueError, match="network: its loss is not finite"):
        plan_ranks(net, 8, 4, ranks=[2])


MEASURED = """
import json
from mpi4py import MPI
from fastbp import Network, plan_ranks

net = Network([6, 16, 3], loss="cross_entropy", seed=0)
plan = plan_ranks(net, 640, 64, ranks=(2, 4), comm=MPI.COMM_WORLD)
print(json.dumps(plan.to_dict()))
"""

REFUSED = """
import json
import numpy as np
from mpi4py import MPI
from fastbp import Network, plan_ranks

comm = MPI.COMM_WORLD
for name in ("rows", "batch", "sample", "network"):
    sizes = [6, 16 + comm.rank * (name == "network"), 3]
    net = Network(sizes, loss="cross_entropy", seed=0)
    sample = (np.ones((3, 5)), [0, 1, 2]) if name == "sample" and comm.rank else None
    rows = 640 + comm.rank if name == "rows" else 640
    batch = 0 if name == "batch" and comm.rank else 64
    try:
        plan_ranks(net, rows, batch, ranks=(2,), comm=comm, sample=sample)
    except ValueError as error:
        print(json.dumps([name, comm.rank, str(error)]))
"""


@pytest.mark.slow
@needs_mpi
def test_what_one_rank_gives_otherwise_is_an_error_on_all(tmp_path):
    rows = [json.loads(line) for line in run_ranks(2, REFUSED, tmp_path).splitlines()]
    found = {(name, rank): text for name, rank, text in rows}
    assert len(found) == 8
    for name in ("rows", "batch", "sample", "network"):
        assert found[name, 0] == found[name, 1]
    assert found["rows", 0].startswith("rows, batch_size, ranks differs between the ranks")
    assert "rank 1 of 2: batch_size=0" in found["batch", 0]
    assert "rank 1 of 2: sample[0] has 5" in found["sample", 0]
    assert found["network", 0].startswith("network differs between the ranks")


@pytest.mark.slow
@needs_mpi
def test_ranks_measure_their_link_and_agree_on_the_plan(tmp_path):
    found = [json.loads(line) for line in run_ranks(2, MEASURED, tmp_path).splitlines()]
    assert found[0] == found[1]
    plan = found[0]
    assert plan["sources"] == {"shared": "measured", "network": "assumed"}
    assert plan["per_machine"] == 2
    assert [each["machines"] for each in plan["entries"]] == [1, 1, 2]
    assert 0 < plan["shared"]["latency"] < 1 and plan["shared"]["bandwidth"] > 0


@pytest.mark.slow
@needs_mpi
def test_standard_input_is_of_one_process_alone(tmp_path):
    status, output, errors = ended(
        started(2, ["-m", "fastbp", "plan", "-", "--target", "y", "--distributed"], tmp_path)
    )
    assert status == 2 and not output
    (line,) = lines(errors)
    assert "-: the processes of mpiexec do not share standard input" in line


@pytest.mark.slow
@needs_mpi
def test_the_command_plans_on_ranks_and_one_of_them_prints(tmp_path):
    (tmp_path / "line.csv").write_text(table(200))
    command = ["-m", "fastbp", "plan", "line.csv", "--target", "y", "--preset", "fast"]
    more = ["--distributed", "--ranks", "2,4", "--latency", "5us", "--log", "json"]
    events = [json.loads(row) for row in run_program(2, command + more, tmp_path).splitlines()]
    (plan,) = [event for event in events if event["event"] == "ranks"]
    assert plan["network"] == pytest.approx({"latency": 5e-6, "bandwidth": 1.25e9})
    assert plan["sources"] == {"shared": "measured", "network": "given, else assumed"}
    assert [each["ranks"] for each in plan["entries"]] == [1, 2, 4]


@pytest.mark.slow
@needs_mpi
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ranks", "16", "--batch-size", "8"), "16 for batches of 8 rows"),
        (("--target", "z"), "has no column 'z'"),
    ],
)
def test_what_the_command_refuses_is_said_once(tmp_path, words, message):
    (tmp_path / "line.csv").write_text(table(200))
    target = () if "--target" in words else ("--target", "y")
    command = ["-m", "fastbp", "plan", "line.csv", *target, "--preset", "fast", "--distributed"]
    status, output, errors = ended(started(2, [*command, *words], tmp_path))
    (told,) = lines(errors)
    assert status in (2, 3) and not output
    assert message in told


def test_the_command_plans_what_training_takes(tmp_path, monkeypatch):
    """Ramps are trained on as ramps, and there are as many ranks as rows allow."""
    seen, made = [], Trials.__init__

    def noted(self, engine, sample, rows, *more):
        seen.extend([sample, rows])
        made(self, engine, sample, rows, *more)

    monkeypatch.setattr(Trials, "__init__", noted)
    path = tmp_path / "line.csv"
    path.write_text(table(60))
    done = fastbp("plan", path, "--target", "y", "--ensemble", "1")
    assert done.code == 0, done.err
    (X, y), rows = seen
    assert isinstance(X, RampRows) and (len(X), len(y), rows) == (60, 60, 48)
    shown = [int(line.split()[0]) for line in done.out.splitlines() if line[:5].strip().isdigit()]
    assert shown == [1, 2, 4, 8]  # 12 rows validate
