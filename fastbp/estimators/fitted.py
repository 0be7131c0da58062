"""A fitted estimator: its network, the outputs and their derivatives, and its pickle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted, validate_data

from ..annotations import Floats
from ..data.samples import Samples
from ..data.weights import Allowed, Weighed, without_missing
from ..engine.monotonic import require_signs
from ..kernels.support.sparse_rows import sparse_rows
from ..network import Network
from .callbacks import CallbackSupport
from .nested import NestedParameters
from .stochastic import Run


class FittedMLP(CallbackSupport, NestedParameters):
    """The part of both estimators that computes with the network of a fit."""

    # of those that have no such parameter
    missing_targets: bool = False
    coefs_: list[Floats]
    intercepts_: list[Floats]
    _run: Run

    def _samples(self, X, targets, weight=None):
        """Return checked arrays as the kernels read them."""
        n_in = len(self._run.network.weights[0])
        if X.shape[1] != n_in:  # as after a fit to other data that failed
            raise ValueError(f"X has {X.shape[1]} features, but the fitted net has {n_in}")
        return samples_of(X, targets, weight, self._run.network.dtype, self.missing_targets)

    def _keep_coefs(self):
        """Let the network hold what `coefs_` and `intercepts_` hold, if they are not its own."""
        if self._run.is_shown_by(self):
            return
        own = self._run.views
        shown = [*self.coefs_, *self.intercepts_]
        if [np.shape(array) for array in shown] != [array.shape for array in own]:
            raise ValueError("coefs_ and intercepts_: expected arrays of the shapes that fit gave")
        for array, value in zip(own, shown, strict=True):
            array[:] = value
        require_signs(self._run.network.engine.plan, self._run.network.parameters)

    @property
    def network_(self) -> Network:
        """The fitted `fastbp.Network`; `coefs_` and `intercepts_` are its arrays."""
        check_is_fitted(self)
        self._keep_coefs()
        return self._run.network

    def _outputs(self, X):
        """Return the outputs (n, n_out) for checked or unchecked `X`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        outputs = self.network_.engine.forward(self._samples(X, {}), self.n_threads)
        return outputs.astype(np.result_type(X.dtype, outputs.dtype), copy=False)

    def input_gradient(self, X: ArrayLike) -> Floats:
        """Return the derivatives of the outputs by the inputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense samples.

        Returns
        -------
        ndarray of shape (n_samples, n_features), or (n_samples, n_outputs, n_features)
            ``d output_k / d x_j``; a classifier's outputs are probabilities, one for two classes.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        found = self.network_.jacobian(self._samples(X, {}).x, n_threads=self.n_threads)
        return found[:, 0] if found.shape[1] == 1 else found

    def __getstate__(self):
        """Leave out `coefs_` and `intercepts_` where they are the network's."""
        state = dict(super().__getstate__())
        if "_run" in state and "coefs_" in state and self._run.is_shown_by(self):
            del state["coefs_"], state["intercepts_"]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_run" in state and "coefs_" not in state:
            self.__dict__.update(self._run.shown)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def samples_of(X, targets, weight, dtype, missing=False):
    """Return checked arrays as the kernels of a dtype read them.

    NaN is a target that is `missing`, or an error: scikit-learn's checks let it pass among objects.
    """
    x = sparse_rows("X", X, dtype) if issparse(X) else np.ascontiguousarray(X, dtype)
    targets = dict(targets)
    if targets.get("y") is not None:
        targets["y"] = np.ascontiguousarray(targets["y"], dtype)
    if weight is not None:
        weight = np.ascontiguousarray(weight, dtype)
        if weight.sum(dtype=np.float64) == 0:
            raise ValueError("Weights sum to zero, can't be normalized")
    given = Weighed(weight)
    if "y" in targets and np.isnan(targets["y"]).any():
        if not missing:
            raise ValueError("Input y contains NaN.")
        if weight is not None and weight.min() < 0:
            raise ValueError(
                f"sample_weight has {weight.min()}: expected weights of at least 0 where targets "
                "are missing"
            )
        targets["y"], given = without_missing("y", targets["y"], given, Allowed(missing=True))
    return Samples(x, weight=given.weight, output_weight=given.output_weight, **targets)
