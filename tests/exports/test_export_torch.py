"""Networks as PyTorch's modules and state dicts, and theirs as networks."""

import copy
import io
import sys

import numpy as np
import pytest

from export_nets import (
    HIDDEN,
    LOSS,
    N_IN,
    both_dtypes,
    check,
    check_bad_networks,
    every_activation,
    filled,
    net_of,
    rows,
)
from fastbp import ACTIVATIONS, Dense, Dropout, Network
from fastbp.exports.torch import from_torch, state_dict, to_torch


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def forward(torch, module, net, X):
    with torch.no_grad():
        return module(torch.from_numpy(np.asarray(X, net.dtype))).numpy()


def same_layers(one, other):
    """Two networks have the same layers, parameters, loss and dtype."""
    plans = one.engine.plan, other.engine.plan
    parts = [
        [(s.n_in, s.n_out, s.activation, s.alpha, s.bias, s.dropout) for s in plan.specs]
        for plan in plans
    ]
    assert parts[0] == parts[1]
    assert plans[0].input_drop == plans[1].input_drop
    assert one.parameters.tobytes() == other.parameters.tobytes()
    assert (one.loss, one.dtype) == (other.loss, other.dtype)


# ----------------------------------------------------------------- without PyTorch


def test_the_state_dict_has_the_names_and_shapes_of_the_sequential():
    net = net_of("leaky_relu", "float32")  # dropout, linear, activation, dropout, ...
    state = state_dict(net)
    shapes = {name: array.shape for name, array in state.items()}
    assert shapes == {
        "1.weight": (7, 5),
        "1.bias": (7,),
        "4.weight": (6, 7),
        "6.weight": (3, 6),
        "6.bias": (3,),
    }
    assert np.array_equal(state["4.weight"], net.weights[1].T)
    assert np.array_equal(state["6.bias"], net.biases[2])
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in state.values())


def test_the_state_dict_is_a_copy():
    net = net_of("relu", "float64")
    before = net.parameters.copy()
    for array in state_dict(net).values():
        array[:] = 7
    assert np.array_equal(net.parameters, before)


def test_an_identity_takes_no_number():
    net = Network([2, 3, 4, 1], ["identity", "tanh"])
    assert list(state_dict(net))[::2] == ["0.weight", "1.weight", "3.weight"]


@both_dtypes
def test_a_state_dict_of_arrays_is_a_network_again(dtype):
    net = filled(Network([5, 7, 6, 3], ["tanh", "relu"], "cross_entropy", dtype=dtype))
    state = state_dict(net)
    given = from_torch(state, activation=["tanh", "relu"], loss="cross_entropy")
    same_layers(given, net)
    # in the order of the numbers, not of the names
    shuffled = {f"net.{10 * int(k[0])}{k[1:]}": state[k] for k in sorted(state, reverse=True)}
    same_layers(from_torch(shuffled, activation=("tanh", "relu"), output_activation="softmax"), net)


def test_layers_with_names_are_taken_as_they_come():
    net = filled(Network([2, 5, 4, 1], "silu"))
    names = {"0": "stem", "2": "body", "4": "a"}
    state = {f"{names[key[0]]}{key[1:]}": array for key, array in state_dict(net).items()}
    assert list(state)[-1] == "a.bias"
    same_layers(from_torch(state, activation="silu"), net)


def test_a_state_dict_of_one_layer_needs_no_activation():
    W, b = np.ones((2, 3), np.float32), np.array([1, 2], np.float32)
    net = from_torch({"weight": W, "bias": b})
    assert np.array_equal(net.forward(np.ones((1, 3))), [[4, 5]])


def test_half_precision_becomes_single():
    W = np.array([[0.1, 0.2]], np.float16)
    net = from_torch({"weight": W})
    assert net.dtype == np.float32
    assert np.array_equal(net.weights[0][:, 0], W[0].astype(np.float32))


GOOD = {"0.weight": np.ones((4, 3)), "0.bias": np.ones(4), "2.weight": np.ones((2, 4))}
BAD_STATES = [
    ({}, {}, ValueError, "the state dict is empty"),
    (GOOD, {"activation": None}, TypeError, "activation: a state dict does not say it"),
    (GOOD, {"activation": ["relu", "relu"]}, ValueError, "expected one name, or 1"),
    (GOOD, {"activation": 3}, TypeError, "activation=3: expected a name"),
    (GOOD, {"activation": "rellu"}, ValueError, "did you mean 'relu'"),
    (GOOD, {"loss": "cross_entropie"}, ValueError, "did you mean 'cross_entropy'"),
    (GOOD, {"dtype": "float16"}, ValueError, "dtype='float16'"),
    (GOOD, {"loss": "cross_entropy", "output_activation": "tanh"}, ValueError, "needs simplex"),
    ({**GOOD, "1.running_mean": np.ones(4)}, {}, ValueError, "'1.running_mean': expected names"),
    ({**GOOD, "1.weight": np.ones(4)}, {}, ValueError, r"1.weight has shape \(4,\)"),
    ({**GOOD, "2.weight": np.ones((2, 5))}, {}, ValueError, "2 has 5 inputs, layer 0 .* 4 outp"),
    ({**GOOD, "0.bias": np.ones(3)}, {}, ValueError, "0.bias has 3 elements: expected 4"),
    ({**GOOD, "2.weight": np.ones((2, 4), int)}, {}, TypeError, "2.weight is of int64"),
    ({**GOOD, "2.weight": np.full((2, 4), np.nan)}, {}, ValueError, "NaN or infinity in float64"),
    ({"0.bias": np.ones(4)}, {}, ValueError, "a bias '0' but no weight"),
    ({3: np.ones(4)}, {}, ValueError, "state dict has 3"),
]


@pytest.mark.parametrize("state, options, error, message", BAD_STATES)
def test_a_state_dict_of_anything_else_is_refused(state, options, error, message):
    with pytest.raises(error, match=message):
        from_torch(state, **{"activation": "relu", **options})


@pytest.mark.parametrize("source", [None, 3, "model.pt", [1, 2], np.ones(3), Network([2, 1])])
def test_what_is_neither_module_nor_state_dict_is_refused(source):
    with pytest.raises(TypeError, match=r"from_torch: source is a .*: expected an nn\.Sequential"):
        from_torch(source)


def test_what_is_no_network_is_refused():
    check_bad_networks(state_dict, "state_dict")
    check_bad_networks(to_torch, "to_torch")


def test_without_pytorch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=r"fastbp\.to_torch needs PyTorch") as caught:
        to_torch(net_of("relu", "float32"))
    assert caught.value.name == "torch"


def test_pytorch_is_not_imported_before_it_is_asked_for(run_python):
    run_python("""
        import sys
        import fastbp
        from fastbp.exports.torch import from_torch, state_dict

        net = fastbp.Network([4, 3, 2])
        from_torch(state_dict(net), activation="relu")
        assert "torch" not in sys.modules
    """)


# ----------------------------------------------------------------- with PyTorch


@both_dtypes
@every_activation
def test_the_module_gives_what_the_network_gives_and_comes_back(torch, activation, dtype):
    net = net_of(activation, dtype)
    module = to_torch(net)
    assert isinstance(module, torch.nn.Sequential)
    assert not module.training
    check(forward(torch, module, net, rows()), net, rows())
    same_layers(from_torch(module, loss=net.loss), net)
    assert {k: v.numpy().tobytes() for k, v in module.state_dict().items()} == {
        k: v.tobytes() for k, v in state_dict(net).items()
    }


@both_dtypes
@pytest.mark.parametrize("activation", HIDDEN)
def test_the_module_agrees_far_from_zero(torch, activation, dtype):
    if activation == "exp":
        pytest.skip("it is infinite there")
    net = net_of(activation, dtype)
    X = rows() * np.array([1.0, -30, 300, -3000, 30000])
    found = forward(torch, to_torch(net), net, X)
    check(found, net, X, tolerance=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(
    "loss, criterion",
    [("cross_entropy", "CrossEntropyLoss"), ("binary_cross_entropy", "BCEWithLogitsLoss")],
)
def test_logits_are_what_the_losses_of_pytorch_take(torch, loss, criterion):
    net = filled(Network([5, 4, 3], loss=loss, dtype="float64"))
    labels = np.arange(40) % 3
    y = labels if loss == "cross_entropy" else np.eye(3)[labels]
    logits = to_torch(net, logits=True)(torch.from_numpy(rows()))
    found = getattr(torch.nn, criterion)()(logits, torch.from_numpy(y))
    share = 1 if loss == "cross_entropy" else 3  # PyTorch takes the mean over outputs too
    assert found.item() * share == pytest.approx(net.evaluate(rows(), y)["loss"], rel=1e-12)
    # and the net comes back whole when the loss is named
    same_layers(from_torch(to_torch(net, logits=True), loss=loss), net)


def test_logits_of_an_identity_are_the_outputs(torch):
    net = filled(Network([5, 4, 3]))
    check(forward(torch, to_torch(net, logits=True), net, rows()), net, rows())


def test_logits_is_a_flag():
    with pytest.raises(TypeError, match="logits='yes': expected True or False"):
        to_torch(net_of("relu", "float32"), logits="yes")


def test_the_module_has_the_dropout_of_the_net(torch):
    module = to_torch(net_of("relu", "float32"))
    rates = [m.p for m in module if isinstance(m, torch.nn.Dropout)]
    assert rates == [0.25, 0.5]
    X = torch.ones(4, N_IN)
    assert torch.equal(module(X), module(X))
    module.train()
    assert not torch.equal(module(X), module(X))


def test_the_module_is_a_copy_that_can_be_trained(torch):
    net = net_of("tanh", "float32")
    before = net.parameters.copy()
    module = to_torch(net).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.ones(4, N_IN)).square().sum().backward()
    optimizer.step()
    assert np.array_equal(net.parameters, before)
    changed = from_torch(module)
    assert all((a != b).any() for a, b in zip(changed.weights, net.weights, strict=True))


def test_random_numbers_of_pytorch_are_left_alone(torch):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    to_torch(net_of("relu", "float32"))
    assert torch.equal(torch.rand(4), expected)


def test_the_module_can_be_saved_and_copied(torch):
    net = net_of("exp", "float32")
    module = copy.deepcopy(to_torch(net))
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    check(forward(torch, loaded, net, rows()), net, rows())


def test_the_state_dict_can_be_loaded_into_a_module(torch):
    net = net_of("mish", "float32")
    module = to_torch(
        Network(
            inputs=N_IN,
            layers=[
                Dropout(0.1),
                Dense(7, "mish"),
                Dropout(0.5),
                Dense(6, "mish", bias=False),
                Dense(3, "mish"),
            ],
        )
    )
    module.load_state_dict({k: torch.from_numpy(v) for k, v in state_dict(net).items()})
    check(forward(torch, module, net, rows()), net, rows())


def test_a_state_dict_of_tensors_is_a_network_too(torch):
    for dtype, expected in [("bfloat16", "float32"), ("float16", "float32"), ("float64",) * 2]:
        module = torch.nn.Linear(3, 2, dtype=getattr(torch, dtype))
        net = from_torch(module.state_dict())
        assert net.dtype == expected
        assert np.array_equal(net.weights[0], module.weight.detach().double().numpy().T)


def test_modules_within_modules_and_shared_ones_are_followed(torch):
    nn = torch.nn
    shared = nn.ReLU()
    module = nn.Sequential(
        nn.Sequential(nn.Linear(5, 4), nn.Identity(), shared),
        nn.Linear(4, 4),
        shared,
        nn.Sequential(nn.Sequential(nn.Linear(4, 2), nn.Sigmoid())),
    )
    net = from_torch(module)
    assert [s.activation for s in net.layers] == ["relu", "relu", "logistic"]
    assert net.loss == "binary_cross_entropy"
    check(forward(torch, module, net, rows()), net, rows())


def test_dropout_before_a_rectifier_is_dropout_behind_it(torch):
    nn = torch.nn
    module = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.3), nn.ReLU(), nn.Linear(4, 1)).eval()
    net = from_torch(module)
    assert net.layers[0].dropout == pytest.approx(0.3)
    check(forward(torch, module, net, rows()), net, rows())
    module[2] = nn.Tanh()
    with pytest.raises(ValueError, match=r"tanh, module 2, does not follow an nn\.Linear"):
        from_torch(module)


def test_a_linear_alone_is_a_network(torch):
    module = torch.nn.Linear(5, 2, bias=False)
    net = from_torch(module)
    check(forward(torch, module, net, rows()), net, rows())
    assert net.biases[0].size == 0


def test_what_fastbp_has_no_module_for_is_named(torch):
    nn = torch.nn
    linear = nn.Linear(5, 4)
    for module, name in [
        (nn.BatchNorm1d(4), "BatchNorm1d"),
        (nn.PReLU(), "PReLU"),
        (nn.ReLU6(), "ReLU6"),
        (nn.Conv1d(1, 1, 1), "Conv1d"),
        (nn.Hardtanh(-2, 2), "Hardtanh"),
        (nn.LSTM(4, 2), "LSTM"),
        (nn.Softplus(beta=2), "Softplus"),
        (nn.AlphaDropout(), "AlphaDropout"),
        (nn.Softmax(dim=0), "Softmax"),
        (nn.LogSoftmax(dim=1), "LogSoftmax"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), "ParametrizedLinear"),
    ]:
        with pytest.raises(ValueError, match=rf"nothing for module 1, {name}") as caught:
            from_torch(nn.Sequential(linear, module))
        assert "activation=" in str(caught.value)

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear

    with pytest.raises(ValueError, match="nothing for module 0, Own"):
        from_torch(Own())
    assert from_torch(Own().state_dict()).weights[0].shape == (5, 4)


def test_modules_that_make_no_net_are_refused(torch):
    nn = torch.nn
    one, two = nn.Linear(5, 4), nn.Linear(3, 2)
    for modules, message in [
        ([], r"there is no nn\.Linear"),
        ([nn.ReLU()], "relu, module 0, does not follow"),
        ([nn.Dropout()], r"there is no nn\.Linear"),
        ([one, nn.ReLU(), nn.Tanh()], "tanh, module 2, does not follow"),
        ([one, two], "layer 1 has 3 inputs, layer 0 before it 4 outputs"),
        ([one, nn.Dropout()], "the last layer must be Dense"),
        ([one, nn.Softmax(dim=1), nn.Linear(4, 2)], "a hidden layer needs an elementwise"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_torch(nn.Sequential(*modules))
    with pytest.raises(TypeError, match="activation='relu': a module has its own"):
        from_torch(nn.Sequential(one), activation="relu")


def test_the_default_loss_suits_the_output(torch):
    for activation, loss in [
        ("softmax", "cross_entropy"),
        ("logistic", "binary_cross_entropy"),
        ("exp", "poisson"),
        ("identity", "squared_error"),
        ("tanh", "squared_error"),
        ("softplus", "squared_error"),
    ]:
        net = Network(
            [5, 4, 2], loss=LOSS[ACTIVATIONS[activation].outputs], output_activation=activation
        )
        assert from_torch(to_torch(net)).loss == loss
