"""Options that do not fit, and files of options that are wrong."""

import pytest

from damage import BAD_DATA, CSV, DONE, FAILED, FORMATS, GOOD, TRAIN, USAGE, bench

__all__ = ["bench"]  # a fixture


OPTIONS = {
    "no target": (["--target", ""], "--target"),
    "numbers that are text": (["--numeric", "city"], "--missing"),
    "a number unknown": (["--numeric", "name"], "name"),
    "a category as a number": (["--categorical", "age", "--numeric", "age"], "'age'"),
    "a time beyond all": (["--max-time", "9" * 400], "duration"),
    "a size beyond all": (["--memory", "9" * 400], "size"),
    "an activation of outputs": (["--activation", "softmax"], "softmax"),
    "a target unknown": (["--target", "income"], "income"),
    "a target nearly known": (["--target", "agee"], "did you mean 'age'"),
    "an id unknown": (["--id", "name"], "name"),
    "a column to drop unknown": (["--drop", "name"], "name"),
    "a category unknown": (["--categorical", "name"], "name"),
    "the target as an id": (["--id", "y"], "'y'"),
    "the target to drop": (["--drop", "y"], "'y'"),
    "one column in two roles": (["--drop", "age", "--categorical", "age"], "'age'"),
    "a column dropped twice": (["--drop", "age", "--drop", "age"], "'age'"),
    "all columns dropped": ([f"--drop={name}" for name in GOOD.columns[:-1]], "column"),
    "a regression of text": (["--task", "regression"], "regression"),
    "a loss of regression": (["--loss", "huber"], "huber"),
    "a loss unknown": (["--loss", "hinge"], "hinge"),
    "a task unknown": (["--task", "ranking"], "ranking"),
    "an activation unknown": (["--activation", "relux"], "relux"),
    "an optimizer unknown": (["--optimizer", "adamx"], "adamx"),
    "a schedule unknown": (["--schedule", "step"], "step"),
    "a dtype unknown": (["--dtype", "float16"], "float16"),
    "weights unknown": (["--class-weight", "uniform"], "uniform"),
    "targets that differ": (["--target", "y", "--target", "age"], "'age' (numbers)"),
    "layers that are text": (["--hidden", "wide"], "wide"),
    "a layer of 0": (["--hidden", "8,0"], "8,0"),
    "layers beyond memory": (["--hidden", "9999999,9999999"], "9999999"),
    "a rate that is text": (["--learning-rate", "fast"], "fast"),
    "a rate that is NaN": (["--learning-rate", "nan"], "--learning-rate"),
    "a rate that is infinite": (["--learning-rate", "inf"], "inf"),
    "a rate below 0": (["--learning-rate", "-1"], "--learning-rate"),
    "a dropout of 1": (["--dropout", "1"], "--dropout"),
    "a norm of 0": (["--clip-norm", "0"], "clip"),
    "a norm that is NaN": (["--clip-norm", "nan"], "nan"),
    "l2 that is NaN": (["--l2", "nan"], "--l2"),
    "no epochs": (["--epochs", "0"], "epochs"),
    "a batch of 0": (["--batch-size", "0"], "batch-size"),
    "a share of 1": (["--valid-share", "1"], "valid-share"),
    "a share beside rows": (["--valid-share", "0.3", "--valid", "good.csv"], "--valid-share 0.3"),
    "a share that is NaN": (["--valid-share", "nan"], "valid"),
    "a seed below 0": (["--seed", "-1"], "seed"),
    "a seed too large": (["--seed", str(2**64)], "seed"),
    "a duration of no unit known": (["--max-time", "5 parsecs"], "parsecs"),
    "a duration below 0": (["--max-time", "-5s"], "-5s"),
    "a size of 0": (["--memory", "0"], "0"),
    "threads that are text": (["--threads", "many"], "many"),
    "an option unknown": (["--layers", "3"], "--layers"),
    "an argument more": (["more.csv"], "more.csv"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_does_not_fit_is_named(bench, name):
    options, word = OPTIONS[name]
    codes = (FAILED, USAGE, BAD_DATA)
    # one target is taken: that of the options, if they have one
    base = TRAIN if "--target" not in options else [*TRAIN[:2], *TRAIN[4:]]
    bench.judge(*base, *options, output="out.safetensors", codes=codes, words=(word,))


@pytest.mark.parametrize("keep", ["name", "idd", "", "prediction"])
def test_a_column_to_keep_that_is_not_there_is_named(bench, keep):
    arguments = ["predict", "m.safetensors", "good.csv", "--keep", keep]
    bench.judge(*arguments, output="out.csv", codes=(BAD_DATA,), words=("good.csv", f"'{keep}'"))


CONFIGS = {
    "a bracket that is open": (b"[train", "bad.toml: not TOML"),
    "a value missing": (b"target = ", "bad.toml: not TOML"),
    "no quotes": (b"target = y", "line 1"),
    "a key twice": (b'target = "y"\ntarget = "y"', "bad.toml: not TOML"),
    "a key in two spellings": (b"batch_size = 8\nbatch-size = 8", "batch"),
    "JSON": (b'{"target": "y"}', "line 1"),
    "YAML": (b"target: y\n", "line 1"),
    "a CSV": (CSV, "line 1"),
    "a Parquet file": (FORMATS["parquet"], "bad.toml"),
    "zeros": (bytes(100), "bad.toml"),
    "UTF-16": ('target = "y"'.encode("utf-16"), "line 1"),
    "Latin-1": ('target = "\xe4"'.encode("latin-1"), "line 1"),
    "2 MB": (b"# " + b"x" * 2_000_000, "1 MiB"),
    "a deep array": (b"hidden = " + b"[" * 100_000, "bad.toml"),
    "deep tables": (b"[" + b".".join([b"a"] * 5000) + b"]", "bad.toml"),
    "an option unknown": (b"epoch = 5", "did you mean epochs"),
    "an option of another command": (b'[train]\nkeep = ["id"]', "keep"),
    "a command unknown": (b"[trian]\nepochs = 5", "trian"),
    "text for a number": (b'epochs = "many"', "epochs"),
    "a number with a fraction": (b"epochs = 1.5", "epochs"),
    "a flag for a number": (b"epochs = true", "epochs"),
    "a number for a flag": (b"resume = 1", "resume"),
    "a date": (b"target = 2020-01-01", "target"),
    "an array for one": (b"seed = [1]", "seed"),
    "an array of arrays": (b"drop = [[1]]", "drop"),
    "a table for one": (b'target = {name = "y"}', "target"),
    "NaN": (b"learning_rate = nan", "learning_rate"),
    "an epoch too few": (b"epochs = 0", "epochs"),
    "a number too large": (b"seed = " + b"9" * 400, "seed"),
    "itself": (b'config = "bad.toml"', "config"),
    "a column unknown": (b'drop = ["name"]', "name"),
    "NUL in a path": (b'valid = "a\\u0000b.csv"', "a"),
    "NUL in a folder": (b'checkpoint = "a\\u0000b"', "NUL"),
    "NUL in an output": (b'output = "a\\u0000b"', "NUL"),
    "nothing": (b"", None),
    "a mark of UTF-8": (b'\xef\xbb\xbftarget = "y"', "bad.toml"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_file_of_options_that_is_wrong_is_named(bench, name):
    content, word = CONFIGS[name]
    bench.put("bad.toml", content)
    codes = (DONE,) if word is None else (USAGE, BAD_DATA)
    arguments = ["train", "good.csv", "--config", "bad.toml"]
    if name != "text for a number":
        # the command line wins, and a value that is not used is checked all the same
        arguments += ["--target", "y", "--hidden", "2"]
    if word is None:
        arguments += ["--epochs", "1"]
    words = () if word is None else (word,)
    bench.judge(*arguments, output="out.safetensors", codes=codes, words=words)
