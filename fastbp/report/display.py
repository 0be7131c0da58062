"""The curves of a training, drawn with matplotlib in the manner of scikit-learn's displays."""

import numpy as np

_METRICS = {"val_accuracy": "accuracy", "val_r2": "R²"}


class LossCurveDisplay:
    """Loss over the epochs, with the validation loss and its metric where there are any.

    Make one with `from_history` or `from_estimator`; what they were given is kept, so that
    `plot` can draw it again. It needs matplotlib, the extra ``plot``.

    Parameters
    ----------
    loss : array_like (n_epochs,)
        Training losses; NaN leaves a gap.
    validation_loss, metric : array_like (n_epochs,), optional
        Validation losses, and a score of the validation data.
    metric_name : str, optional
        What that score is, such as "accuracy".
    best_epoch : int, optional
        The epoch to mark, from 0.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.
    loss_line_, validation_line_, metric_line_, best_line_ : matplotlib Line2D or None
        The training loss, the validation loss, the metric and the mark of the best epoch;
        None is what was not drawn.
    metric_ax_ : matplotlib Axes or None
        The second axis, on the right, if the metric was asked for.

    Raises
    ------
    ValueError
        If there is no epoch, or the curves are not of one length.

    Examples
    --------
    >>> from fastbp import LossCurveDisplay
    >>> history = {"loss": [0.9, 0.5, 0.4], "val_loss": [0.8, 0.6, 0.7]}
    >>> display = LossCurveDisplay.from_history(history, log_scale=True)
    >>> display.best_epoch
    1
    """

    def __init__(
        self, *, loss, validation_loss=None, metric=None, metric_name=None, best_epoch=None
    ):
        self.loss = _curve("loss", loss)
        count = len(self.loss)
        if not count:
            raise ValueError("loss: it holds no epoch; train for at least one, then draw")
        self.validation_loss = _curve("validation_loss", validation_loss, count)
        self.metric, self.metric_name = _curve("metric", metric, count), metric_name
        if best_epoch is not None and not 0 <= best_epoch < count:
            raise ValueError(f"best_epoch={best_epoch!r}: expected one of {count} epochs, from 0")
        self.best_epoch = best_epoch

    @classmethod
    def from_history(cls, history, *, ax=None, **options):
        """Draw what `fit` returned.

        Parameters
        ----------
        history : History, dict of lists, or a fitted model with its ``history``
            Of a dict ``loss`` is drawn, with ``val_loss`` and ``val_accuracy`` or ``val_r2``.
            The best epoch is the one it names; in a dict, that of the lowest validation loss,
            or without any of the lowest loss.
        ax : matplotlib Axes, optional
            Where to draw; default: a new figure.
        **options
            As for `plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no history, or holds no epoch.
        ModuleNotFoundError
            If matplotlib is missing.
        """
        curves, best = _of_history(history)
        if "loss" not in curves:
            raise ValueError(
                f"history: it holds no epoch with a loss, only {sorted(curves)}; call fit first"
                if curves
                else "history: it holds no epoch; call fit first"
            )
        metric = next((name for name in _METRICS if name in curves), None)
        display = cls(
            loss=curves["loss"],
            validation_loss=curves.get("val_loss"),
            metric=None if metric is None else curves[metric],
            metric_name=None if metric is None else _METRICS[metric],
        )
        display.best_epoch = display._lowest() if best is None else best
        return display.plot(ax=ax, **options)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **options):
        """Draw the curves of a fitted MLP, fastbp's or scikit-learn's own.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Its ``loss_curve_``, ``validation_loss_curve_`` and ``validation_scores_`` are drawn.
            The best epoch is that of the highest score, of the lowest validation loss, or of
            the lowest loss: the first of these that there is.
        ax : matplotlib Axes, optional
            Where to draw; default: a new figure.
        **options
            As for `plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError, ValueError
            If it has no ``loss_curve_``, or one of no epoch.
        ModuleNotFoundError
            If matplotlib is missing.
        """
        loss = getattr(estimator, "loss_curve_", None)
        if loss is None:
            raise TypeError(
                f"estimator={estimator!r}: expected a fitted MLP with a loss_curve_ (of a pipeline "
                "give its last step, pipeline[-1]; scikit-learn's own keep none with lbfgs)"
            )
        scores = getattr(estimator, "validation_scores_", None)
        display = cls(
            loss=loss,
            validation_loss=_at_the_end(
                getattr(estimator, "validation_loss_curve_", None), len(loss)
            ),
            metric=_at_the_end(scores, len(loss)),
            metric_name=_score_name(estimator) if scores else None,
        )
        has_score = display.metric is not None and not np.isnan(display.metric).all()
        display.best_epoch = int(np.nanargmax(display.metric)) if has_score else display._lowest()
        return display.plot(ax=ax, **options)

    def _lowest(self):
        """Return the epoch of the lowest validation loss, else of the lowest loss, or None."""
        for curve in (self.validation_loss, self.loss):
            if curve is not None and not np.isnan(curve).all():
                return int(np.nanargmin(curve))
        return None

    def plot(
        self,
        ax=None,
        *,
        metric=False,
        log_scale=False,
        name=None,
        loss_kw=None,
        validation_kw=None,
        metric_kw=None,
    ):
        """Draw the curves; epochs count from 1.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default: a new figure, by pyplot.
        metric : bool, default False
            Whether to draw the metric too, on a second axis at the right.
        log_scale : bool, default False
            Whether the axis of the loss is logarithmic; losses of 0 are left out then.
        name : str, optional
            What the legend calls this training, where several are drawn on one `ax`.
        loss_kw, validation_kw, metric_kw : dict, optional
            Further arguments of the lines, as for ``Axes.plot``.

        Returns
        -------
        LossCurveDisplay
            Itself, with the attributes that end in an underscore.

        Raises
        ------
        ValueError
            If a metric is asked for that there is not, or a logarithm of no loss above 0.
        ModuleNotFoundError
            If matplotlib is missing.
        """
        self._check(metric, log_scale)
        ax = _axes(ax)
        self.ax_, self.figure_, self.metric_ax_ = ax, ax.figure, None
        self.validation_line_ = self.metric_line_ = self.best_line_ = None
        before = "" if name is None else f"{name}: "
        self.loss_line_ = _draw(ax, self.loss, f"{before}training loss", loss_kw)
        if self.validation_loss is not None:
            label = f"{before}validation loss"
            self.validation_line_ = _draw(ax, self.validation_loss, label, validation_kw)
        if metric:
            self._plot_metric(before, metric_kw)
        if self.best_epoch is not None:
            self.best_line_ = ax.axvline(
                self.best_epoch + 1,
                color="0.5",
                linestyle=":",
                zorder=1,
                label=f"{before}best epoch, {self.best_epoch + 1}",
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
            raise ValueError("metric=True: there is no metric; fit with validation_data")
        drawn = [c for c in (self.loss, self.validation_loss) if c is not None]
        if log_scale and not (np.concatenate(drawn) > 0).any():
            raise ValueError("log_scale=True: no loss is above 0; leave it out")

    def _plot_metric(self, before, metric_kw):
        self.metric_ax_ = _second(self.ax_) or self.ax_.twinx()
        score = self.metric_name or "metric"
        label = f"{before}validation {score}"
        self.metric_line_ = _draw(self.metric_ax_, self.metric, label, metric_kw, linestyle="--")
        self.metric_ax_.set_ylabel(f"Validation {score}")

    def _legend(self):
        """Draw one legend of both axes, on the one that lies on top."""
        handles, labels = self.ax_.get_legend_handles_labels()
        second = _second(self.ax_)
        if second is not None:
            more = second.get_legend_handles_labels()
            handles, labels = handles + more[0], labels + more[1]
            # what is drawn last must not hide the legend: put the first axis above the second
            if self.ax_.patch.get_visible():
                second.patch.set_visible(True)
                self.ax_.patch.set_visible(False)
            self.ax_.set_zorder(second.get_zorder() + 1)
        self.ax_.legend(handles, labels)


def _axes(ax):
    """Return `ax`, or the axes of a new figure; count its ticks in whole epochs."""
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


def _second(ax):
    """Return the axes that lie on `ax` and share its epochs, those of an earlier metric."""
    shared = ax.get_shared_x_axes()
    for other in ax.figure.axes:
        if other is not ax and shared.joined(ax, other) and other.bbox.bounds == ax.bbox.bounds:
            return other
    return None


def _free_color(ax):
    """Return a colour of the cycle that no line has, on either axis: each has its own cycle."""
    from matplotlib.colors import to_rgba

    lines = [*ax.get_lines(), *getattr(_second(ax), "lines", ())]
    used = {to_rgba(line.get_color()) for line in lines}
    return next((f"C{n}" for n in range(10) if to_rgba(f"C{n}") not in used), None)


def _draw(ax, curve, label, options, **style):
    """Draw a curve over the epochs from 1; a dot where both neighbours are missing."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    seen = np.concatenate([[False], np.isfinite(curve), [False]])
    alone = np.flatnonzero(seen[1:-1] & ~seen[:-2] & ~seen[2:]).tolist()
    dots = {"marker": "o", "markevery": alone} if alone else {}
    given = normalize_kwargs(options, Line2D)  # such as lw for linewidth
    style |= {"label": label, "color": _free_color(ax), **dots, **given}
    return ax.plot(np.arange(1, len(curve) + 1), curve, **style)[0]


def _curve(name, values, count=None):
    if values is None:
        return None
    curve = np.array(values, dtype=np.float64)
    if curve.ndim != 1:
        raise ValueError(f"{name}: expected one number an epoch, got shape {curve.shape}")
    if count is not None and len(curve) != count:
        raise ValueError(f"{name}: it is of {len(curve)} epochs, the loss of {count}")
    return curve


def _at_the_end(values, count):
    """Return the last epochs' values, NaN before: validation may begin after a warm start."""
    if values is None or not len(values):
        return None
    return [np.nan] * (count - len(values)) + list(values)[-count:]


def _of_history(history):
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
            f"history={history!r}: expected what fit returned, a dict of lists, "
            "or a model with its history"
        )
    if history.history is None:
        raise ValueError("history: this model has none; call fit first")
    curves, best = _of_history(history.history)
    record = getattr(history, "record", None) or {}
    return curves, record.get("best_epoch", best)


def _score_name(estimator):
    """Return what the scores of early stopping are."""
    scoring = getattr(estimator, "scoring", None)
    if scoring is not None:
        return scoring.replace("_", " ") if isinstance(scoring, str) else "score"
    kind = getattr(estimator, "_estimator_type", None)
    if kind is None:
        from sklearn.base import is_classifier

        kind = "classifier" if is_classifier(estimator) else "regressor"
    return "accuracy" if kind == "classifier" else "R²"
