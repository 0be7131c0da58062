"""Bad arguments: an error that names the argument, its value and what to pass; nothing changed."""

import re

import numpy as np
import pytest

from fastbp import Network, model_file

rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(20, 4)), np.arange(20) % 3
REALS, POSITIVE = rng.normal(size=(20, 2)), rng.uniform(0.5, 2, size=(20, 2))
ONE_HOT = np.eye(3)[LABELS]


def having(array, place, value):
    """Return a copy of `array` with `value` at `place`."""
    array = np.array(array, np.result_type(array, np.asarray(value).dtype))
    array[place] = value
    return array


def state(net, folder):
    """Return everything a model file holds of a net: parameters, moments, steps and epochs."""
    net.save(folder / "state.safetensors")
    model = model_file.load(folder / "state.safetensors")
    return model.params.tobytes(), model.moments.tobytes(), model.steps, model.epochs


@pytest.fixture
def trained():
    """Return a function that makes a net with moments, steps and epochs, and its targets."""

    def make(loss="cross_entropy"):
        y = {"cross_entropy": LABELS, "poisson": POSITIVE, "binary_cross_entropy": POSITIVE > 1}
        y = y.get(loss, REALS)
        net = Network([4, 5, 3 if y is LABELS else 2], "tanh", loss)
        net.fit(X, y, epochs=2, batch_size=7)
        return net, y

    return make


def refuses(net, call, words, folder):
    """Assert that `call` raises an error with `words`, the first a name, and changes nothing."""
    before, history = state(net, folder), net.history
    with pytest.raises((ValueError, TypeError)) as raised:
        call()
    message = str(raised.value)
    assert re.search(rf"\b{re.escape(words[0])}", message), f"{words[0]} is not in: {message}"
    for word in words[1:]:
        assert word in message, f"{word!r} is not in: {message}"
    # and it says what is right
    assert re.search(r"expect|must match|the network has|callable", message), message
    assert state(net, folder) == before
    assert net.history is history


BAD_X = {
    "one dimension": (X[:, 0], ["X", "(20,)", "2 dimensions"]),
    "three dimensions": (X[None], ["X", "(1, 20, 4)", "2 dimensions"]),
    "a number": (3.0, ["X", "()", "2 dimensions"]),
    "no column": (X[:, :0], ["X", "(20, 0)"]),
    "no row": (X[:0], ["X", "(0, 4)"]),
    "too few columns": (X[:, :3], ["X", "3 columns", "4 inputs"]),
    "NaN": (having(X, (2, 1), np.nan), ["X[2, 1]", "nan", "finite"]),
    "infinity": (having(X, (19, 3), -np.inf), ["X[19, 3]", "-inf", "finite"]),
    "too large for float32": (having(X, (5, 0), 1e200), ["X[5, 0]", "float32", "finite"]),
    "objects": (X.astype(object), ["X", "object", "real numbers"]),
    "complex": (X * 1j, ["X", "complex128", "real numbers"]),
    "text": (X.astype(str), ["X", "<U", "real numbers"]),
    "dates": (X.astype("M8[s]"), ["X", "datetime64", "real numbers"]),
    "nothing": (None, ["X", "object", "real numbers"]),
    "rows of different length": ([[1.0, 2.0], [3.0]], ["X"]),
}


@pytest.mark.parametrize("name", BAD_X)
def test_bad_x_is_refused_by_every_method(trained, tmp_path, name):
    net, y = trained()
    bad, words = BAD_X[name]
    refuses(net, lambda: net.forward(bad), words, tmp_path)
    refuses(net, lambda: net.predict(bad), words, tmp_path)
    for call in (net.fit, net.backward, net.evaluate):
        refuses(net, lambda call=call: call(bad, y), words, tmp_path)


BAD_Y = {
    "fewer rows": ("cross_entropy", LABELS[:19], ["y ", "19 rows", "20"]),
    "no row": ("cross_entropy", LABELS[:0], ["y ", "(0,)"]),
    "a label too large": ("cross_entropy", LABELS + 1, ["y ", "label 3", "0 to 2"]),
    "a negative label": ("cross_entropy", LABELS - 1, ["y ", "label -1", "0 to 2"]),
    "half a label": ("cross_entropy", having(LABELS, 4, 0.5), ["y ", "0.5", "whole"]),
    "a label that is NaN": ("cross_entropy", having(LABELS, 4, np.nan), ["y ", "nan"]),
    "a label that is infinite": ("cross_entropy", having(LABELS, 4, np.inf), ["y ", "inf"]),
    "labels as text": ("cross_entropy", LABELS.astype(str), ["y ", "<U", "integer"]),
    "labels as objects": ("cross_entropy", LABELS.astype(object), ["y ", "object", "integer"]),
    "complex labels": ("cross_entropy", LABELS * 1j, ["y ", "complex128", "integer"]),
    "labels in a column": ("cross_entropy", LABELS[:, None], ["y ", "1 columns", "3 outputs"]),
    "three dimensions": ("cross_entropy", ONE_HOT[None], ["y ", "(1, 20, 3)", "2 dimensions"]),
    "no probability": ("cross_entropy", ONE_HOT * 2, ["y ", "2.0", "0 to 1"]),
    "not adding up": ("cross_entropy", having(ONE_HOT, (6, 0), 0.5), ["y[6]", "add up to 1"]),
    "a negative count": ("poisson", having(POSITIVE, (1, 1), -3.0), ["y ", "-3", "at least 0"]),
    "no bit": ("binary_cross_entropy", POSITIVE, ["y ", str(POSITIVE.max())[:4], "0 to 1"]),
    "one column of two": ("squared_error", REALS[:, 0], ["y ", "(20,)", "2 dimensions"]),
    "too many columns": ("squared_error", ONE_HOT, ["y ", "3 columns", "2 outputs"]),
    "NaN": ("squared_error", having(REALS, (3, 1), np.nan), ["y[3, 1]", "nan", "finite"]),
    "infinity": ("huber", having(REALS, (3, 1), np.inf), ["y[3, 1]", "inf", "finite"]),
    "complex": ("squared_error", REALS * 1j, ["y ", "complex128", "real numbers"]),
    "objects": ("squared_error", REALS.astype(object), ["y ", "object", "real numbers"]),
    "nothing": ("squared_error", None, ["y", "expected"]),
    "rows of different length": ("squared_error", [[1.0, 2.0], [3.0]], ["y "]),
}


@pytest.mark.parametrize("name", BAD_Y)
def test_bad_y_is_refused_by_every_method(trained, tmp_path, name):
    loss, bad, words = BAD_Y[name]
    net, _ = trained(loss)
    for call in (net.fit, net.backward, net.evaluate):
        refuses(net, lambda call=call: call(X, bad), words, tmp_path)


BAD_WEIGHTS = {
    "fewer rows": (np.ones(19), ["sample_weight", "19 rows", "20"]),
    "two dimensions": (np.ones((20, 1)), ["sample_weight", "(20, 1)", "one weight per sample"]),
    "negative": (having(np.ones(20), 3, -2.0), ["sample_weight", "-2", "at least 0"]),
    "all zero": (np.zeros(20), ["sample_weight", "0.0", "not all 0"]),
    "NaN": (having(np.ones(20), 3, np.nan), ["sample_weight[3]", "nan", "finite"]),
    "text": (["a"] * 20, ["sample_weight", "<U", "real numbers"]),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_bad_weights_are_refused_by_every_method(trained, tmp_path, name):
    bad, words = BAD_WEIGHTS[name]
    net, y = trained()
    for call in (net.fit, net.backward, net.evaluate):
        refuses(net, lambda call=call: call(X, y, sample_weight=bad), words, tmp_path)


BAD_VALIDATION = {
    "four parts": ((X, LABELS, np.ones(20), LABELS), ["tuple"]),
    "weights that do not match": ((X, LABELS, np.ones(5)), ["5 rows", "20"]),
    "a weight below 0": ((X, LABELS, -np.ones(20)), ["weights of at least 0"]),
    "an array": (X, ["tuple"]),
    "rows that do not match": ((X, LABELS[:5]), ["5 rows", "20"]),
    "NaN": ((having(X, (2, 1), np.nan), LABELS), ["[2, 1]", "nan"]),
    "a label too large": ((X, LABELS + 1), ["label 3"]),
    "too few columns": ((X[:, :3], LABELS), ["3 columns", "4 inputs"]),
}


@pytest.mark.parametrize("name", BAD_VALIDATION)
def test_bad_validation_data_is_named_as_such(trained, tmp_path, name):
    bad, words = BAD_VALIDATION[name]
    net, y = trained()
    words = ["validation_data", *words]
    refuses(net, lambda: net.fit(X, y, validation_data=bad), words, tmp_path)


BAD_OPTIONS = [
    *[("epochs", bad) for bad in (0, -1, 2.5, True, "10", None)],
    *[("batch_size", bad) for bad in (0, -1, 2.5, True, "10", None)],
    *[("shuffle", bad) for bad in (1, "yes", None)],
    *[("progress", bad) for bad in (1, "yes", None)],
    *[("early_stopping", bad) for bad in (0, -1, 2.5, "yes")],
    *[("max_time", bad) for bad in (0, -1.0, float("nan"), float("inf"), "soon", True)],
    *[("callbacks", bad) for bad in (5, "print", [5])],
    *[("n_threads", bad) for bad in (0, -1, 2.5, "all", True, None)],
]


@pytest.mark.parametrize(("name", "bad"), BAD_OPTIONS)
def test_a_bad_option_of_fit_is_refused(trained, tmp_path, name, bad):
    net, y = trained()
    value = repr(bad[0]) if isinstance(bad, list) else repr(bad)
    if isinstance(bad, str) and name == "callbacks":
        value = "p"  # the text as a whole, or its first letter as a callback
    refuses(net, lambda: net.fit(X, y, **{name: bad}), [name, value], tmp_path)


def test_update_takes_only_gradients_of_such_a_network(trained, tmp_path):
    net, y = trained()
    grads = Network([4, 6, 3], loss="cross_entropy").backward(X, y)[1]
    as_many = Network([4, 2]).backward(X, X[:, :2])[1], Network([9, 1])
    nan = net.backward(X, y)[1]
    nan.flat[0] = np.nan
    for bad in (grads, grads.flat, None, 3.0, nan):
        refuses(net, lambda bad=bad: net.update(bad), ["grads"], tmp_path)
    refuses(as_many[1], lambda: as_many[1].update(as_many[0]), ["grads"], tmp_path)


def test_a_matrix_in_place_of_the_view_of_the_weights_is_refused(trained):
    # it would change nothing: the parameters are one array that weights and biases show
    net, y = trained()
    grads = net.backward(X, y)[1]
    for views in (net.weights, net.biases, grads.weights, grads.biases):
        with pytest.raises(TypeError):
            views[0] = np.zeros_like(views[0])
    net.weights[0][:] = 0.0
    assert (net.weights[0] == 0).all()


def test_masked_values_are_refused(trained, tmp_path):
    net, y = trained()
    masked = np.ma.masked_less(X, X.mean())
    refuses(net, lambda: net.fit(masked, y), ["X has masked values"], tmp_path)


# ---------------------------------------------------------------- other forms of good input


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    odd = raw[1:].view(array.dtype).reshape(array.shape)
    odd[:] = array
    return odd


# numbers that every form holds exactly
BITS = (rng.random(size=(20, 4)) < 0.5).astype(np.float64)
FORMS = {
    "not contiguous": lambda a: (
        np.repeat(np.repeat(a, 2, 0), 2, a.ndim - 1)[::2, ..., ::2]
        if a.ndim == 2
        else np.repeat(a, 2)[::2]
    ),
    "rows backwards": lambda a: a[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "read-only": read_only,
    "read-only Fortran": lambda a: read_only(np.asfortranarray(a)),
    "unaligned": unaligned,
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "float16": lambda a: a.astype(np.float16),
    "float64": lambda a: a.astype(np.float64),
    "long double": lambda a: a.astype(np.longdouble),
    "int8": lambda a: a.astype(np.int8),
    "uint64": lambda a: a.astype(np.uint64),
    "lists": lambda a: a.tolist(),
}


def results(X, y, weight):
    """Return all that a network makes of the data."""
    loss = "squared_error" if np.ndim(y) == 2 else "cross_entropy"
    net = Network([4, 5, 3], loss=loss)
    net.fit(X, y, epochs=2, batch_size=7, sample_weight=weight, validation_data=(X, y))
    value, grads = net.backward(X, y, weight)
    return [net.parameters, grads.flat, value, net.forward(X), net.evaluate(X, y)["loss"]]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("y", [LABELS, BITS[:, :3]], ids=["labels", "reals"])
def test_every_form_of_the_same_numbers_gives_the_same_bits_and_is_not_written(name, y):
    plain = (BITS, y, LABELS + 1.0)
    given = [FORMS[name](np.asarray(array)) for array in plain]
    before = [np.array(array, copy=True) for array in given]
    for found, expected in zip(results(*given), results(*plain), strict=True):
        np.testing.assert_array_equal(found, expected)
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(np.asarray(array), copy)


def test_booleans_and_a_read_only_memory_map_are_accepted(tmp_path):
    expected = results(BITS, LABELS, None)
    np.save(tmp_path / "X.npy", BITS.astype(np.float32))
    for form in (BITS.astype(bool), np.load(tmp_path / "X.npy", mmap_mode="r")):
        for found, value in zip(results(form, LABELS, None), expected, strict=True):
            np.testing.assert_array_equal(found, value)
