"""Plots of training curves with matplotlib, in the style of scikit-learn's displays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..quoted import quoted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..training.history import History

Curves: TypeAlias = Mapping[str, Sequence[float]]
_METRICS = {"val_accuracy": "accuracy", "val_r2": "R²"}
# marks of best epochs: below all curves, so in the lower of two axes
_MARK = "best epoch"


class LossCurveDisplay:
    """Plot of the loss over the epochs, with validation loss and metric if they exist.

    Create it by `from_history` or `from_estimator`; `plot` draws it again. It needs matplotlib,
    the extra ``plot``.

    Parameters
    ----------
    loss : array_like (n_epochs,)
        Training losses; NaN leaves a gap.
    validation_loss, metric : array_like (n_epochs,), optional
        Validation losses and scores.
    metric_name : str, optional
        Name of the score, such as "accuracy".
    best_epoch : int, optional
        The epoch to mark, from 0.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure of the plot.
    loss_line_, validation_line_, metric_line_, best_line_ : matplotlib Line2D or None
        Lines of the training loss, the validation loss, the metric and the best epoch; None if
        not drawn.
    metric_ax_ : matplotlib Axes or None
        Second axes, on the right, if the metric was requested.

    Raises
    ------
    ValueError
        If there is no epoch, or the curves differ in length.

    Examples
    --------
    >>> from fastbp import LossCurveDisplay
    >>> history = {"loss": [0.9, 0.5, 0.4], "val_loss": [0.8, 0.6, 0.7]}
    >>> display = LossCurveDisplay.from_history(history, log_scale=True)
    >>> display.best_epoch
    1
    """

    def __init__(
        self,
        *,
        loss: ArrayLike,
        validation_loss: ArrayLike | None = None,
        metric: ArrayLike | None = None,
        metric_name: str | None = None,
        best_epoch: int | None = None,
    ) -> None:
        self.loss = _curve("loss", loss)
        count = len(self.loss)
        if not count:
            raise ValueError("loss: no epochs; train for at least one first")
        self.validation_loss = _optional("validation_loss", validation_loss, count)
        self.metric = _optional("metric", metric, count)
        self.metric_name = metric_name
        if best_epoch is not None and not 0 <= best_epoch < count:
            raise ValueError(
                f"best_epoch={quoted(best_epoch)}: expected one of {count} epochs, from 0"
            )
        self.best_epoch = best_epoch

    @classmethod
    def from_history(
        cls, history: History | Curves | Any, *, ax: Axes | None = None, **options: Any
    ) -> LossCurveDisplay:
        """Draw the history that `fit` returned.

        Parameters
        ----------
        history : History, dict of lists, or a fitted model with a ``history``
            In a dict, ``loss``, and if present ``val_loss`` and ``val_accuracy`` or ``val_r2``.
            The best epoch is the history's; in a dict, that of the lowest validation loss, or
            else of the lowest loss.
        ax : matplotlib Axes, optional
            Axes to draw on; default: a new figure.
        **options
            As for `plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError, ValueError
            If it is not a history, or has no epochs.
        ModuleNotFoundError
            If matplotlib is missing.
        """
        curves, best = _of_history(history)
        if "loss" not in curves:
            missing = f"losses, only {sorted(curves)}" if curves else "epochs"
            raise ValueError(f"history: no {missing}; call fit first")
        metric = next((name for name in _METRICS if name in curves), "")
        display = cls(
            loss=curves["loss"],
            validation_loss=curves.get("val_loss"),
            metric=curves.get(metric),
            metric_name=_METRICS.get(metric),
        )
        display.best_epoch = display._lowest() if best is None else best
        return display.plot(ax=ax, **options)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Axes | None = None, **options: Any
    ) -> LossCurveDisplay:
        """Draw the curves of a fitted MLP of fastbp or scikit-learn.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Its ``loss_curve_``, ``validation_loss_curve_`` and ``validation_scores_`` are drawn.
            The best epoch is that of the highest score, else of the lowest validation loss,
            else of the lowest loss.
        ax : matplotlib Axes, optional
            Axes to draw on; default: a new figure.
        **options
            As for `plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError, ValueError
            If it has no ``loss_curve_``, or an empty one.
        ModuleNotFoundError
            If matplotlib is missing.
        """
        loss = getattr(estimator, "loss_curve_", None)
        if loss is None:
            raise TypeError(
                f"estimator={quoted(estimator)}: expected a fitted MLP with a loss_curve_ (pass "
                "the last step of a pipeline, pipeline[-1]; scikit-learn's have none with lbfgs)"
            )
        scores = getattr(estimator, "validation_scores_", None)
        validation_loss = getattr(estimator, "validation_loss_curve_", None)
        display = cls(
            loss=loss,
            validation_loss=_at_the_end(validation_loss, len(loss)),
            metric=_at_the_end(scores, len(loss)),
            metric_name=_score_name(estimator) if scores else None,
        )
        score = display.metric
        if score is None or np.isnan(score).all():
            display.best_epoch = display._lowest()
        else:
            display.best_epoch = int(np.nanargmax(score))
        return display.plot(ax=ax, **options)

    def _lowest(self) -> int | None:
        """Return the epoch of the lowest validation loss, else of the lowest loss."""
        for curve in (self.validation_loss, self.loss):
            if curve is not None and not np.isnan(curve).all():
                return int(np.nanargmin(curve))
        return None

    def plot(
        self,
        ax: Axes | None = None,
        *,
        metric: bool = False,
        log_scale: bool = False,
        name: str | None = None,
        loss_kw: Mapping[str, Any] | None = None,
        validation_kw: Mapping[str, Any] | None = None,
        metric_kw: Mapping[str, Any] | None = None,
    ) -> LossCurveDisplay:
        """Draw the curves; epochs count from 1.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; default: a new figure, by pyplot.
        metric : bool, default False
            Whether to draw the metric, on a second axis on the right.
        log_scale : bool, default False
            Whether the axis of the loss is logarithmic, which omits losses of 0.
        name : str, optional
            Name of this training in the legend, for several on one `ax`.
        loss_kw, validation_kw, metric_kw : dict, optional
            Further arguments of the lines, as for ``Axes.plot``.

        Returns
        -------
        LossCurveDisplay
            Itself, with the attributes that end in an underscore.

        Raises
        ------
        ValueError
            If there is no metric to draw, or `log_scale` is set and no loss is positive.
        ModuleNotFoundError
            If matplotlib is missing.
        """
        self._check(metric, log_scale)
        ax = _axes(ax)
        self.ax_ = ax
        self.figure_ = ax.figure
        self.metric_ax_: Any = None
        self.validation_line_ = self.metric_line_ = self.best_line_ = None
        before = "" if name is None else f"{name}: "
        self.loss_line_ = _draw(ax, self.loss, f"{before}training loss", loss_kw)
        if self.validation_loss is not None:
            label = f"{before}validation loss"
            self.validation_line_ = _draw(ax, self.validation_loss, label, validation_kw)
        if metric:
            self._plot_metric(before, metric_kw)
        if self.best_epoch is not None:
            label = f"{before}best epoch, {self.best_epoch + 1}"
            self.best_line_ = (_second(ax) or ax).axvline(
                self.best_epoch + 1, color="0.5", linestyle=":", zorder=0, label=label, gid=_MARK
            )
        if log_scale:
            ax.set_yscale("log", nonpositive="mask")
        left, right = ax.get_xlim()
        ax.set_xlim(max(left, 0.5), right, auto=True)  # there is no epoch 0
        ax.set(xlabel="Epoch", ylabel="Loss")
        self._legend()
        return self

    def _check(self, metric, log_scale):
        if metric and self.metric is None:
            raise ValueError("metric=True: no metric; fit with validation_data")
        drawn = [c for c in (self.loss, self.validation_loss) if c is not None]
        if log_scale and not (np.concatenate(drawn) > 0).any():
            raise ValueError("log_scale=True: no loss is positive")

    def _plot_metric(self, before, metric_kw):
        self.metric_ax_ = _second(self.ax_) or _below(self.ax_)
        score = self.metric_name or "metric"
        label = f"{before}validation {score}"
        self.metric_line_ = _draw(self.metric_ax_, self.metric, label, metric_kw, linestyle="--")
        self.metric_ax_.set_ylabel(f"Validation {score}")

    def _legend(self):
        """Draw one legend for both axes, on the upper one."""
        handles, labels = self.ax_.get_legend_handles_labels()
        second = _second(self.ax_)
        if second is not None:
            more = second.get_legend_handles_labels()
            handles, labels = handles + more[0], labels + more[1]
            # the first axes go above the second, which would hide the legend
            if self.ax_.patch.get_visible():
                second.patch.set_visible(True)
                self.ax_.patch.set_visible(False)
            self.ax_.set_zorder(second.get_zorder() + 1)
        self.ax_.legend(handles, labels)


def _axes(ax: Any) -> Any:
    """Return `ax`, or the axes of a new figure, with ticks at whole epochs."""
    try:
        from matplotlib.ticker import MaxNLocator
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "LossCurveDisplay needs matplotlib: python -m pip install 'fastbp[plot]'"
        ) from error
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots()[1]
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return ax


def _second(ax: Any) -> Any:
    """Return the axes of a metric drawn on `ax` before, or None."""
    shared = ax.get_shared_x_axes()
    for other in ax.figure.axes:
        if other is not ax and shared.joined(ax, other) and other.bbox.bounds == ax.bbox.bounds:
            return other
    return None


def _below(ax: Any) -> Any:
    """Return new axes for a metric, which `_legend` puts below `ax`, with the marks of `ax`."""
    second = ax.twinx()
    for mark in [line for line in ax.get_lines() if line.get_gid() == _MARK]:
        mark.remove()
        second.add_line(mark)
    return second


def _free_color(ax: Any) -> str | None:
    """Return a colour of the cycle that no line has on either axes: each has its own cycle."""
    from matplotlib.colors import to_rgba

    lines = [*ax.get_lines(), *getattr(_second(ax), "lines", ())]
    used = {to_rgba(line.get_color()) for line in lines}
    return next((f"C{n}" for n in range(10) if to_rgba(f"C{n}") not in used), None)


def _draw(ax: Any, curve: Any, label: str, options: Mapping[str, Any] | None, **style: Any) -> Any:
    """Draw a curve over the epochs from 1, with a dot where both neighbours are missing."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    seen = np.concatenate([[False], np.isfinite(curve), [False]])
    alone = np.flatnonzero(seen[1:-1] & ~seen[:-2] & ~seen[2:]).tolist()
    dots = {"marker": "o", "markevery": alone} if alone else {}
    given = normalize_kwargs(dict(options or {}), Line2D)  # such as lw for linewidth
    style |= {"label": label, "color": _free_color(ax), **dots, **given}
    return ax.plot(np.arange(1, len(curve) + 1), curve, **style)[0]


def _curve(name: str, values: ArrayLike) -> NDArray[np.float64]:
    curve = np.array(values, dtype=np.float64)
    if curve.ndim != 1:
        raise ValueError(f"{name}: expected one number per epoch, got shape {curve.shape}")
    return curve


def _optional(name: str, values: ArrayLike | None, count: int) -> NDArray[np.float64] | None:
    curve = None if values is None else _curve(name, values)
    if curve is not None and len(curve) != count:
        raise ValueError(f"{name} has {len(curve)} epochs, but the loss has {count}")
    return curve


def _at_the_end(values: Sequence[float] | None, count: int) -> list[float] | None:
    """Return `values` as those of the last epochs, after NaN: a warm start may add validation."""
    if values is None or not len(values):
        return None
    return [np.nan] * (count - len(values)) + list(values)[-count:]


def _of_history(history: Any) -> tuple[dict[str, list[float]], int | None]:
    """Return a dict of curves, and the best epoch if it is known."""
    if isinstance(history, dict):
        curves = {name: list(values) for name, values in history.items()}
        return {name: values for name, values in curves.items() if values}, None
    epochs = getattr(history, "epochs", None)
    if isinstance(epochs, list):
        names = epochs[0] if epochs else ()
        return {name: [entry[name] for entry in epochs] for name in names}, history.best_epoch
    if not hasattr(history, "history"):
        raise TypeError(
            f"history={quoted(history)}: expected the history that fit returned, a dict of "
            "lists, or a model with a history"
        )
    if history.history is None:
        raise ValueError("history: this model has no history; call fit first")
    curves, best = _of_history(history.history)
    record = getattr(history, "record", None) or {}
    return curves, record.get("best_epoch", best)


def _score_name(estimator: Any) -> str:
    """Return the name of the scores of early stopping."""
    scoring = getattr(estimator, "scoring", None)
    if scoring is not None:
        return scoring.replace("_", " ") if isinstance(scoring, str) else "score"
    kind = getattr(estimator, "_estimator_type", None)
    if kind is None:
        from sklearn.base import is_classifier

        kind = "classifier" if is_classifier(estimator) else "regressor"
    return "accuracy" if kind == "classifier" else "R²"
