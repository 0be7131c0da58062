"""Damaged model files: each command ends with a code and a line, and nothing is executed."""

import zlib

import numpy as np
import pytest

from damage import BAD_DATA, CSV, DONE, Bench, model_content
from damage_models import foreign, net_alone, nonsense, odd_records

FILE = "bad.safetensors"
COMMANDS = {
    "predict": (["predict", FILE, "good.csv"], "out.csv"),
    "evaluate": (["evaluate", FILE, "good.csv"], None),
    "info": (["info", FILE], None),
    "report": (["report", FILE], "out.html"),
    "export": (["export", FILE], "out.onnx"),
}
every_command = pytest.mark.parametrize("command", COMMANDS)
# of what fails alike for all commands, two of them: all five for each take a minute
_NAMES = list(COMMANDS)


def _two_of(name):
    first = zlib.crc32(name.encode()) % len(_NAMES)
    return _NAMES[first], _NAMES[(first + 2) % len(_NAMES)]


def _pairs(names):
    return [(name, command) for name in names for command in _two_of(name)]


@pytest.fixture
def bench(tmp_path, capfd, monkeypatch):
    made = Bench(tmp_path, capfd, monkeypatch)
    made.put("good.csv", CSV)
    return made


def _judge(bench, command, content, **expected):
    bench.put(FILE, content)
    arguments, output = COMMANDS[command]
    return bench.judge(*arguments, output=output, **expected)


@every_command
def test_the_model_as_it_is_can_be_used(bench, command):
    # without this, whatever the other tests write could be refused for another reason
    _judge(bench, command, model_content(), codes=(DONE,))


FOREIGN = foreign()
NONSENSE = nonsense()
ODD = odd_records()


@pytest.mark.parametrize(("name", "command"), _pairs(FOREIGN))
def test_what_is_no_whole_model_file_is_refused(bench, name, command):
    _judge(bench, command, FOREIGN[name], codes=(BAD_DATA,), words=(FILE,))


@pytest.mark.parametrize("seed", range(60))
def test_a_flipped_bit_is_seen(bench, seed):
    content, rng = bytearray(model_content()), np.random.default_rng(seed)
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    command = _NAMES[seed % len(_NAMES)]
    _judge(bench, command, bytes(content), codes=(BAD_DATA,), words=(FILE,))


@pytest.mark.parametrize(("name", "command"), _pairs(NONSENSE))
def test_a_table_that_makes_no_sense_is_refused(bench, name, command):
    _judge(bench, command, NONSENSE[name], codes=(BAD_DATA,), words=(FILE,))


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("command", ["predict", "info", "report"])
def test_an_odd_record_is_refused_or_passed_over(bench, name, command):
    outcome = _judge(bench, command, ODD[name], codes=(DONE, BAD_DATA))
    if outcome.code == BAD_DATA:
        assert FILE in outcome.complaint


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_network_without_a_table_predicts_no_table(bench, tmp_path, command):
    words = (FILE, "without a table")
    _judge(bench, command, net_alone(tmp_path), codes=(BAD_DATA,), words=words)


@pytest.mark.parametrize("command", ["info", "report", "export"])
def test_a_network_without_a_table_can_be_looked_at(bench, tmp_path, command):
    _judge(bench, command, net_alone(tmp_path), codes=(DONE,))
