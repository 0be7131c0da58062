"""The methods of a `Network` that differentiate it beyond the gradient of its loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..annotations import Floats, Threads, Weights
from ..checks import as_array, float_array, same_rows
from ..data.samples import features, samples
from ..engine.described import Described
from ..engine.plan import Gradients
from ..kernels.support.arrays import address
from ..memory import require_memory
from ..quoted import quoted

_OF = ("outputs", "logits")


def _passes():
    """Import what runs the kernels when a derivative is first asked for: a training needs none."""
    from . import passes

    return passes


class Differentiable(Described):
    """Jacobians, products with them, and the gradients of single samples.

    Dropout is inactive in all of them, and X is dense. Rows are computed in blocks of 512 to 4,096:
    beside the result, a call takes the intermediate results of one block, and two to four times
    the parameters, which stay for the next call. The results have the same bits for any number of
    threads. If another thread trains the network, they are of one moment between two steps.
    Optimizers' penalties are not part of any loss here.

    Each method raises ValueError or TypeError if an argument is invalid, and MemoryError if the
    result is larger than free memory, before any work.
    """

    def jacobian(
        self,
        X: ArrayLike,
        of: Literal["outputs", "logits"] = "outputs",
        wrt: Literal["inputs", "parameters"] = "inputs",
        n_threads: Threads = "auto",
    ) -> Floats:
        """Return the derivatives of each sample's outputs.

        It takes one forward pass, and a backward pass for each output.

        Parameters
        ----------
        X : array_like (n, n_in)
            Samples.
        of : {"outputs", "logits"}, default "outputs"
            A(L), or Z(L), which the last activation is applied to.
        wrt : {"inputs", "parameters"}, default "inputs"
            By what, the parameters in the order of ``Network.parameters``.
        n_threads : int or "auto", default "auto"
            Threads to share the rows.

        Returns
        -------
        numpy.ndarray (n, n_out, n_in) or (n, n_out, n_parameters)
            ``d a_k / d x_j`` of each row.
        """
        run, data = _passes(), self._rows(X)
        from_outputs = _is_of_outputs(of)
        if wrt not in ("inputs", "parameters"):
            raise ValueError(f'wrt={quoted(wrt)}: expected "inputs" or "parameters"')
        plan = self._engine.plan
        last = plan.specs[0].n_in if wrt == "inputs" else plan.size
        shape = len(data), plan.specs[-1].n_out, last
        out = self._new(shape, "the Jacobian", "give fewer rows at once, or use vjp or jvp")
        job: dict[str, Any] = {"from_outputs": from_outputs}
        with run.taken(self._engine, len(data), n_threads, 1 + 2 * shape[1]) as passes:
            if wrt == "inputs":
                passes.derive(run.derivatives.jacobian_part, data, dx=address(out), **job)
            else:
                passes.derive(run.derivatives.jacobian_part, data, out, **job)
        return out

    def vjp(
        self,
        X: ArrayLike,
        cotangent: ArrayLike,
        of: Literal["outputs", "logits"] = "outputs",
        n_threads: Threads = "auto",
    ) -> tuple[Gradients, Floats]:
        """Run both passes from a given dL/dA: return the gradients, and dL/dX.

        So a loss that is computed elsewhere trains the network: ``update`` takes the gradients.
        They are of all layers; ``update`` leaves out those that are not trained.

        Parameters
        ----------
        X : array_like (n, n_in)
            Samples.
        cotangent : array_like (n, n_out), or (n,) of one output
            dL/dA(L), the derivative of one number L by the outputs of all samples.
        of : {"outputs", "logits"}, default "outputs"
            With "logits" it is dL/dZ(L).
        n_threads : int or "auto", default "auto"
            Threads to share the rows.

        Returns
        -------
        gradients : Gradients
            dL/dW(l) and dL/db(l), sums over the samples.
        dX : numpy.ndarray (n, n_in)
            dL/dX.
        """
        run, data = _passes(), self._rows(X)
        from_outputs = _is_of_outputs(of)
        given = self._like_outputs("cotangent", cotangent, len(data))
        dx = self._new(data.x.shape, "dX", "give fewer rows at once")
        flat = np.empty(self._engine.plan.size, self.dtype)
        places = {"cotangent": address(given), "dx": address(dx), "from_outputs": from_outputs}
        with run.taken(self._engine, len(data), n_threads) as passes:
            passes.derive(run.derivatives.vjp_part, data, None, flat, **places)
        return self._gradients(flat), dx

    def input_gradient(
        self, X: ArrayLike, y: ArrayLike, sample_weight: Weights = None, n_threads: Threads = "auto"
    ) -> Floats:
        """Return the derivative (n, n_in) of the mean loss by the inputs, ``dL/dX``."""
        run, data = _passes(), self._samples(X, y, sample_weight)
        dx = self._new(data.x.shape, "dX", "give fewer rows at once")
        with run.taken(self._engine, len(data), n_threads) as passes:
            passes.run[0]["scale"] = 1 / data.total_weight
            passes.derive(run.derivatives.loss_part, data, dx=address(dx))
        return dx

    def per_sample_gradients(
        self, X: ArrayLike, y: ArrayLike, n_threads: Threads = "auto"
    ) -> Floats:
        """Return the gradient of each sample's loss by the parameters (n, n_parameters).

        Their order is that of ``Network.parameters``; the mean over the samples is what `backward`
        returns without dropout, of layers that are trained.
        """
        run, data = _passes(), self._samples(X, y)
        shape = len(data), self._engine.plan.size
        out = self._new(shape, "the gradients of the samples", "give fewer rows at once")
        self._of_samples(run.derivatives.samples_part, data, out, n_threads)
        return out

    def per_sample_norms(self, X: ArrayLike, y: ArrayLike, n_threads: Threads = "auto") -> Floats:
        """Return the Euclidean norm of each sample's gradient (n,), without its elements.

        ``|g|^2 = sum_l (|a(l-1)|^2 + 1) |delta(l)|^2``, without the 1 where a layer has no biases.
        Source: Goodfellow, Efficient per-example gradient computations, 2015.
        """
        run, data = _passes(), self._samples(X, y)
        out = np.empty(len(data), self.dtype)
        self._of_samples(run.derivatives.norms_part, data, out, n_threads)
        return out

    def jvp(
        self,
        X: ArrayLike,
        tangents: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
        of: Literal["outputs", "logits"] = "outputs",
        n_threads: Threads = "auto",
    ) -> Floats:
        """Return the derivatives of the outputs along a direction, in one pass forward.

        Parameters
        ----------
        X : array_like (n, n_in)
            Samples.
        tangents : array_like (n, n_in), optional
            The direction of the inputs; zeros by default.
        parameters : array_like (n_parameters,), optional
            The direction of the parameters, in the order of ``Network.parameters``; zeros by
            default. One of both is needed.
        of : {"outputs", "logits"}, default "outputs"
            Of A(L), or of Z(L).
        n_threads : int or "auto", default "auto"
            Threads to share the rows.

        Returns
        -------
        numpy.ndarray (n, n_out)
            ``d A(L) / dt`` at t = 0 of the inputs ``X + t tangents`` and of the parameters, moved
            likewise.
        """
        run, data = _passes(), self._rows(X)
        from_outputs = _is_of_outputs(of)
        if tangents is None and parameters is None:
            raise TypeError("give tangents, a direction of X, or parameters, one of the parameters")
        moved = v = None
        if tangents is not None:
            moved = float_array("tangents", tangents, self.dtype, rank=2)
            if moved.shape != data.x.shape:
                raise ValueError(
                    f"tangents has shape {moved.shape} but X has {data.x.shape}: they must match"
                )
        if parameters is not None:
            v = run.aligned_copy(self._direction("parameters", parameters))
        out = self._engine.plan.new_outputs(len(data))
        job = {"tangents": address(moved), "v": address(v), "from_outputs": from_outputs}
        with run.taken(self._engine, len(data), n_threads, 2) as passes:
            passes.derive(run.derivatives.jvp_part, data, out, **job)
        return out

    def hvp(
        self,
        X: ArrayLike,
        y: ArrayLike,
        v: ArrayLike,
        sample_weight: Weights = None,
        n_threads: Threads = "auto",
    ) -> Floats:
        """Return the product of the Hessian of the mean loss by the parameters with `v`.

        ``H v = d/dt gradient(parameters + t v)`` at t = 0, exact, for the cost of about two
        gradients. Kinks, as that of ReLU, count as flat. Source: Pearlmutter, Fast exact
        multiplication by the Hessian, Neural Computation 6, 1994.

        Parameters
        ----------
        X, y, sample_weight : array_like (n, n_in), (n, n_out) or (n,), (n,)
            A batch, as `backward` takes it.
        v : array_like (n_parameters,)
            A direction of the parameters, in the order of ``Network.parameters``.
        n_threads : int or "auto", default "auto"
            Threads to share the rows.

        Returns
        -------
        numpy.ndarray (n_parameters,)
            H v.
        """
        run, data = _passes(), self._samples(X, y, sample_weight)
        v = self._direction("v", v)
        run.check_curves(self.loss, *(layer.activation for layer in self.layers))
        with run.taken(self._engine, len(data), n_threads, 8, is_second=True) as passes:
            return passes.curved(run.curvature.hvp_part, data, v, run.curvature.hvp_sums_part)

    def gauss_newton_product(
        self,
        X: ArrayLike,
        y: ArrayLike,
        v: ArrayLike,
        sample_weight: Weights = None,
        n_threads: Threads = "auto",
    ) -> Floats:
        """Return the product of the Gauss-Newton matrix of the mean loss with `v`.

        That is ``J^T H J v``, J being the Jacobian of the outputs by the parameters and H the
        Hessian of the loss by the outputs: no curvature of the net, and no negative one of a
        convex loss. Where the last activation is the loss's partner, both are of the logits.
        Source: Schraudolph, Fast curvature matrix-vector products, Neural Computation 14, 2002.

        Parameters
        ----------
        X, y, v, sample_weight, n_threads
            As for `hvp`.

        Returns
        -------
        numpy.ndarray (n_parameters,)
            G v.
        """
        run, data = _passes(), self._samples(X, y, sample_weight)
        v = self._direction("v", v)
        run.check_curves(self.loss)
        with run.taken(self._engine, len(data), n_threads, 5) as passes:
            return passes.curved(run.curvature.gauss_newton_part, data, v)

    def _direction(self, name, value):
        """Return a direction of the parameters, checked."""
        v = float_array(name, value, self.dtype, rank=1, shape="(n_parameters,)")
        size = self._engine.plan.size
        if v.size != size:
            raise ValueError(f"{name} has {v.size} numbers but the network {size} parameters")
        return v

    def _of_samples(self, part, data, out, n_threads):
        with _passes().taken(self._engine, len(data), n_threads, 2) as passes:
            passes.run[0]["scale"] = 1.0
            passes.derive(part, data, out)

    def _rows(self, X):
        """Return checked dense rows."""
        if hasattr(X, "tocsr"):
            as_array("X", X)  # raises TypeError
        return _dense(features(X, self._engine.plan))

    def _samples(self, X, y, sample_weight=None):
        """Return checked dense samples."""
        if hasattr(X, "tocsr"):
            as_array("X", X)  # raises TypeError
        return _dense(samples(X, y, self._engine.plan, self.loss, sample_weight))

    def _like_outputs(self, name, value, rows):
        """Return `value` as a checked array (rows, n_out)."""
        outputs = self._engine.plan.specs[-1].n_out
        array = as_array(name, value)
        array = array[:, None] if array.ndim == 1 and outputs == 1 else array
        array = float_array(name, array, self.dtype, rank=2, shape="(n_samples, n_out)")
        same_rows(name, array, rows)
        if array.shape[1] != outputs:
            raise ValueError(
                f"{name} has {array.shape[1]} columns but the network has {outputs} outputs"
            )
        return array

    def _new(self, shape, what, remedy):
        """Return an array for a result, or raise MemoryError."""
        needed = int(np.prod(shape, dtype=object)) * self.dtype.itemsize
        require_memory(needed, f"{what} {shape}", remedy)
        return np.empty(shape, self.dtype)

    def _gradients(self, flat):
        plan = self._engine.plan
        return Gradients(plan.weights(flat), plan.biases(flat), flat)


def _dense(data):
    return data if data.is_dense else replace(data, x=data.x.dense())


def _is_of_outputs(of):
    if of not in _OF:
        raise ValueError(f'of={quoted(of)}: expected "outputs" or "logits"')
    return of == "outputs"
