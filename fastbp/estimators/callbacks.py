"""Callbacks of an estimator: plain callables, and scikit-learn's protocol where it has one."""

from typing import Any

import numpy as np

from ..checks import as_callables

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
    from sklearn.callback import FitCallback
except ImportError:  # before scikit-learn 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """Stands for the mixin that newer versions of scikit-learn have."""

    FitCallback = None


def _follows_protocol(callback):
    return FitCallback is not None and isinstance(callback, FitCallback)


def check_callbacks(callbacks):
    """Return the plain callables among callbacks, and those of scikit-learn's protocol."""
    if callbacks is None:
        return (), []
    callbacks = [callbacks] if callable(callbacks) else list(callbacks)
    protocol = [callback for callback in callbacks if _follows_protocol(callback)]
    plain = as_callables(c for c in callbacks if not _follows_protocol(c))
    return plain, protocol


class Callbacks:
    """The callbacks of one fit.

    `plain` callables are called with each epoch's entry. `context` is the root of scikit-learn's
    protocol, None if no callback follows it; the protocol passes on `data`: X, y and metadata.
    `attributes` returns the current fitted attributes.
    """

    def __init__(self, estimator, context, plain, data, attributes):
        self._context = context
        self._plain = plain
        self._arguments = {"estimator": estimator, **data}
        self._attributes = {"reconstruction_attributes": attributes}
        self._epoch: Any = None

    def __bool__(self):
        return bool(self._plain) or self._context is not None

    def fit_begins(self):
        """Tell that the fit begins."""
        if self._context is not None:
            self._context.call_on_fit_task_begin(**self._arguments)

    def epoch_begins(self):
        """Tell that an epoch begins, unless one has begun that has not ended."""
        if self._context is not None and self._epoch is None:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._arguments, **self._attributes)

    def epoch_ended(self, entry):
        """Tell of an epoch that has ended; return whether to stop."""
        stop = False
        for callback in self._plain:
            answer = callback(entry)
            stop |= isinstance(answer, (bool, np.bool_)) and bool(answer)
        if self._context is not None:
            stop |= bool(self._epoch.call_on_fit_task_end(**self._arguments, **self._attributes))
            self._epoch = None
        return stop

    def fit_ended(self):
        """Tell that the fit has ended."""
        if self._context is not None:
            if self._epoch is not None:  # begun, and not run to its end
                self._epoch.call_on_fit_task_end(estimator=self._arguments["estimator"])
            self._context.call_on_fit_task_end(**self._arguments, **self._attributes)
