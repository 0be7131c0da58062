"""A program that uses every public name: test_typing.py checks its types, nothing runs it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from typing_extensions import assert_type

import fastbp
from fastbp import data, kernels

X: NDArray[np.float32] = np.ones((8, 3), np.float32)
y = np.arange(8) % 2


def tables() -> None:
    """Look up the records of the five tables."""
    print(fastbp.ACTIVATIONS.find("relu").formula, fastbp.LOSSES["squared_error"].formula)
    print(fastbp.OPTIMIZERS["adam"].formula, fastbp.INITIALIZERS["zeros"].formula)
    assert_type(fastbp.SCHEDULES.find("cosine").name, str)


def formulas(folder: Path) -> None:
    """Make formulas of one's own, and load a network that has them."""
    bell = fastbp.custom_activation("bell", lambda z: float(np.exp(-z * z)), outputs="unit")
    error = fastbp.custom_loss("error", lambda a, y: abs(a - y), targets="nonnegative")
    net = fastbp.Network([3, 4, 1], [bell], loss=error, output_activation=bell)
    net.save(folder / "own")
    assert_type(fastbp.Network.load(folder / "own", custom=[bell, error]), fastbp.Network)
    assert_type(fastbp.Ensemble.load(folder / "own", [bell, error]), fastbp.Ensemble)


def optimizers() -> list[fastbp.Optimizer]:
    """Return optimizers, each with another schedule."""
    assert_type(fastbp.Adam(1e-3).name, str)
    assert_type(fastbp.Cosine(20).factors(np.zeros(3)), NDArray[np.floating[Any]])
    return [
        fastbp.SGD(1e-2, momentum=0.9, nesterov=True, schedule=fastbp.Constant()),
        fastbp.Adam(schedule=fastbp.Step(every=3, factor=0.5), clip_norm=1.0),
        fastbp.AdamW(weight_decay=0.1, schedule=fastbp.Exponential(0.9)),
        fastbp.RMSprop(beta2=0.9, schedule=fastbp.OneCycle(epochs=10, warm=0.2), l2=1e-4),
        fastbp.Adagrad(epsilon=1e-9, schedule=fastbp.WarmUp(2, after=fastbp.Cosine(8, end=0.1))),
        fastbp.Optimizer("momentum", beta1=0.8, schedule="cosine"),
        fastbp.LevenbergMarquardt(damping=0.1, l2=1e-4, tol=1e-8),
        fastbp.LBFGS(memory=5, l2=1e-4, tol=1e-8),
    ]


def train_a_network(folder: Path) -> None:
    """Train, use, save and load a network."""
    network = fastbp.Network(
        inputs=3, layers=[fastbp.Dense(4, "tanh"), fastbp.Dropout(0.5), fastbp.Dense(2)]
    )
    assert_type(fastbp.Network([3, 1], monotonic={0: 1, 2: -1}).monotonic, tuple[int, ...])
    network = fastbp.Network([3, 4, 2], "relu", "cross_entropy", optimizers()[0], seed=1)
    try:
        history = network.fit(
            X,
            y,
            epochs=2,
            validation_data=(X, y),
            early_stopping=fastbp.EarlyStopping(patience=3),
            checkpoints=fastbp.Checkpoints(folder),
            callbacks=[lambda entry: bool(entry["loss"] < 0.1), fastbp.ReduceLROnPlateau(0.5)],
        )
    except fastbp.DivergenceError as error:
        print(error.epoch + error.step, error.history)
        return
    assert_type(history, fastbp.History)
    assert_type(history["loss"], list[float])
    assert_type(history.best_epoch, int | None)
    assert_type(network.predict(X), NDArray[Any])
    assert_type(network.forward(X), NDArray[np.floating[Any]])
    assert_type(network.evaluate(X, y), dict[str, float])
    network.fit(X, y, sample_weight=np.ones((8, 2)), missing_targets=True, signed=False)
    network.step(X, y, -np.ones(8), missing_targets=False, signed=True)
    network.evaluate(X, y, np.ones((8, 2)), missing_targets=True)
    loss, gradients = network.backward(X, y, missing_targets=True, signed=True)
    assert_type(loss, float)
    assert_type(gradients, fastbp.Gradients)
    assert_type(gradients.flat, NDArray[np.floating[Any]])
    network.update(gradients, epoch=0.5)
    derivatives(network)
    assert_type(network.weights[0], NDArray[np.floating[Any]])
    assert_type(network.biases[0], NDArray[np.floating[Any]])
    assert_type(network.parameters, NDArray[np.floating[Any]])
    print(network.summary(), network.dtype.name, network.loss, network.optimizer.name)
    network.save(folder / "net.safetensors")
    try:
        assert_type(fastbp.Network.load(folder / "net.safetensors"), fastbp.Network)
    except fastbp.ModelFileError as error:
        print(error)


def derivatives(network: fastbp.Network) -> None:
    """Differentiate a network, and use products with its Hessian."""
    v = network.parameters
    assert_type(network.jacobian(X, of="logits", wrt="parameters"), NDArray[np.floating[Any]])
    gradients, dX = network.vjp(X, network.forward(X))
    assert_type(gradients, fastbp.Gradients)
    found = [dX, network.jvp(X, X, parameters=v), network.input_gradient(X, y)]
    found += [network.per_sample_gradients(X, y), network.per_sample_norms(X, y)]
    found += [network.hvp(X, y, v), network.gauss_newton_product(X, y, v, sample_weight=None)]
    assert_type(found, list[NDArray[np.floating[Any]]])


def an_ensemble(path: Path) -> None:
    """Use the mean of networks."""
    ensemble = fastbp.Ensemble(fastbp.Network([3, 4, 2], seed=seed) for seed in range(3))
    assert_type(ensemble.forward(X), NDArray[np.floating[Any]])
    assert_type(ensemble.spread(X), NDArray[np.floating[Any]])
    assert_type(ensemble.predict(X), NDArray[Any])
    assert_type(ensemble.evaluate(X, y, missing_targets=True), dict[str, float])
    assert_type(ensemble.members, tuple[fastbp.Network, ...])
    ensemble.save(path)
    assert_type(fastbp.Ensemble.load(path), fastbp.Ensemble)
    print(ensemble.summary(), len(ensemble), ensemble.loss, ensemble.dtype.name)


class Halves(data.Source):
    """A source written by a caller."""

    def read(self, block: int) -> tuple[NDArray[Any], NDArray[Any], None]:
        """Return half of the samples."""
        rows = slice(4 * block, 4 * block + 4)
        return X[rows], y[rows], None


def read_streams(folder: Path, network: fastbp.Network) -> None:
    """Train on sources of blocks."""
    spool = data.Spool(folder)
    spool.append(X, y)
    sources = [
        Halves([4, 4], columns=3),
        spool.source(window_rows=4),
        data.spooled([(X, y), (X, y)], folder=folder),
        data.ArraySource(folder / "x.npy", folder / "y.npy", block_rows=2),
        data.ParquetSource([folder / "rows.parquet"], "y", features=["a", "b"]),
    ]
    assert_type(sources, list[data.Source])
    assert_type(sources[0].blocks, tuple[int, ...])
    for source in sources:
        network.fit(source, epochs=2)
    network.fit(iter([(X, y), (csr_array(X), y)]), steps_per_epoch=2, max_time=1.5)


def fit_estimators(folder: Path) -> None:
    """Fit scikit-learn's estimators on fastbp's kernels."""
    classifier = fastbp.MLPClassifier((20, 10), optimizer=fastbp.Adam(1e-3), schedule=None)
    fastbp.MLPClassifier(label_smoothing=0.1, soft_labels=True).score(X, y)
    assert_type(classifier.fit(X, y, eval_set=(X, y)), fastbp.MLPClassifier)
    weights = np.ones(8)
    classifier.fit(X, y, eval_set=[(X, y, weights)])
    fitted = classifier.fit(X, y, X_val=X, y_val=y, sample_weight_val=weights)
    assert_type(fitted, fastbp.MLPClassifier)
    assert_type(classifier.partial_fit(X, y, classes=[0, 1], epoch=0.5), fastbp.MLPClassifier)
    assert_type(classifier.partial_fit(data.ArraySource(X, y)), fastbp.MLPClassifier)
    assert_type(classifier.predict(X), NDArray[Any])
    assert_type(classifier.predict_proba(X), NDArray[np.floating[Any]])
    assert_type(classifier.predict_log_proba(X), NDArray[np.floating[Any]])
    assert_type(classifier.input_gradient(X), NDArray[np.floating[Any]])
    quantiles = fastbp.MLPRegressor("quantile", loss_parameter=(0.1, 0.9), max_iter=500)
    print(quantiles.fit(X, X[:, 0]).predict(X), fastbp.MLPRegressor(monotonic_cst=[1, 0, -1]))
    regressor = fastbp.MLPRegressor("huber", 8, warm_start="exact", dropout=[0.1])
    assert_type(regressor.fit(X, X[:, 0]), fastbp.MLPRegressor)
    assert_type(regressor.partial_fit([(X, X[:, 0])]), fastbp.MLPRegressor)
    assert_type(regressor.predict(X), NDArray[np.floating[Any]])
    plan = fastbp.plan_ranks(fastbp.Network([3, 2]), 8, 4, ranks=[2])
    assert_type(plan, fastbp.RankPlan)
    assert_type(plan.best.epoch + plan.speedup(plan.entries[0]) + plan.shared.latency, float)
    results = fastbp.fit_many([{"sizes": [3, 2], "epochs": 2}], X, y, folds=2, seeds=[1])
    assert_type([result.scores for result in results], list[dict[str, float]])
    search = fastbp.MLPSearchCV(regressor, {"alpha": [0.1, 1.0]}, cv=2, n_threads="auto")
    assert_type(search.fit(X, X[:, 0]), fastbp.MLPSearchCV)
    fastbp.MLPSearchCV(regressor, {"alpha": [0.1]}, pruning="halving", factor=2, min_epochs=None)
    votes = fastbp.MLPEnsembleClassifier(classifier, 3, members="folds", cv=4, n_threads=2)
    assert_type(votes.fit(X, y, sample_weight=weights), fastbp.MLPEnsembleClassifier)
    assert_type(votes.predict_proba(X), NDArray[np.floating[Any]])
    assert_type(votes.oob_score_, float)
    means = fastbp.MLPEnsembleRegressor(members="bags", random_state=0).fit(X, X[:, 0])
    assert_type(means.predict(X), NDArray[np.floating[Any]])
    mean, spread = means.predict(X, return_std=True)
    assert_type(means.predict_std(X), NDArray[np.floating[Any]])
    print(mean.shape, spread.shape, means.oob_prediction_)
    display = fastbp.LossCurveDisplay.from_estimator(regressor, metric=True)
    assert_type(display, fastbp.LossCurveDisplay)
    assert_type(display.plot(log_scale=True).best_epoch, int | None)
    assert_type(fastbp.LossCurveDisplay(loss=[0.5, 0.4]).loss, NDArray[np.float64])


def train_on_a_table(folder: Path) -> None:
    """Train on a table, and use the model."""
    try:
        model = fastbp.train(folder / "rows.csv", "label", epochs=3, checkpoints=folder)
        part = fastbp.train(folder / "rows.csv", "label", epochs=3, search=2, shard="1/2")
        part.save(folder / "part-1")
        model = fastbp.merge_shards([folder / "part-1", folder / "part-2"])
    except fastbp.DataError as error:
        print(error)
        return
    assert_type(model, fastbp.TableModel)
    model.save(folder / "model.safetensors")
    assert_type(fastbp.TableModel.load(folder / "model.safetensors"), fastbp.TableModel)
    model.predict(folder / "more.csv", interval=0.9)
    model.evaluate(folder / "more.csv")


def fit_tables() -> None:
    """Fit scikit-learn's estimators over tables."""
    classifier = fastbp.TabularClassifier(random_state=0, epochs=3, hidden=(8,))
    assert_type(classifier.fit(X, y, np.ones(8), groups=y), fastbp.TabularClassifier)
    assert_type(classifier.predict(X), NDArray[Any])
    assert_type(classifier.predict_proba(X), NDArray[np.floating[Any]])
    assert_type(classifier.predict_log_proba(X), NDArray[np.floating[Any]])
    assert_type(classifier.feature_importances_, NDArray[np.floating[Any]])
    assert_type(classifier.model_, fastbp.TableModel)
    regressor = fastbp.TabularRegressor(epochs=3, loss="huber")
    assert_type(regressor.fit(X, y), fastbp.TabularRegressor)
    assert_type(regressor.predict(X), NDArray[np.floating[Any]])
    assert_type(regressor.predict_interval(X, 0.8), NDArray[np.floating[Any]])
    print(classifier.classes_, regressor.n_outputs_)


def export(folder: Path, network: fastbp.Network) -> None:
    """Write a network in other forms, and read it back."""
    fastbp.to_c(network, folder / "net.c")
    fastbp.to_numpy(network, folder / "net.py")
    fastbp.to_onnx(network, folder / "net.onnx")
    fastbp.register_onnx()
    assert_type(fastbp.from_sklearn(fastbp.to_sklearn(network)), fastbp.Network)
    assert_type(fastbp.from_torch(fastbp.to_torch(network)), fastbp.Network)
    print(list(fastbp.state_dict(network)))


def compute(network: fastbp.Network) -> None:
    """Call the kernels, the measurement of the peak and the warm-up."""
    assert_type(fastbp.measure_peak("float32"), float)
    assert_type(kernels.measure_peak("float64", 1), float)
    assert_type(fastbp.warm_up(["float32"]).seconds, float)
    report = fastbp.warm_up(to="cache", cpu="x86-64-v3", prune=True)
    assert_type(report.folder, Path | None)
    assert_type(report.pruned, tuple[Path, ...])
    W = np.ones((3, 4), np.float32)
    Z = kernels.matmul(X, W)
    assert_type(Z, NDArray[np.floating[Any]])
    A = kernels.activation(Z, "relu")
    assert_type(A, NDArray[np.floating[Any]])
    S = kernels.activation_derivative(Z, "relu")
    assert_type(kernels.hadamard(A, S), NDArray[np.floating[Any]])
    kernels.outer(X, A)
    kernels.loss(A, A, "squared_error")
    kernels.dropout(A, 0.5, seed=0)
    kernels.sparse_matmul(csr_array(X), W)
    kernels.sparse_outer(csr_array(X), A)
    kernels.ramp_matmul(X, [0, 1, 2, 3], W)
    kernels.ramp_outer(X, np.arange(4), A)
    kernels.update("adam", W.ravel(), W.ravel(), np.zeros((2, 12), np.float32), 1)
    kernels.forward_row(network.row_state(), X[0], np.empty(2, np.float32))
    state, targets = network.train_state(4), np.zeros((4, 2), np.float32)
    kernels.forward_batch(state, X, targets)
    kernels.train_step(state, X, targets)
    kernels.train_steps(state, X, targets, np.arange(4))
    kernels.permutation(5, seed=0)
    assert_type(kernels.random_normal(5, seed=0), NDArray[np.float64])
    assert_type(kernels.random_uniform(5, seed=0), NDArray[np.float64])
