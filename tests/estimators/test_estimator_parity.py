"""In place of scikit-learn's estimators: the same numbers, parameters, output and errors."""

import copy
import inspect
import pickle
import signal
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import train_test_split

import fastbp
from estimator_panel import (
    ERRORS,
    LABELS,
    THREE,
    Case,
    X,
    Y,
    classifier,
    differences,
    draw_cases,
    draw_long_cases,
    error_of,
    fit,
    regressor,
    table,
)

LIBRARIES = (neural_network, fastbp)
KINDS = ("MLPClassifier", "MLPRegressor")
CASES, LONG_CASES = draw_cases(seed=1, each=3), draw_long_cases(seed=1, count=40)
EXTENDED = {"activation", "warm_start", "loss"}  # fastbp takes more than scikit-learn

ignores_the_end = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def same_bits(one, other):
    pairs = zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True)
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


# ---------------------------------------------------------------- numbers

_found = []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_numbers_are_those_of_scikit_learn(case):
    (theirs, their_warnings), (ours, our_warnings) = (fit(case, library) for library in LIBRARIES)
    assert our_warnings == their_warnings
    found = differences(case, theirs, ours)
    _found.append((case, found))
    assert all(value <= 1e-8 for value in found.values()), found


@pytest.mark.parametrize("case", LONG_CASES, ids=str)
def test_long_fits_end_where_those_of_scikit_learn_end(case):
    (theirs, their_warnings), (ours, our_warnings) = (fit(case, library) for library in LIBRARIES)
    assert our_warnings == their_warnings
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)


def test_the_worst_differences_are_shown(capsys):
    if not _found:
        pytest.skip("none of the panel has run")
    shown = table(_found)
    # a line for every solver that has run, and its number of cases
    assert all(case.solver in shown for case, _ in _found)
    assert str(len(_found) // len({case.solver for case, _ in _found})) in shown
    with capsys.disabled():
        print("\n" + shown)


def test_the_panel_has_every_feature_with_every_solver():
    pairs = {(case.solver, feature) for case in CASES for feature in case.features}
    features = {"refit", "warm_start", "early_stopping", "sample_weight", "csr", "csc", "plain"}
    features |= {"batch too large", "no shuffle"}
    for solver in ("adam", "sgd constant", "sgd invscaling", "sgd adaptive", "lbfgs"):
        more = set() if solver == "lbfgs" else {"partial_fit", "fit, partial_fit"}
        assert {feature for kind, feature in pairs if kind == solver} == features | more


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_the_number_of_threads_changes_no_bit(solver, form):
    data, options = form(np.where(np.abs(X) > 0.4, X, 0)), {"solver": solver, "max_iter": 6}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for make, y in ((classifier, THREE), (regressor, np.column_stack([Y, Y**2]))):
            one, two = (make(n_threads=n, **options).fit(data, y) for n in (1, 2))
            assert same_bits(one, two)
            assert one.loss_ == two.loss_
            assert np.array_equal(one.predict(data), two.predict(data))


@ignores_the_end
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_float32_gives_scikit_learns_types_but_lbfgs_stays_float32(solver):
    small = X.astype(np.float32)
    theirs, ours = (classifier(kind, solver=solver).fit(small, LABELS) for kind in LIBRARIES)
    own = np.dtype(np.float32)
    assert {w.dtype for w in [*ours.coefs_, *ours.intercepts_]} == {own}
    assert {w.dtype for w in theirs.coefs_} == {np.dtype(float) if solver == "lbfgs" else own}
    for data in (small, X, np.ones((3, 4), int)):
        expected, values = theirs.predict_proba(data), ours.predict_proba(data)
        np.testing.assert_allclose(values, expected, atol=1e-4)
        if solver != "lbfgs":
            assert values.dtype == expected.dtype


@ignores_the_end
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_without_a_random_state_the_draws_are_numpys(solver):
    def fitted(library):
        np.random.seed(5)  # noqa: NPY002
        return classifier(library, solver=solver, random_state=None).fit(X, LABELS)

    theirs, ours = (fitted(library) for library in LIBRARIES)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-10)


@ignores_the_end
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_fitted_attributes_have_the_names_of_scikit_learns(solver, early_stopping):
    def names(make, y, library):
        estimator = make(library, solver=solver, early_stopping=early_stopping).fit(X, y)
        return {name for name in vars(estimator) if name.endswith("_") and name[0] != "_"}

    for make, y in ((classifier, LABELS), (regressor, Y)):
        assert names(make, y, fastbp) == names(make, y, neural_network)


@ignores_the_end
def test_early_stopping_is_nothing_to_lbfgs():
    few, options = X[:8], {"solver": "lbfgs", "early_stopping": True}  # too few to hold any back
    theirs, ours = (classifier(kind, **options).fit(few, LABELS[:8]) for kind in LIBRARIES)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-8)


@ignores_the_end
def test_a_saturated_output_has_its_true_loss():
    # scikit-learn's log(1 - p) has lost its digits where p is next to 1: here is their bound
    data, options = 40 * X, {"hidden_layer_sizes": (), "solver": "sgd", "max_iter": 1}
    options |= {"learning_rate_init": 1e-300, "momentum": 0.0, "alpha": 0.0}
    theirs, ours = (classifier(kind, **options).fit(data, LABELS) for kind in LIBRARIES)
    z = (data @ ours.coefs_[0] + ours.intercepts_[0])[:, 0]
    losses = np.logaddexp(0, np.where(LABELS, -z, z))
    most = -np.log(np.finfo(float).eps)
    assert (losses > most).any() and ((losses > 20) & (losses < most)).sum() > 1
    true = np.minimum(losses, most).mean()
    assert ours.loss_ == pytest.approx(true, rel=1e-13)
    assert theirs.loss_ == pytest.approx(true, rel=1e-2)


@ignores_the_end
def test_a_second_fit_with_early_stopping_ends_with_the_best_weights():
    options = {"early_stopping": True, "warm_start": True, "validation_fraction": 0.4}
    options |= {"max_iter": 40, "learning_rate_init": 0.02, "n_iter_no_change": 100}
    theirs, ours = (classifier(kind, **options).fit(X, LABELS) for kind in LIBRARIES)
    best, weights = ours.best_validation_score_, [w.copy() for w in ours.coefs_]
    for estimator in (theirs, ours):
        estimator.set_params(learning_rate_init=20.0, max_iter=10).fit(X, LABELS)
    assert ours.validation_scores_ == theirs.validation_scores_
    assert ours.best_validation_score_ == theirs.best_validation_score_ == best
    # the rows held back in the first fit: drawn after its weights
    state = np.random.RandomState(0)
    for shape in ((4, 6), 6, (6, 1), 1):
        state.uniform(size=shape)
    split = train_test_split(X, LABELS, random_state=state, test_size=0.4, stratify=LABELS)
    assert ours.score(split[1], split[3]) == best
    assert theirs.score(split[1], split[3]) < best
    assert all(map(np.array_equal, ours.coefs_, weights))


# ---------------------------------------------------------------- parameters and errors


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_at_its_place_with_its_default(kind):
    for method in ("__init__", "fit", "partial_fit", "predict", "score"):
        theirs, ours = (
            [
                (name, parameter.kind, parameter.default)
                for name, parameter in inspect.signature(
                    getattr(getattr(library, kind), method)
                ).parameters.items()
            ]
            for library in LIBRARIES
        )
        if method == "partial_fit":  # a stream brings its targets: y may be left out
            theirs = [(name, kind_, None if name == "y" else d) for name, kind_, d in theirs]
        assert ours[: len(theirs)] == theirs
    theirs, ours = (getattr(library, kind)().get_params() for library in LIBRARIES)
    assert {name: ours[name] for name in theirs} == theirs


_PARAMETERS = [name for name in neural_network.MLPClassifier().get_params() if name not in EXTENDED]


@pytest.mark.parametrize("name", _PARAMETERS)
def test_wrong_values_are_refused_in_scikit_learns_words(name):
    values = (-1, 0, 1, 2, 1.5, -0.1, True, None, "wrong", "auto", np.nan, np.inf, [], [1], object)
    for make, y in ((classifier, LABELS), (regressor, Y)):
        if name == "solver" and make is regressor:  # which has "lm" too
            continue
        refused = 0
        for value in values:
            theirs, ours = (make(library, **{name: value}) for library in LIBRARIES)
            expected = error_of(theirs._validate_params)
            assert error_of(ours._validate_params) == expected, value
            if expected is not None:
                refused += 1
                assert error_of(ours.fit, X, y) == error_of(theirs.fit, X, y) == expected
        assert refused


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_those_of_scikit_learn(name):
    theirs, ours = (error_of(ERRORS[name], library) for library in LIBRARIES)
    assert theirs is not None
    if name == "NaN as target":  # of which theirs knows no use
        kind, message = ours
        message, _, more = message.partition("\n")
        assert more == "With missing_targets=True it counts for nothing."
        ours = kind, message
    assert ours == theirs


def test_a_regressor_has_no_partial_fit_by_lbfgs():
    with pytest.raises(AttributeError, match="'MLPRegressor' has no attribute 'partial_fit'"):
        regressor(solver="lbfgs").partial_fit(X, Y)


# ---------------------------------------------------------------- output, warnings, Ctrl-C


@pytest.mark.parametrize(
    "options",
    [
        {"max_iter": 7},
        {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 200},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "invscaling", "tol": 0.1, "n_iter_no_change": 1},
        {"early_stopping": True, "tol": 0.05, "n_iter_no_change": 2, "max_iter": 200},
        {"early_stopping": True, "max_iter": 3, "verbose": 2},
        {"solver": "lbfgs"},
    ],
    ids=str,
)
def test_what_is_printed_is_what_scikit_learn_prints(options, capsys):
    for make, y in ((classifier, LABELS), (regressor, Y)):
        printed = []
        for library in LIBRARIES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                make(library, **{"verbose": True, "max_iter": 60, **options}).fit(X, y)
            printed.append(capsys.readouterr())
        assert printed[1].out.splitlines() == printed[0].out.splitlines()
        assert printed[1].err == printed[0].err
        assert printed[0].out or options == {"solver": "lbfgs"}


@pytest.mark.parametrize(
    "options, y, category",
    [
        ({}, LABELS, ConvergenceWarning),
        ({"solver": "lbfgs"}, LABELS, ConvergenceWarning),
        ({"batch_size": 91, "tol": 1.0, "n_iter_no_change": 1}, LABELS, UserWarning),
        ({"tol": 1.0, "n_iter_no_change": 1}, LABELS[:, None], DataConversionWarning),
    ],
)
def test_warnings_are_those_of_scikit_learn(options, y, category):
    for make in (classifier, regressor):
        caught = []
        for library in LIBRARIES:
            with pytest.warns(category) as record:
                make(library, **options).fit(X, y)
            caught.append([(warning.category, str(warning.message)) for warning in record])
        assert caught[0] == caught[1]
        assert [found for found, _ in caught[0]] == [category]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_ends_a_fit_in_good_order(early_stopping, request):
    options = {"tol": 0.0, "n_iter_no_change": np.inf, "early_stopping": early_stopping}
    with pytest.warns(ConvergenceWarning):
        estimator = classifier(max_iter=2, **options).fit(X, LABELS)  # nothing to compile later
    estimator.set_params(max_iter=10**8)
    handler = signal.getsignal(signal.SIGINT)
    request.getfixturevalue("ctrl_c_in_training")
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        estimator.fit(X, LABELS)
    assert 0 < estimator.n_iter_ == len(estimator.loss_curve_) < 10**8
    assert estimator.predict(X).shape == (90,)
    if early_stopping:
        assert estimator.best_validation_score_ == max(estimator.validation_scores_)
    assert signal.getsignal(signal.SIGINT) is handler


# ---------------------------------------------------------------- copies, frames, files


@ignores_the_end
@pytest.mark.parametrize("make, y", [(classifier, THREE), (regressor, Y)])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_copies_predict_the_same_bits(make, y, solver):
    fitted = make(solver=solver).fit(X, y)
    expected = fitted.predict(X)
    twins = [pickle.loads(pickle.dumps(fitted, protocol)) for protocol in (2, 5)]
    twins += [copy.deepcopy(fitted), clone(fitted).fit(X, y)]
    for twin in twins:
        assert same_bits(twin, fitted)
        assert np.array_equal(twin.predict(X), expected)
        assert twin.get_params() == fitted.get_params()
    twins[0].coefs_[0][:] = 0
    assert np.array_equal(fitted.predict(X), expected)
    assert not hasattr(clone(fitted), "coefs_")


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("copies", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_goes_on_as_the_original_does(solver, copies):
    state = np.random.RandomState(3)
    original = regressor(solver=solver, random_state=state, batch_size=20).partial_fit(X, Y)
    twin = copies(original)
    for estimator in (original, twin):
        for _ in range(3):
            estimator.partial_fit(X, Y)
    assert same_bits(original, twin)
    assert original.loss_curve_ == twin.loss_curve_
    assert np.array_equal(original.predict(X), twin.predict(X))


@ignores_the_end
def test_assigned_weights_are_those_that_predict():
    theirs, ours = (regressor(library).fit(X, Y) for library in LIBRARIES)
    for estimator in (theirs, ours):
        estimator.coefs_[0] = np.linspace(-1, 1, 24).reshape(4, 6)
        estimator.intercepts_[1] = np.array([2.0])
        estimator.coefs_[1][0] = 3.0
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-12)
    for estimator in (theirs, ours):
        estimator.partial_fit(X, Y)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(ours)).predict(X), ours.predict(X), rtol=0)


@ignores_the_end
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_names_of_a_frames_columns_are_kept(library):
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    frame = frames.DataFrame({name: X[:, place] for place, name in enumerate(names)})
    theirs, ours = (regressor(kind).fit(frame, frames.Series(Y)) for kind in LIBRARIES)
    assert list(ours.feature_names_in_) == list(theirs.feature_names_in_) == names
    assert ours.feature_names_in_.dtype == theirs.feature_names_in_.dtype
    assert np.array_equal(ours.predict(frame), regressor().fit(X, Y).predict(X))
    other = frame[["b", "a", "c", "d"]]
    assert error_of(ours.predict, other) == error_of(theirs.predict, other) != None  # noqa: E711
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        ours.predict(X)


@ignores_the_end
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_data_in_a_file_that_cannot_be_written_are_read(solver, tmp_path):
    for name, array in (("X", X), ("y", Y), ("w", np.ones(90))):
        np.save(tmp_path / f"{name}.npy", array)
    data, y, weight = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("X", "y", "w"))
    assert isinstance(data, np.memmap) and not data.flags.writeable
    ours = regressor(solver=solver, early_stopping=True).fit(data, y, sample_weight=weight)
    plain = regressor(solver=solver, early_stopping=True).fit(X, Y, sample_weight=np.ones(90))
    assert same_bits(ours, plain)
    assert np.array_equal(ours.predict(data), plain.predict(X))


def test_a_case_says_what_it_is():
    assert isinstance(CASES[0], Case)
    assert len({str(case) for case in CASES}) == len(CASES) >= 240
    assert len(LONG_CASES) == 40
