"""The README files are true: their examples run, their files, options and extras exist."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

import fastbp
import mpi_ranks

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    "README.md",
    "kernels/README.md",
    "benchmarks/README.md",
    "fastbp/estimators/README.md",
    "fastbp/tables/README.md",
)
if not (ROOT / "README.md").is_file():
    pytest.skip("README.md is not beside the tests", allow_module_level=True)

TEXTS = {file: (ROOT / file).read_text(encoding="utf-8") for file in FILES}
MOST_BYTES = 10_000
CAPTURED = {"capture_output": True, "text": True}
every_file = pytest.mark.parametrize("file", FILES)


def blocks_of(file):
    """Return (language, place, code) of each fenced block.

    The place is the file that the code belongs to; code without one is an example to run.
    """
    fence = r"^```(\w+) *(\S*)\n(.*?)^```$"
    return re.findall(fence, TEXTS[file], re.MULTILINE | re.DOTALL)


def examples(file, languages):
    """Return (language, code) of the examples in some languages, in order."""
    blocks = blocks_of(file)
    return [(kind, code) for kind, place, code in blocks if kind in languages and not place]


def run_examples(file, folder, languages):
    """Run the examples of a file in a folder, in order; return the names of the Python code."""
    names = {}
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for language, code in examples(file, languages):
            if language == "python":
                exec(compile(code, file, "exec"), names)
                continue
            command = ["bash", "-euo", "pipefail", "-c", code]
            environment = {**os.environ, **mpi_ranks.ENV, "PATH": programs}
            done = subprocess.run(command, env=environment, timeout=300, **CAPTURED)
            assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return names


@pytest.fixture(scope="module")
def after_running(tmp_path_factory):
    """Return ``after_running(file)``: names and folder after its examples ran in order, once."""
    ran = {}

    def run(file):
        if file not in ran:
            folder = tmp_path_factory.mktemp("readme")
            languages = ["python", "sh"] if shutil.which("bash") else ["python"]
            ran[file] = run_examples(file, folder, languages), folder
        return ran[file]

    return run


# ------------------------------------------------------------------ all files


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= MOST_BYTES


@every_file
def test_every_block_is_an_example_or_belongs_to_a_file(file):
    for language, place, _ in blocks_of(file):
        assert language in ("python", "sh")
        assert not place or (ROOT / place).is_file()
    assert TEXTS[file].count("```") == 2 * len(blocks_of(file))


@every_file
def test_the_examples_run_in_order(file, after_running):
    names, folder = after_running(file)
    assert bool(names) == bool(examples(file, ["python"]))
    if shutil.which("bash") is not None:
        code = "\n".join(code for _, code in examples(file, ["sh"]))
        for name in re.findall(r"-o ([\w./]+)", code):
            assert (folder / name).stat().st_size > 0


@every_file
def test_the_links_lead_to_files(file):
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", TEXTS[file])
    assert links
    assert [link for link in links if not ((ROOT / file).parent / link).is_file()] == []


@every_file
def test_the_files_named_exist(file):
    text = re.sub(r"\[[^]]*\]\([^)]*\)", "", TEXTS[file])  # links have a test of their own
    named = re.findall(r"(?<![\w./])((?:\w+/)+\w+\.(?:py|md)|\.ci/run)\b", text)
    assert [name for name in named if not (ROOT / name).is_file()] == []


@every_file
def test_every_readme_is_reachable_from_the_first(file):
    assert file == "README.md" or f"]({file})" in TEXTS["README.md"]


@every_file
def test_the_extras_named_exist(file):
    lists = re.findall(r'pip install (?:-e )?"\.\[([\w,]+)\]"', TEXTS[file])
    extras = {extra for names in lists for extra in names.split(",")}
    assert extras <= set(metadata("fastbp").get_all("Provides-Extra"))


@pytest.mark.parametrize("file", ["README.md", "kernels/README.md", "fastbp/tables/README.md"])
def test_the_options_named_exist(file):
    import typer

    from fastbp.commands.app import app

    commands = typer.main.get_command(app).commands.values()
    params = [param for command in commands for param in command.params]
    known = {option for param in params for option in (*param.opts, *param.secondary_opts)}
    inline = re.findall(r"`(?:fastbp [^`]*)?(--[\w-]+)[^`]*`", TEXTS[file])
    shell = " ".join(code for _, code in examples(file, ["sh"]))
    named = {*inline, *re.findall(r" (--[\w-]+)", shell)}
    assert named
    assert named <= known | {"--help"}


@every_file
def test_the_commands_and_public_names_exist(file):
    import typer

    from fastbp.commands.app import app

    named = re.findall(r"(?:`|&& )fastbp ([a-z]+)", TEXTS[file])
    assert set(named) <= set(typer.main.get_command(app).commands)
    public = re.findall(r"`fastbp\.([A-Za-z]\w*)", TEXTS[file])
    assert [name for name in public if not hasattr(fastbp, name)] == []


@pytest.mark.parametrize("command", ["fastbp train digits", "python -m pytest"])
def test_the_two_commands_stand_in_the_readme(command):
    (line,) = [line for line in TEXTS["README.md"].splitlines() if f"&& {command}" in line]
    assert re.search(r'python -m pip install "\.\[\w+\]" && ', line)


# ------------------------------------------------------------------ README.md


def test_the_first_example_has_ten_lines():
    (_, code), *_ = examples("README.md", ["python"])
    assert len(code.splitlines()) <= 10


def test_the_first_example_reaches_the_accuracy_of_the_text(after_running):
    names, _ = after_running("README.md")
    promised = re.search(r"accuracy is ([\d.]+) or better", TEXTS["README.md"])
    assert names["accuracy"] >= float(promised[1]) >= 0.95
    assert len(names["history"]) == 40
    assert "of peak" in repr(names["history"])
    assert "completed all epochs" in repr(names["history"])


def test_the_passes_give_what_the_comments_say(after_running):
    names, folder = after_running("README.md")
    np, net, same = names["np"], names["net"], names["same"]
    assert names["outputs"].shape == (len(names["X_test"]), 10)
    assert np.allclose(names["outputs"].sum(axis=1), 1, atol=1e-5)
    assert [g.shape for g in names["grads"].weights] == [w.shape for w in net.weights]
    assert [g.shape for g in names["grads"].biases] == [b.shape for b in net.biases]
    assert (folder / "digits.safetensors").is_file()
    assert same.parameters.tobytes() == net.parameters.tobytes()


def test_the_long_form_learns(after_running):
    names, _ = after_running("README.md")
    assert names["deep"].evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.9


def test_exports_compute_what_the_network_does(after_running):
    names, folder = after_running("README.md")
    np, net, X = names["np"], names["net"], names["X_test"].astype("float32")
    expected = net.forward(X)
    assert np.allclose(names["mean"], expected[:, 0].mean(), atol=1e-5)
    assert np.allclose(names["theirs"].predict_proba(X), expected, atol=1e-6)
    assert np.allclose(names["ours"].forward(X), expected, atol=1e-6)
    module = {}
    exec((folder / "net.py").read_text(), module)
    assert np.allclose(module["predict"](X), expected, atol=1e-6)
    assert "void net_predict(const float *x, float *out)" in (folder / "net.c").read_text()
    assert names["tensors"]["0.weight"].shape == (100, 64)


# ------------------------------------------------------------------ tables


@pytest.mark.parametrize("file", ["README.md", "fastbp/tables/README.md"])
def test_a_table_is_learned_saved_and_scored(file, after_running):
    names, _ = after_running(file)
    classes = [f"probability of {name}" for name in ("no", "yes")]
    assert names["scored"].columns == ["row", "prediction", *classes]
    assert len(names["scored"]) == 400
    assert names["scores"]["accuracy"] > 0.95  # age and city determine the target
    assert len(names["model"].history["loss"]) <= 30


def test_an_ensemble_predicts_with_its_spread_and_out_of_fold(after_running):
    names, _ = after_running("fastbp/tables/README.md")
    assert names["surer"].columns == [*names["scored"].columns, "spread"]
    held, people = names["held"], names["people"]
    assert (held["prediction"] == people["rich"]).mean() > 0.95
    assert sorted(held["fold"].unique()) == [1, 2, 3, 4, 5] and len(names["networks"]) == 5


def test_the_display_has_axes(after_running):
    names, _ = after_running("fastbp/tables/README.md")
    assert len(names["display"].figure_.axes) >= 1


def test_a_source_is_trained_on_with_checkpoints(after_running):
    names, folder = after_running("fastbp/tables/README.md")
    history = names["streamed"]
    assert len(history) == 5
    assert history["loss"][-1] < history["loss"][0]
    assert 1 <= len(list((folder / "checkpoints").iterdir())) <= 2


def test_every_exit_code_is_documented():
    from fastbp.commands.codes import Code

    table = re.findall(r"^\| (\d+) \| (.*) \|$", TEXTS["fastbp/tables/README.md"], re.MULTILINE)
    found = {int(number): words.replace("`", "") for number, words in table}
    assert found == {int(code): code.meaning for code in Code}


@pytest.mark.slow
def test_an_epoch_is_logged_as_the_example_shows(tmp_path):
    (line,) = re.findall(r'^    {"event": "epoch", .*}$', TEXTS["fastbp/tables/README.md"], re.M)
    shown = re.findall(r'"(\w+)":', line)
    command = [sys.executable, "-m", "fastbp", "train", "diabetes", "--epochs=1", "--log=json"]
    done = subprocess.run(command, cwd=tmp_path, check=True, **CAPTURED)
    events = map(json.loads, done.stdout.splitlines())
    epoch = next(event for event in events if event["event"] == "epoch")
    assert list(epoch)[: len(shown)] == shown


# ------------------------------------------------------------------ estimators


@pytest.mark.parametrize("file", ["README.md", "fastbp/estimators/README.md"])
def test_the_estimators_learn(file, after_running):
    names, _ = after_running(file)
    assert names["score"] > 0.9
    assert names["clf"].score(names["X_test"], names["y_test"]) > 0.9


def test_the_extras_of_the_estimators_give_what_the_comments_say(after_running):
    names, _ = after_running("fastbp/estimators/README.md")
    clf, X_test = names["clf"], names["X_test"]
    assert len(clf.validation_loss_curve_) == clf.n_iter_
    assert names["slopes"].shape == (len(X_test), 10, 64)
    assert isinstance(names["network"], fastbp.Network)
    assert names["ensemble"].score(X_test, names["y_test"]) == names["score"]
    assert names["spread"].shape == (len(X_test), 10)
    assert names["honest"] > 0.9
    places = {(job, fold) for job, fold, _ in names["folds"]}
    assert places == {(job, fold) for job in (0, 1) for fold in (0, 1, 2)}
    assert min(*(score for *_, score in names["folds"]), *names["crossed"]) > 0.5


# ------------------------------------------------------------------ kernels


def test_the_kernel_gives_the_product(after_running):
    names, _ = after_running("kernels/README.md")
    assert names["np"].allclose(names["Z"], names["A"] @ names["W"], atol=1e-3)


def test_every_public_kernel_is_in_the_table():
    rows = "".join(line for line in TEXTS["kernels/README.md"].splitlines() if line[:1] == "|")
    assert set(fastbp.kernels.__all__) - {"measure_peak"} <= set(re.findall(r"`(\w+)`", rows))


# ------------------------------------------------------------------ figures


def table_between(file, mark):
    """Return the rows of the table between two marks, as dicts by the head's cells."""
    (text,) = re.findall(f"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", TEXTS[file], re.DOTALL)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return head, rows


def test_the_table_of_speed_is_that_of_the_benchmarks():
    head, rows = table_between("benchmarks/README.md", "peers")
    full = {(row[0], row[1]): dict(zip(head, row, strict=True)) for row in rows}
    peers = head[3:-2]
    head, rows = table_between("README.md", "speed")
    assert {row[0] for row in rows} == {name for name, _ in full}
    for name, _, _, *cells in rows:
        for threads, own, best, ratio in (("1", *cells[:3]), ("all", *cells[3:])):
            figures = full[name, threads]
            assert own == figures["fastbp"]
            fastest = min(peers, key=lambda peer: float(figures[peer].replace(",", "")))
            assert best == f"{fastest} {figures[fastest]}"
            assert ratio == figures["times the best peer's speed"]


def test_the_range_of_the_estimators_is_that_of_the_benchmarks():
    head, rows = table_between("benchmarks/README.md", "estimators")
    ratios = [float(row[head.index("ratio")].rstrip("x")) for row in rows]
    said = re.search(r"fits are ([\d.]+) to ([\d.]+) times", " ".join(TEXTS["README.md"].split()))
    assert said.groups() == (f"{min(ratios):.1f}", f"{max(ratios):.1f}")
