"""Formulas of the user's own: the numbers of NumPy and of built-in ones, in all that trains."""

import copy
import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone

import fastbp
from fastbp import Dense, Ensemble, MLPClassifier, MLPRegressor, ModelFileError, Network, kernels

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 4))
Y = np.sin(X[:, :1]) + 0.1 * X[:, 1:2]
CLOSE = {"float32": 1e-6, "float64": 1e-12}


def logistic(z):
    return 1 / (1 + math.exp(-z))


def silu(z):
    return z * logistic(z)


def silu_slope(z):
    s = logistic(z)
    return s * (1 + z * (1 - s))


def leaky(z):
    if z > 0:
        return z
    return 0.01 * z


def squared(a, y):
    return 0.5 * (a - y) ** 2


SILU = fastbp.custom_activation("my_silu", silu, initializer="he_uniform")
SQUARED = fastbp.custom_loss("my_squared", squared)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize(
    ("built_in", "function", "slope"),
    [
        ("silu", silu, silu_slope),
        ("silu", silu, None),
        ("tanh", lambda z: math.tanh(z), None),
        ("leaky_relu", leaky, None),
        ("gelu", lambda z: 0.5 * z * (1 + math.erf(z * math.sqrt(0.5))), None),
    ],
)
def test_a_network_trains_as_with_the_built_in_formula(built_in, function, slope, dtype):
    record = fastbp.custom_activation("mine", function, slope, initializer="he_uniform")
    nets = [
        Network([4, 16, 8, 1], name, loss=loss, dtype=dtype, seed=3, initializer="he_uniform")
        for name, loss in ((built_in, "squared_error"), (record, SQUARED))
    ]
    for net in nets:
        net.fit(X, Y, epochs=3, batch_size=32)
    off = abs(nets[0].parameters - nets[1].parameters).max()
    assert off < 30 * CLOSE[dtype]
    assert nets[1].layers[0].activation == "mine"
    assert nets[1].loss == "my_squared"


def test_losses_with_a_partner_and_limited_targets():
    poisson = fastbp.custom_loss(
        "my_poisson",
        lambda a, y: a - y * math.log(a),
        partner="exp",
        needs="positive",
        targets="nonnegative",
    )
    net = Network([4, 6, 2], "tanh", loss=poisson, dtype="float64", seed=1)
    assert net.layers[-1].activation == "exp"
    y = rng.poisson(2.0, (300, 2)).astype(float)
    loss, grads = net.backward(X, y)
    A = net.forward(X)
    assert abs(loss - (A - y * np.log(A)).sum(axis=1).mean()) < 1e-12
    # the canonical pair's delta is a - y
    same = Network([4, 6, 2], "tanh", loss="poisson", dtype="float64", seed=1)
    np.testing.assert_allclose(grads.flat, same.backward(X, y)[1].flat, atol=1e-13)
    with pytest.raises(ValueError, match="y"):
        net.fit(X, -y, epochs=1)


def test_classes_have_predictions_and_accuracy():
    squares = fastbp.custom_loss(
        "brier", lambda a, y: (a - y) ** 2, partner="softmax", needs="unit", targets="classes"
    )
    labels = (X[:, 0] > 0).astype(int)
    net = Network([4, 8, 2], loss=squares, seed=0)
    net.fit(X, labels, epochs=30, batch_size=16)
    assert net.evaluate(X, labels)["accuracy"] > 0.9
    assert set(net.predict(X)) == {0, 1}


def test_bits_do_not_depend_on_the_number_of_threads():
    made = []
    for threads in (1, 2, 3):
        net = Network([4, 300, 16, 1], SILU, loss=SQUARED, seed=1)
        net.fit(X, Y, epochs=2, n_threads=threads)
        made.append(np.append(net.parameters, net.forward(X, n_threads=threads)))
    assert all(np.array_equal(made[0], other) for other in made[1:])


def test_a_row_at_a_time_and_layers_of_the_long_form():
    net = Network(inputs=4, layers=[Dense(8, SILU), Dense(2, SILU)], loss=SQUARED, seed=1)
    out = np.zeros(2, "float32")
    kernels.forward_row(net.row_state(), X[5].astype("float32"), out)
    np.testing.assert_array_equal(out, net.forward(X[5:6])[0])
    assert net.layers[0].initializer == "he_uniform"


# ------------------------------------------------------------------ files and copies


@pytest.fixture(scope="module")
def net():
    net = Network([4, 8, 1], SILU, loss=SQUARED, seed=1)
    net.fit(X, Y, epochs=1)
    return net


def test_a_file_asks_for_the_formulas_that_it_names(net, tmp_path):
    path = tmp_path / "net.safetensors"
    net.save(path)
    loaded = Network.load(path, custom=[SQUARED, SILU])
    for each in (net, loaded):
        each.fit(X, Y, epochs=1)
    np.testing.assert_array_equal(loaded.parameters, net.parameters)
    for given, missing in [([], r"\['my_silu', 'my_squared'\]"), ([SILU], r"\['my_squared'\]")]:
        with pytest.raises(ModelFileError, match=f"{missing}: give them.*custom="):
            Network.load(path, custom=given)
    with pytest.raises(TypeError, match="expected a list of formulas"):
        Network.load(path, custom=SILU)
    with pytest.raises(TypeError, match=r"custom\[1\]='relu'"):
        Network.load(path, custom=[SILU, "relu"])
    other = fastbp.custom_activation("my_silu", lambda z: 2 * z)
    with pytest.raises(ValueError, match="two formulas that differ are called 'my_silu'"):
        Network.load(path, custom=[SILU, other, SQUARED])
    wrong = fastbp.custom_loss("my_silu", squared)
    with pytest.raises(ModelFileError, match="'my_silu' is a CustomLoss, and no activation"):
        Network.load(path, custom=[wrong, SQUARED])


def test_commands_and_exports_refuse_a_network_that_has_them(net, tmp_path):
    pytest.importorskip("typer")
    pytest.importorskip("polars")
    from command_line import fastbp as command

    path = tmp_path / "net.safetensors"
    net.save(path)
    for arguments in (("info", path), ("export", path, "-o", tmp_path / "net.c")):
        done = command(*arguments)
        assert done.code == 3
        assert "needs formulas of its user's own, ['my_silu', 'my_squared']" in done.complaint
    exports = [fastbp.to_c, fastbp.to_numpy, fastbp.to_sklearn, fastbp.state_dict]
    for export in exports:
        with pytest.raises(ValueError, match=f"{export.__name__}: .* your own, 'my_silu', which"):
            export(net)


def test_a_file_without_such_formulas_has_no_word_of_them(net, tmp_path):
    from fastbp.model_file import to_bytes

    assert b"custom" not in to_bytes(Network([2, 1], seed=0).to_model())
    two = fastbp.custom_activation("my_silu", lambda z: 2 * z)
    with pytest.raises(ValueError, match="two formulas that differ are called 'my_silu'"):
        Network([4, 5, 5, 1], [SILU, two]).save(tmp_path / "two")


def test_copies_pickles_and_ensembles(net, tmp_path):
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.with_seed(1)]
    assert copies[0].loss is net.loss
    for each in copies[:2]:
        np.testing.assert_array_equal(each.forward(X), net.forward(X))
        assert each.layers == net.layers
    ensemble = Ensemble(copies)
    ensemble.save(tmp_path / "ensemble")
    again = Ensemble.load(tmp_path / "ensemble", custom=[SILU, SQUARED])
    np.testing.assert_array_equal(again.forward(X), ensemble.forward(X))
    twice = fastbp.custom_loss("my_squared", lambda a, y: (a - y) ** 2)
    other = Network([4, 8, 1], SILU, loss=twice)
    with pytest.raises(ValueError, match="has loss my_squared"):
        Ensemble([net, other])
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(fastbp.custom_activation("mine", lambda z: z))


def test_a_training_resumes_from_checkpoints(tmp_path):
    def new():
        return Network([4, 8, 1], SILU, loss=SQUARED, seed=1)

    new().fit(X, Y, epochs=2, checkpoints=tmp_path)
    resumed, whole = new(), new()
    resumed.fit(X, Y, epochs=4, checkpoints=tmp_path, resume=True)
    whole.fit(X, Y, epochs=4)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_equal_formulas_are_equal_whoever_made_them():
    def made(factor):
        return fastbp.custom_activation("scaled", lambda z: factor * z)

    assert made(2.0) == made(2.0) == "scaled"
    assert made(2.0) != made(3.0)
    two = fastbp.custom_activation("scaled", lambda z: 2.5 * z)
    assert two != fastbp.custom_activation("scaled", lambda z: 3.5 * z)
    assert two != fastbp.custom_activation("other", lambda z: 2.5 * z)
    assert two != fastbp.custom_activation("scaled", lambda z: 2.5 * z, initializer="zeros")
    assert hash(made(2.0)) == hash("scaled")


def test_ranks_tell_formulas_apart_that_differ(run_python):
    code = """
    import math, fastbp
    shift = {}
    print(fastbp.custom_activation("mine", lambda z: math.tanh(z) + shift).checksum())
    """
    made = [run_python(code.format(shift)) for shift in (0.5, 0.5, 0.25)]
    assert made[0] == made[1] != made[2]


# ------------------------------------------------------------------ estimators and many


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_take_them():
    settings = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
    mine = MLPRegressor(activation=SILU, loss=SQUARED, **settings)
    theirs = MLPRegressor(activation="silu", **settings).fit(X, Y[:, 0])
    assert clone(mine).get_params()["activation"] is SILU
    mine = clone(mine).fit(X, Y[:, 0])
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), atol=1e-9)
    labels = X[:, 0] > 0
    pair = [MLPClassifier(activation=name, **settings).fit(X, labels) for name in (SILU, "silu")]
    np.testing.assert_allclose(*(each.predict_proba(X) for each in pair), atol=1e-9)
    with pytest.raises(ValueError, match="'activation' parameter"):
        MLPRegressor(activation=SQUARED, **settings).fit(X, Y[:, 0])


def test_many_networks_train_to_the_bits_of_each_alone():
    other = fastbp.custom_activation("my_silu", lambda z: math.tanh(z))
    activations = [SILU, SILU, other, other]

    def new():
        return [Network([4, 8, 1], each, loss=SQUARED, seed=1) for each in activations]

    nets, alone = new(), new()
    results = fastbp.fit_many(nets, X, Y, epochs=2)
    assert [result.error for result in results] == [None] * 4
    for net, single in zip(nets, alone, strict=True):
        single.fit(X, Y, epochs=2)
        np.testing.assert_array_equal(net.parameters, single.parameters)


def test_workers_of_joblib_have_the_bits_of_this_process(run_python):
    # functions of a script travel by their code: those that come back are equal, and not the same
    code = """
    import math
    import numpy as np
    from joblib import Parallel, delayed
    import fastbp

    X = np.random.default_rng(0).standard_normal((200, 4))

    def wave(z):
        return math.sin(z) + shift * z

    def trained(net):
        net.fit(X, X[:, 0], epochs=2)
        return net

    shift = 0.5
    mine = fastbp.custom_activation("wave", wave)
    loss = fastbp.custom_loss("quartic", lambda a, y: (a - y) ** 4)
    nets = [fastbp.Network([4, 8, 1], mine, loss=loss, seed=1) for _ in range(2)]
    there = Parallel(2)(delayed(trained)(net) for net in nets)
    here = trained(nets[0])
    for net in there:
        assert np.array_equal(net.parameters, here.parameters)
        assert net.loss == loss and net.loss is not loss
    fastbp.Ensemble([here, *there])
    """
    run_python(code)


def test_a_forked_child_trains_and_makes_formulas(run_python):
    code = """
    import math, os
    import numpy as np
    import fastbp

    X = np.random.default_rng(0).standard_normal((200, 4))
    wave = fastbp.custom_activation("wave", lambda z: math.sin(z))

    def trained(activation):
        net = fastbp.Network([4, 64, 1], activation, seed=1)
        net.fit(X, X[:, 0], epochs=2, n_threads=1)
        return net.parameters

    here = trained(wave)
    read, write = os.pipe()
    if os.fork() == 0:
        again = fastbp.custom_activation("other", lambda z: math.sin(z) + 0.0)
        ends = trained(wave).tobytes() + trained(again).tobytes()
        os.write(write, ends)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        there = np.frombuffer(pipe.read(), "float32").reshape(2, -1)
    assert np.array_equal(there[0], here)
    assert np.allclose(there[1], here, atol=1e-6)
    """
    run_python(code)


def test_two_formulas_of_one_name_make_no_network():
    one = fastbp.custom_activation("same", lambda z: z * z)
    other = fastbp.custom_loss("same", lambda a, y: (a - y) ** 2)
    with pytest.raises(ValueError, match="two formulas that differ are called 'same'"):
        fastbp.Network([2, 3, 1], one, loss=other)


def test_there_is_no_second_derivative_of_them():
    square = fastbp.custom_activation("square", lambda z: 0.1 * z * z)
    net = fastbp.Network([2, 3, 1], square, dtype="float64", seed=0)
    X = np.ones((4, 2))
    with pytest.raises(ValueError, match="'square' is not known: formulas of your own have none"):
        net.hvp(X, np.ones(4), np.ones(net.parameters.size))
