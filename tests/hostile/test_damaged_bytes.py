"""Files that chance damages: any of them is used, or refused with a code and one line."""

import gzip

import pytest

from damage import BAD_DATA, CSV, DONE, FORMATS, TINY, USAGE, Bench, model_content
from damage_bytes import damaged

OPTIONS = b"""# a job
target = "y"
epochs = 1
hidden = 2
threads = 1
drop = ["city"]

[train]
learning_rate = 1e-2
"""
SEEDS = 42


@pytest.fixture
def bench(tmp_path, capfd, monkeypatch):
    return Bench(tmp_path, capfd, monkeypatch)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "ndjson", "parquet", "arrow", "npz"])
def test_a_table_that_chance_damages_is_used_or_refused(bench, suffix, seed):
    good = gzip.compress(CSV, mtime=0) if suffix == "csv.gz" else FORMATS[suffix]
    name = f"bad.{suffix}"
    bench.put(name, damaged(good, seed))
    bench.put("m.safetensors", model_content())
    arguments, output = [
        (["train", name, "--target", "y", *TINY], "out.safetensors"),
        (["predict", "m.safetensors", name], "out.csv"),
        (["evaluate", "m.safetensors", name], None),
    ][seed % 3]
    outcome = bench.judge(*arguments, output=output, codes=(DONE, BAD_DATA))
    if outcome.code == BAD_DATA:
        assert name in outcome.complaint


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_model_that_chance_damages_is_refused(bench, seed):
    content = damaged(model_content(), seed)
    bench.put("bad.safetensors", content)
    bench.put("good.csv", CSV)
    arguments, output = [
        (["predict", "bad.safetensors", "good.csv"], "out.csv"),
        (["info", "bad.safetensors"], None),
        (["report", "bad.safetensors"], "out.html"),
    ][seed % 3]
    # what is done may leave all as it was
    code = DONE if content == model_content() else BAD_DATA
    words = () if code == DONE else ("bad.safetensors",)
    bench.judge(*arguments, output=output, codes=(code,), words=words)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_file_of_options_that_chance_damages_is_used_or_refused(bench, seed):
    bench.put("bad.toml", damaged(OPTIONS, seed))
    bench.put("good.csv", CSV)
    arguments = ["train", "good.csv", "--config", "bad.toml", *TINY]
    bench.judge(*arguments, output="out.safetensors", codes=(DONE, USAGE, BAD_DATA))
