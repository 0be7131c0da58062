"""`plan_ranks` and ``fastbp plan``: what they predict, tell and refuse."""

import copy
import json

import numpy as np
import pytest

from fastbp import Network, plan_ranks
from fastbp.ranks.cost import Link
from fastbp.scaling.plan import RankCosts, RankPlan
from mpi_ranks import needs_mpi, run_program, run_ranks


@pytest.fixture(scope="module")
def net():
    return Network([6, 16, 3], loss="cross_entropy", seed=0)


@pytest.fixture(scope="module")
def plan(net):
    known = {"latency": 1e-4, "bandwidth": 1e7, "per_machine": 2}
    return plan_ranks(net, 640, 64, ranks=(8, 2, 2), **known)


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
    return RankPlan(100, 10, 1, link, link, {"shared": "assumed", "network": "given"}, [*entries])


def test_it_tells_where_sums_take_over_and_the_fewest_ranks_near_the_best():
    plan = made(entry(1, 8, 0), entry(2, 4, 0.5), entry(4, 2, 2.2, "local"), entry(8, 1, 6))
    assert plan.takes_over == 4
    # 4.5 is within a tenth of 4.2
    assert (plan.best.ranks, plan.speedup(plan.entries[1])) == (2, 8 / 4.5)
    text = str(plan)
    assert "from 4 ranks, a sum of gradients takes longer than the computation" in text
    assert 'use 2 ranks, sync="step"' in text
    assert "between machines: messages of 1 us, 1 GB/s (given)" in text
    faster = made(entry(1, 8, 0), entry(4, 1, 1.5, "local"))
    assert str(faster).endswith('use 4 ranks, sync="local", average_every=8')
    alone = made(entry(1, 1, 0), entry(2, 1, 0.5))
    assert alone.takes_over is None and str(alone).endswith("use 1 rank")
    assert json.loads(json.dumps(faster.to_dict()))["best"] == 4


def test_default_numbers_of_ranks_are_powers_of_two_to_the_batch(net):
    assert [each.ranks for each in plan_ranks(net, 20, 100).entries] == [1, 2, 4, 8, 16]


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
        ({"bandwidth": -1}, ValueError, "bandwidth=-1"),
        ({"bandwidth": "fast"}, TypeError, "bandwidth='fast'"),
        ({"per_machine": 0}, ValueError, "per_machine=0"),
        ({"n_threads": "auto"}, TypeError, "n_threads='auto'"),
        ({"comm": 3}, TypeError, "comm=3"),
    ],
)
def test_bad_arguments_are_named(net, bad, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(")):
        plan_ranks(net, **{"rows": 640, "batch_size": 64, **bad})


MEASURED = """
import json
from mpi4py import MPI
from fastbp import Network, plan_ranks

net = Network([6, 16, 3], loss="cross_entropy", seed=0)
plan = plan_ranks(net, 640, 64, ranks=(2, 4), comm=MPI.COMM_WORLD)
print(json.dumps(plan.to_dict()))
"""


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
def test_the_command_plans_on_ranks_and_one_of_them_prints(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["x,y", *(f"{x:.3f},{2 * x:.3f}" for x in rng.standard_normal(200))]
    (tmp_path / "line.csv").write_text("\n".join(rows))
    command = ["-m", "fastbp", "plan", "line.csv", "--target", "y", "--preset", "fast"]
    more = ["--distributed", "--ranks", "2,4", "--latency", "5us", "--log", "json"]
    events = [json.loads(row) for row in run_program(2, command + more, tmp_path).splitlines()]
    (plan,) = [event for event in events if event["event"] == "plan"]
    assert plan["network"] == pytest.approx({"latency": 5e-6, "bandwidth": 1.25e9})
    assert plan["sources"] == {"shared": "measured", "network": "given, else assumed"}
    assert [each["ranks"] for each in plan["entries"]] == [1, 2, 4]
