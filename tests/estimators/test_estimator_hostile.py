"""Input that a kernel must never see: each is an error with a name, and no net is harmed."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from fastbp import MLPClassifier, MLPRegressor

rng = np.random.default_rng(4)
X = rng.normal(size=(60, 10))
LABELS = rng.integers(0, 3, 60)
Y = X[:, 0]
FEW = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("first, then", [(np.c_[Y, Y], Y), (Y, np.c_[Y, Y])])
def test_a_net_cannot_go_on_with_other_outputs(first, then):
    reg = MLPRegressor(**FEW).partial_fit(X, first)
    weights = [w.copy() for w in reg.coefs_]
    with pytest.raises(ValueError, match=r"y has \d outputs, but the fitted net has \d"):
        reg.partial_fit(X, then)
    for warm_start in (True, "exact"):
        with pytest.raises(ValueError, match="outputs"):
            reg.set_params(warm_start=warm_start).fit(X, then)
    for now, before in zip(reg.coefs_, weights, strict=True):
        assert np.array_equal(now, before)


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_solvers_that_keep_weights_alone_do_not_go_on_exactly(solver):
    net = MLPRegressor(solver=solver, warm_start="exact", **FEW)
    with pytest.raises(ValueError, match="warm_start='exact': only solvers 'sgd' and 'adam'"):
        net.fit(X, Y)
    assert net.set_params(warm_start=True).fit(X, Y).fit(X, Y).loss_ < np.inf


@pytest.mark.parametrize("first, then", [(np.c_[Y, Y], Y), (Y, np.c_[Y, Y])])
def test_an_eval_set_has_the_outputs_of_the_data(first, then):
    with pytest.raises(ValueError, match="eval_set: y has"):
        MLPRegressor(**FEW).fit(X, first, eval_set=(X, then))


@pytest.mark.parametrize("wrong", [{"sample_weight": np.zeros(60)}, {"eval_set": 3}])
def test_after_a_fit_that_failed_the_old_net_names_what_it_takes(wrong):
    reg = MLPRegressor(**FEW).fit(X, Y)
    with pytest.raises(ValueError):
        reg.fit(X[:, :5], Y, **wrong)
    for method in (reg.predict, reg.input_gradient):
        with pytest.raises(ValueError, match="X has 5 features, but the fitted net has 10"):
            method(X[:, :5])


def sparse(data, columns, starts, shape=(3, 10)):
    matrix = sp.csr_array(shape)
    matrix.data, matrix.indices, matrix.indptr = map(np.asarray, (data, columns, starts))
    return matrix


@pytest.mark.parametrize(
    "data, columns, starts",
    [
        ([1.0, 1.0, 1.0], [0, 5000, 1], [0, 1, 2, 3]),
        ([1.0, 1.0, 1.0], [0, -1, 1], [0, 1, 2, 3]),
        ([1.0, 1.0, 1.0], [0, 1, 1], [0, 1, 2, 30]),
        ([1.0, 1.0, 1.0], [0, 1, 1], [0, 2, 1, 3]),
        ([1.0, 1.0, 1.0], [0, 1, 1], [1, 2, 2, 3]),
    ],
)
def test_places_that_a_sparse_matrix_does_not_have(data, columns, starts):
    reg = MLPRegressor(**FEW).fit(X, Y)
    with pytest.raises((ValueError, IndexError)):
        reg.predict(sparse(data, columns, starts))


def test_flags_of_a_sparse_matrix_that_are_out_of_date():
    dense = X * (np.abs(X) > 1)
    matrix = sp.csr_array(dense)
    expected = MLPRegressor(**FEW).fit(matrix, Y).loss_curve_
    assert matrix.has_canonical_format
    for row in range(60):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        matrix.indices[part] = matrix.indices[part][::-1].copy()
        matrix.data[part] = matrix.data[part][::-1].copy()
    assert MLPRegressor(**FEW).fit(matrix, Y).loss_curve_ == expected


def test_training_goes_on_in_coefs_that_were_replaced():
    clf = MLPClassifier(**FEW).partial_fit(X, LABELS, classes=[0, 1, 2])
    plain = MLPClassifier(**FEW).partial_fit(X, LABELS, classes=[0, 1, 2])
    clf.coefs_ = [w.copy() for w in clf.coefs_]
    clf.intercepts_ = [b.copy() for b in clf.intercepts_]
    for estimator in (clf, plain):
        estimator.partial_fit(X, LABELS).partial_fit(X, LABELS)
    assert np.array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert np.array_equal(clf.coefs_[0], plain.coefs_[0])


def test_an_indicator_matrix_is_no_target_of_a_net_of_classes():
    clf = MLPClassifier(**FEW).partial_fit(X, LABELS, classes=[0, 1, 2])
    many = (rng.random((60, 2)) > 0.5).astype(int)
    with pytest.raises(ValueError, match="multilabel"):
        clf.partial_fit(X, many)
    with pytest.raises(ValueError, match="multilabel"):
        clf.fit(X, LABELS, eval_set=(X, many))


def test_a_pickled_net_shows_the_same_loss_where_it_is_limited():
    clf = MLPClassifier(**FEW).partial_fit(X, LABELS, classes=[0, 1, 2])
    for w in clf.coefs_:
        w *= 30
    other = pickle.loads(pickle.dumps(clf))
    for estimator in (clf, other):
        estimator.partial_fit(X, LABELS)
    assert clf.loss_ == other.loss_
    assert clf.loss_ < 40  # -log(eps) and the penalty


@pytest.mark.parametrize("dropout", [[-0.5], [float("nan")], [1.0]])
def test_a_list_of_rates_is_checked_as_one_rate_is(dropout):
    with pytest.raises(ValueError, match="rate="):
        MLPClassifier(dropout=dropout, **FEW).fit(X, LABELS)


def test_a_net_of_lbfgs_goes_on_with_the_solver_that_is_asked_for():
    clf = MLPClassifier(solver="lbfgs", **FEW).fit(X, LABELS)
    clf.set_params(solver="adam", learning_rate_init=0.003).partial_fit(X, LABELS)
    assert clf.network_.optimizer.name == "adam_hat"
    assert clf.network_.optimizer.hyper_parameters["learning_rate"] == 0.003


def test_an_exact_warm_start_begins_anew_where_the_optimizer_has_changed():
    clf = MLPClassifier(warm_start="exact", **FEW).fit(X, LABELS)
    clf.set_params(optimizer="sgd", dropout=0.5).fit(X, LABELS)
    assert clf.network_.optimizer.name == "sgd"
    assert clf.network_.engine.steps == 3
    assert clf.network_.layers[0].dropout == 0.5


def test_negative_weights_are_weights_as_in_scikit_learn():
    from sklearn import neural_network

    weight = np.ones(60)
    weight[:20] = -0.5
    options = {"batch_size": 20, "shuffle": False, **FEW}
    ours = MLPRegressor(**options).fit(X, Y, sample_weight=weight)
    theirs = neural_network.MLPRegressor(**options).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_a_truth_value_of_numpy_stops():
    clf = MLPClassifier(callbacks=lambda entry: entry["loss"] < np.float64(1e9), **FEW)
    assert clf.fit(X, LABELS).n_iter_ == 1


@pytest.mark.parametrize("y", [LABELS > 0, np.c_[LABELS > 0, LABELS > 1].astype(int)])
def test_the_cross_entropy_is_that_of_the_targets(y):
    named = MLPClassifier(loss="cross_entropy", **FEW).fit(X, y)
    plain = MLPClassifier(**FEW).fit(X, y)
    assert named.loss_curve_ == plain.loss_curve_
