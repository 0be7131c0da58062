"""One training of `fit_many`: what is trained, on which rows, and how much work it is."""

import inspect
import itertools
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..data.samples import samples
from ..data.weights import allowed_of
from ..engine.monotonic import require_signs
from ..engine.plan import step_flops
from ..errors import DivergenceError
from ..kernels.formulas.losses import LOSSES
from ..kernels.support.scalars import a_whole_number
from ..kernels.tuning import PACKED_PARAMETERS
from ..network import Network
from ..quoted import quoted
from ..training.checkpoints import Checkpoints
from ..training.interrupt import Stop
from ..training.metrics import scores_of
from ..training.stopped import Stopped
from .settings import key_of
from .shared import Fold, Rows, Shared, taken

# what a dict may hold: parameters of a network, or a model, and arguments of its `fit`
_OF_NETWORK = frozenset(inspect.signature(Network).parameters)
_OF_FIT = frozenset(inspect.signature(Network.fit).parameters) - {
    *("self", "X", "y", "sample_weight", "n_threads", "progress", "max_time"),
    *("checkpoints", "resume", "steps_per_epoch", "comm", "sync", "average_every", "signed"),
}
_MODELS = ("network", "estimator")
_KNOWN = _OF_NETWORK | _OF_FIT | {*_MODELS, "rows", "sample_weight"}


@dataclass(slots=True)
class Result:
    """What became of one job.

    Attributes
    ----------
    job : int
        Its place among the jobs, from 0.
    settings : dict
        What the caller gave for it, without the model.
    fold, seed : int or None
        Its fold and its seed, if there are several.
    network, estimator : Network or estimator, or None
        The trained model, one of the two.
    history : History or None
        That of a network.
    scores : dict
        Of the rows that the fold holds back: the loss and the metric of a network, the score of an
        estimator; empty without folds, and if the training was stopped.
    stopped : Stopped or None
        Why the training ended; "time" or "interrupted" too of jobs that had not begun.
    error : exception or None
        Why there is no result. A network that diverged is there, with its best weights.
    seconds : float
        The time it took.
    """

    job: int
    settings: dict[str, Any]
    fold: int | None = None
    seed: int | None = None
    network: Network | None = None
    estimator: Any = None
    history: Any = None
    scores: dict[str, float] = field(default_factory=dict)
    stopped: Stopped | None = None
    error: BaseException | None = None
    seconds: float = 0.0


class Kind(NamedTuple):
    """What a model is: a network or an estimator, of classes or not, and its work per row.

    That of a network is of one epoch, that of an estimator of all. `bytes` are those that a new
    network takes, once it is trained. `network` is a small one,
    of which the networks of dicts are siblings, and `shape` what a pack has in common; None else.
    """

    is_network: bool
    classifies: bool
    flops: int
    bytes: int = 0
    network: Network | None = None
    shape: tuple[Any, ...] | None = None

    @classmethod
    def of_network(cls, network: Network, columns: int) -> "Kind":
        """Return that of a network; ValueError unless it has an input for each column."""
        if network.layers[0].n_in != columns:
            n_in = network.layers[0].n_in
            raise ValueError(f"X has {columns} columns but the network has {n_in} inputs")
        require_signs(network.engine.plan, network.parameters)
        products = [layer.n_in * layer.n_out for layer in network.layers]
        classifies = LOSSES.find(network.loss).targets in ("classes", "unit")
        flops, taken = step_flops(products), 4 * network.parameters.nbytes
        # a class of the caller's may train otherwise
        if type(network) is not Network or len(network.parameters) > PACKED_PARAMETERS:
            return cls(True, classifies, flops, taken)
        drop, dtype = network.input_dropout, network.dtype
        shape = (network.layers, drop, dtype, network.loss, network.loss_parameter)
        return cls(True, classifies, flops, taken, network, shape)

    @classmethod
    def of_estimator(cls, estimator: Any, columns: int) -> "Kind":
        """Return that of an estimator of so many columns."""
        from sklearn.base import is_classifier

        sizes = [columns, *np.ravel(estimator.hidden_layer_sizes).tolist(), 1]
        if not all(isinstance(size, int) for size in [*sizes, estimator.max_iter]):
            return cls(False, is_classifier(estimator), 0)  # whose fit will say so
        products = [one * next_one for one, next_one in itertools.pairwise(sizes)]
        return cls(False, is_classifier(estimator), step_flops(products) * estimator.max_iter)


@dataclass(frozen=True, slots=True)
class Job:
    """One training.

    `model` is trained in place if it is a network, and cloned if it is an estimator; otherwise
    a network is made of `parameters`. `options` are those of `Network.fit`. `weight` (n,)
    multiplies that of all jobs in training.
    """

    number: int
    kind: Kind
    settings: dict[str, Any]
    model: Any
    parameters: dict[str, Any]
    options: dict[str, Any]
    rows: Rows | None = None
    fold: Fold | None = None
    seed: int | None = None
    checkpoints: Checkpoints | None = None
    weight: npt.NDArray | None = None

    def result(self, **facts: Any) -> Result:
        """Return a `Result` of the job."""
        fold = None if self.fold is None else self.fold.number
        if "network" not in facts and isinstance(self.model, Network):
            facts["network"] = self.model
        return Result(self.number, self.settings, fold, self.seed, **facts)

    def made(self) -> Any:
        """Return what is trained: the network, a clone of the estimator, or a new network."""
        if isinstance(self.model, Network):
            return self.model
        if self.model is None:
            seed = self.parameters.get("seed") if self.seed is None else self.seed
            like = self.kind.network
            return (
                Network(**self.parameters | {"seed": seed})
                if like is None
                else like.with_seed(seed)
            )
        from sklearn.base import clone

        estimator = clone(self.model)
        return estimator if self.seed is None else estimator.set_params(random_state=self.seed)

    @property
    def trains(self) -> Rows | None:
        """The rows that it trains on; None for all."""
        return self.rows if self.fold is None else self.fold.trains

    def rows_of(self, count: int) -> int:
        """Return how many of `count` rows it trains on."""
        return count if self.trains is None else len(self.trains)

    def work(self, count: int) -> float:
        """Return about how many operations it takes on `count` rows, up to the last epoch."""
        epochs = self.options.get("epochs", 10) if self.kind.is_network else 1
        return float(self.rows_of(count) * epochs * self.kind.flops)

    @property
    def name(self) -> str:
        """A name that no other job of the call has: its place, its seed and its fold."""
        parts = [f"job-{self.number:05d}"]
        parts += [] if self.seed is None else [f"seed-{self.seed}"]
        parts += [] if self.fold is None else [f"fold-{self.fold.number}"]
        return "-".join(parts)

    def run(self, shared: Shared, stop: Stop, n_threads: Any) -> Result:
        """Train; return the `Result`."""
        if stop.seen:
            return self.result(stopped=stop.stopped)
        with stop.applies():
            started = time.perf_counter()
            model = self.made()
            train = self._network if self.kind.is_network else self._estimator
            try:
                result = train(model, shared, stop, n_threads)
            except DivergenceError as error:  # the model has its best weights
                kind = "network" if self.kind.is_network else "estimator"
                result = self.result(**{kind: model, "error": error, "stopped": Stopped.DIVERGED})
        return replace(result, seconds=time.perf_counter() - started)

    def _part(self, shared, dtype, tests=False):
        """Return X, y and the weights of the rows that train, or that are scored."""
        X = shared.rows(dtype, self.fold, tests)
        y, weight = shared.y, shared.weight
        if self.weight is not None and not tests:
            weight = self.weight if weight is None else (weight.T * self.weight).T
        if self.fold is not None:
            which = self.fold.tests if tests else self.fold.trains
            y, weight = y[which], None if weight is None else weight[which]
        if self.rows is not None and not tests:
            X, y = taken(X, self.rows), y[self.rows]
            weight = None if weight is None else weight[self.rows]
        return X, y, weight

    def _network(self, network, shared, stop, n_threads):
        X, y, weight = self._part(shared, network.dtype)
        kept = {"checkpoints": self.checkpoints, "resume": self.checkpoints is not None}
        given = {"sample_weight": weight, "n_threads": n_threads, **kept, **self.options}
        history = network.fit(X, y, **given)
        scores = {}
        if self.fold is not None and not stop.seen:
            X, y, weight = self._part(shared, network.dtype, tests=True)
            allowed = allowed_of(self.options.get("missing_targets", False))
            data = samples(X, y, network.engine.plan, network.loss, weight, allowed=allowed)
            scores = scores_of(network.engine, data, n_threads, lambda: not stop.seen)
        network.engine.release()  # of so many models, only those that run have buffers
        facts = {"history": history, "scores": scores, "stopped": history.stopped}
        return self.result(**{"network": network, **facts})

    def _estimator(self, estimator, shared, stop, n_threads):
        asked = estimator.n_threads
        estimator.set_params(n_threads=n_threads)
        X, y, weight = self._part(shared, None)
        estimator.fit(X, y, **({} if weight is None else {"sample_weight": weight}))
        estimator.set_params(n_threads=asked)
        if stop.seen:
            return self.result(estimator=estimator, stopped=stop.stopped)
        scores = {}
        if self.fold is not None:
            X, y, weight = self._part(shared, None, tests=True)
            scores = {"score": float(estimator.score(X, y, sample_weight=weight))}
        ended = estimator.n_iter_ >= estimator.max_iter
        stopped = Stopped.EPOCHS if ended else Stopped.CONVERGED
        return self.result(estimator=estimator, scores=scores, stopped=stopped)


def jobs_of(given: Iterable[Any], options: Mapping[str, Any], shape: tuple[int, int]) -> list[Job]:
    """Return the jobs that a caller gave for X of a shape, with `options` of `Network.fit`.

    ValueError or TypeError if there is none, or one is not a model or a dict of its parameters.
    """
    if isinstance(given, (Network, Mapping, str)) or not isinstance(given, Iterable):
        raise TypeError(
            f"jobs={quoted(given)}: expected a sequence of networks, estimators or dicts"
        )
    _check_names("fit_many", options, _OF_FIT)
    kinds: dict[Any, Kind] = {}
    jobs = [_job(number, each, options, shape, kinds) for number, each in enumerate(given)]
    if not jobs:
        raise ValueError("jobs: there are none; give at least one")
    _check_distinct(jobs)
    return jobs


def crossed(jobs: Sequence[Job], seeds: Sequence[int], folds: Sequence[Fold]) -> list[Job]:
    """Return each job with each seed and each fold; ValueError for networks, trained in place."""
    for job in jobs:
        if isinstance(job.model, Network) and (folds or seeds):
            raise ValueError(
                f"jobs[{job.number}] is a network, which is trained in place: with "
                f"{'folds' if folds else 'seeds'}, give its parameters in a dict"
            )
        if job.rows is not None and folds:
            raise ValueError(f"jobs[{job.number}] has rows: folds choose them; leave one out")
    if not seeds and not folds:
        return list(jobs)
    every_seed: Sequence[int | None] = seeds or [None]
    every_fold: Sequence[Fold | None] = folds or [None]
    crossing = itertools.product(jobs, every_seed, every_fold)
    return [replace(job, seed=seed, fold=fold) for job, seed, fold in crossing]


def _job(number, given, options, shape, kinds):
    name = f"jobs[{number}]"
    is_dict = type(given) is dict or isinstance(given, Mapping)
    settings = dict(given) if is_dict else {}
    models = [settings.pop(key) for key in _MODELS if key in settings] if is_dict else [given]
    if len(models) > 1:
        raise ValueError(f"{name}: names a network and an estimator; choose one")
    rows = _rows(name, settings.pop("rows", None), shape[0])
    weight = _weight(name, settings.pop("sample_weight", None), shape[0])
    own = {key: value for key, value in settings.items() if key in _OF_FIT}
    parameters = {key: value for key, value in settings.items() if key not in _OF_FIT}
    own = {**options, **own} if own else options
    model = models[0] if models else None
    if model is None:
        _check_names(name, parameters, _KNOWN)
        kind = _kind_of_new(name, parameters, shape[1], kinds)
    elif isinstance(model, Network):
        _check_names(name, parameters, _KNOWN - _OF_NETWORK)
        kind = _naming(name, Kind.of_network, model, shape[1])
    elif _is_estimator(model):
        for key in {**parameters, **own}:
            raise ValueError(
                f"{name} is an estimator, which takes no {quoted(key)}: set its parameters"
            )
        kind = Kind.of_estimator(model, shape[1])
    else:
        raise TypeError(
            f"{name} is {type(model).__name__}: expected a Network, an MLPClassifier or "
            "MLPRegressor of fastbp, or a dict"
        )
    if kind.is_network and "epochs" in own:
        a_whole_number(f"{name}: epochs", own["epochs"], least=1)
    return Job(number, kind, settings, model, parameters, own, rows, weight=weight)


def _check_names(name, given, known):
    for key in given:
        if key not in known:
            raise ValueError(f"{name}: {quoted(key)} is none of {', '.join(sorted(known))}")


def _kind_of_new(name, parameters, columns, kinds):
    """Make a network once for all that differ by their seeds, so that errors come before work."""
    seed = parameters.get("seed")
    if seed is not None:
        a_whole_number(f"{name}: seed", seed, least=0, below=2**63)
    key = tuple((n, key_of(value)) for n, value in parameters.items() if n != "seed")
    if key not in kinds:
        network = _naming(name, Network, **parameters)
        kinds[key] = _naming(name, Kind.of_network, network, columns)
    return kinds[key]


def _naming(name, function, *arguments, **options):
    """Return what a function returns; a ValueError or TypeError names the job."""
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def _is_estimator(model):
    """Return whether a model is an estimator of fastbp: there is none until they are imported."""
    classes = sys.modules.get(f"{__package__.rpartition('.')[0]}.estimators")
    return classes is not None and isinstance(model, (classes.MLPClassifier, classes.MLPRegressor))


def _rows(name, rows, count):
    """Return the numbers of a job's rows, given as such or as a mask."""
    if rows is None:
        return None
    found = np.asarray(rows)
    if found.dtype.kind == "b" and found.shape == (count,):
        found = np.flatnonzero(found)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "ui":
        raise ValueError(
            f"{name}: rows={quoted(rows)}: expected numbers of rows, or a mask of {count:,}"
        )
    if found.min() < 0 or found.max() >= count:
        raise ValueError(f"{name}: rows={quoted(rows)}: expected numbers from 0 to {count - 1:,}")
    return found.astype(np.intp)


def _weight(name, weight, count):
    """Return a job's own weights of all rows."""
    found = None if weight is None else np.asarray(weight)
    if found is not None and found.shape != (count,):
        raise ValueError(f"{name}: sample_weight has shape {found.shape}, and X {count:,} rows")
    return found


def _check_distinct(jobs):
    """Raise ValueError if two jobs train one network."""
    seen: dict[int, int] = {}
    for job in jobs:
        if isinstance(job.model, Network):
            first = seen.setdefault(id(job.model), job.number)
            if first != job.number:
                raise ValueError(
                    f"jobs[{first}] and jobs[{job.number}] are one network, which is trained in "
                    "place: give each a copy (copy.deepcopy)"
                )
