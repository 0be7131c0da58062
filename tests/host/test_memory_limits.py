"""Under a limit of memory, a table is trained on within it, or refused before the work."""

import sys

import numpy as np
import polars as pl
import pytest

if sys.platform != "linux":
    pytest.skip("limits of memory are tested on Linux", allow_module_level=True)

from limits import control_group, fastbp, run

pytestmark = pytest.mark.slow
ROWS = 400_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of tables, and of what is made of them; kernels are compiled before."""
    folder = tmp_path_factory.mktemp("limits")
    draw = np.random.default_rng(0)
    columns = {f"x{n}": draw.standard_normal(ROWS).round(6) for n in range(20)}
    frame = pl.DataFrame(columns | {"y": draw.choice(["a", "b", "c"], ROWS)})
    frame.write_csv(folder / "long.csv")
    frame[:2000].write_csv(folder / "few.csv")
    x = draw.standard_normal(4 * 10**6).round(2)
    pl.DataFrame({"x": x, "y": np.where(x > 0, "a", "b")}).write_csv(folder / "narrow.csv")
    wide = draw.standard_normal((3700, 2000)).round(3)
    pl.DataFrame({f"x{n}": column for n, column in enumerate(wide.T)}).with_columns(
        y=pl.lit(0.5) + pl.col("x0")
    ).write_csv(folder / "wide.csv")
    for table, more in (("few.csv", ()), ("few.csv", ("--memory", "40KB"))):
        done = run(_train(folder, table, *more))
        assert done.returncode == 0, done.stderr
    assert (folder / "long.csv").stat().st_size > 70e6
    return folder


def _train(folder, table, *more):
    options = (
        "--target",
        "y",
        "-o",
        folder / "m.safetensors",
        "--preset",
        "fast",
        "--max-time",
        "1",
    )
    return fastbp("train", folder / table, *options, *more)


def test_a_csv_of_72_mb_is_trained_on_and_predicted_within_300_mb(folder):
    with control_group(300) as group:
        done = run(_train(folder, "long.csv"), group)
        assert done.returncode == 0, done.stderr
        scored = folder / "scored.csv"
        done = run(
            fastbp("predict", folder / "m.safetensors", folder / "long.csv", "-o", scored), group
        )
        assert done.returncode == 0, done.stderr
    assert pl.scan_csv(scored).select(pl.len()).collect().item() == ROWS


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_file_of_one_group_of_168_mb_is_trained_on_within_250_mb(folder, suffix):
    rows = 10**6
    draw, path = np.random.default_rng(0), folder / f"group{suffix}"
    columns = {f"x{n}": draw.standard_normal(rows) for n in range(20)}
    frame = pl.DataFrame(columns | {"y": draw.choice(["a", "b", "c"], rows)})
    if suffix == ".arrow":
        frame.write_ipc(path)
    else:
        frame.write_parquet(path, compression="uncompressed", row_group_size=rows)
    with control_group(250) as group:
        done = run(_train(folder, path.name), group)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("table", "megabytes", "what"),
    [("narrow.csv", 200, r"splitting 4,000,000 rows"), ("wide.csv", 200, r"reading .*wide\.csv")],
)
def test_what_does_not_fit_into_a_control_group_is_refused(folder, table, megabytes, what):
    with control_group(megabytes) as group:
        done = run(_train(folder, table), group)
    assert done.returncode == 1, (done.returncode, done.stderr)
    message = done.stderr.splitlines()[-1]
    assert message.startswith("fastbp: not enough memory: "), done.stderr
    assert "its control group, 200 MiB in all, leaves " in message


def test_a_small_table_needs_a_hundred_mb(folder):
    with control_group(128) as group:
        done = run(_train(folder, "few.csv"), group)
    assert done.returncode == 0, done.stderr


def test_a_csv_of_72_mb_is_trained_on_under_ulimit_v_of_a_gigabyte(folder):
    done = run(_train(folder, "long.csv"), addresses=1024)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("addresses", [600, 700])
def test_too_few_addresses_for_a_table_are_said_before_the_work(folder, addresses):
    done = run(_train(folder, "few.csv"), addresses=addresses)
    assert done.returncode == 1, (done.returncode, done.stderr)
    message = done.stderr.splitlines()[-1]
    assert message.startswith("fastbp: not enough memory: a table needs about 320 MiB of addresses")
    assert f"`ulimit -v`, {addresses} MiB in all, leaves " in message


def test_a_network_is_trained_within_a_hundred_mb(folder):
    code = """
import numpy as np
from fastbp import Network
net = Network([64, 100, 10], seed=0)
X, y = np.zeros((1000, 64), "float32"), np.zeros((1000, 10), "float32")
net.fit(X, y, epochs=2)
print(net.predict(X).shape)
"""
    command = [sys.executable, "-c", code]
    assert run(command).returncode == 0  # compiles
    with control_group(100) as group:
        done = run(command, group)
    assert (done.returncode, done.stdout) == (0, "(1000, 10)\n"), done.stderr
