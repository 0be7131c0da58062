"""The plan: an architecture as integer arrays over flat buffers.

A `Plan` fixes where each weight lies in the one array of parameters; a
`Workspace` where each layer's intermediate results lie for one batch size.
"""

import math
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import numpy as np

from ..annotations import Floats
from ..kernels.activation import ACTIVATE
from ..kernels.dropout import mask_words
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.formulas.custom import CustomFormula
from ..kernels.hadamard import SCALE
from ..kernels.net.projection import project_rows
from ..kernels.net.records import LAYER
from ..kernels.simd.gemm import MAIN_ROWS, SCRATCH_FLOATS
from ..kernels.simd.prefetch import ahead_integers
from ..kernels.support.arrays import aligned_zeros
from ..kernels.support.once import cached_property
from ..kernels.support.ramp_rows import RampRows
from ..kernels.support.sparse_rows import SparseRows
from ..kernels.tuning import (
    CACHE_LINE,
    FAR_BYTES,
    GRADIENT_BLOCK_ROWS_PACKED,
    GRADIENT_BLOCK_TILES,
    ODD_LINES,
)
from ..memory import SMALL, require_memory
from .inputs import Inputs

_LARGEST_SOUND = 1e6
_NO_FIELDS = dict.fromkeys(LAYER.names or (), 0)
_BLOCK_ROWS = GRADIENT_BLOCK_TILES * MAIN_ROWS


@dataclass(frozen=True)
class Layer:
    """One dense layer of a network, with the dropout that follows it.

    Attributes
    ----------
    n_in, n_out : int
        Inputs and units.
    activation : str
        A name in ``fastbp.ACTIVATIONS``.
    alpha : float
        The activation's parameter; 0 if it has none.
    initializer : str
        A name in ``fastbp.INITIALIZERS``.
    bias : bool
        Whether the layer has biases.
    dropout : float
        Dropout rate after the activation.
    trainable : bool
        Whether training changes its weights and biases; see ``Network.set_trainable``.
    signs : tuple of int
        The sign that the weights of each input keep, 1 or -1, 0 where they are free; ``(1,)``
        stands for all inputs. Empty, unless the network is monotonic.
    """

    n_in: int
    n_out: int
    activation: str
    alpha: float
    initializer: str
    bias: bool
    dropout: float
    trainable: bool = True
    signs: tuple[int, ...] = ()


def _refuse(layer, name, value):
    """Raise, as a frozen record does, and tell what to do: the engine would not read the value."""
    way = "set_trainable(layer, x) of the network changes it"
    advice = way if name == "trainable" else "make another network"
    raise FrozenInstanceError(f"{name}: a layer does not take it by assignment; {advice}")


Layer.__setattr__ = _refuse  # type: ignore[method-assign]


@dataclass(frozen=True)
class Gradients:
    """The gradient of a loss, layer by layer.

    Attributes
    ----------
    weights, biases : tuple of numpy.ndarray
        ``weights[l]`` (n_in, n_out) is dL/dW(l), ``biases[l]`` (n_out,) is dL/db(l):
        views of `flat`.
    flat : numpy.ndarray
        All gradients in the order of ``Network.parameters``; `Network.update` takes these.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    flat: Floats

    def __reduce__(self) -> tuple[Any, ...]:
        """Let copies and pickles hold `flat`, which alone is used, and make the views anew."""
        owner = self.flat if self.flat.base is None else self.flat.base
        if any(each.base is not owner for each in (*self.weights, *self.biases)):
            return Gradients, (self.weights, self.biases, self.flat)  # not of `backward`
        shapes = [(w.shape, b.shape) for w, b in zip(self.weights, self.biases, strict=True)]
        return _gradients_of, (self.flat, shapes)


def _gradients_of(flat, shapes):
    layers, place = [], 0
    for pair in shapes:
        for shape in pair:
            size = math.prod(shape)
            layers.append(flat[place : place + size].reshape(shape))
            place += size
    return Gradients(tuple(layers[::2]), tuple(layers[1::2]), flat)


class Plan:
    """Where the parameters of a net lie, and the operations that it takes.

    `size` is the number of parameters, and `row` fills whole cache lines. `flops_per_row` counts
    one training step on one row; see `step_flops`.
    """

    def __init__(self, specs, input_drop, dtype):
        self.specs = tuple(specs)
        self.input_drop = input_drop
        self.dtype = np.dtype(dtype)
        self._weights = []
        self._biases = []
        place = 0
        for spec in self.specs:
            self._weights.append(place)
            place += spec.n_in * spec.n_out
            self._biases.append(place if spec.bias else -1)
            place += spec.n_out if spec.bias else 0
        self.size = place
        line = CACHE_LINE // self.dtype.itemsize
        self.row = -(-place // line) * line
        products = [spec.n_in * spec.n_out for spec in self.specs]
        self.flops_per_row = step_flops(products)
        self.flops_per_row_forward = 2 * sum(products)

    def weights(self, flat):
        """Return the weight matrices (n_in, n_out) as views of a flat array."""
        return tuple(
            flat[place : place + spec.n_in * spec.n_out].reshape(spec.n_in, spec.n_out)
            for place, spec in zip(self._weights, self.specs, strict=True)
        )

    def biases(self, flat):
        """Return the bias vectors (n_out,) as views, empty for a layer without biases."""
        return tuple(
            flat[max(place, 0) : max(place, 0) + (spec.n_out if spec.bias else 0)]
            for place, spec in zip(self._biases, self.specs, strict=True)
        )

    @cached_property
    def keeps_signs(self):
        """Whether weights of the net keep their signs."""
        return any(spec.signs for spec in self.specs)

    def signs(self):
        """Return the sign of each weight that keeps one, as matrices (n_in, 1), 0 where free."""
        return [
            np.broadcast_to(np.array(spec.signs or (0,), self.dtype), spec.n_in)[:, None]
            for spec in self.specs
        ]

    @cached_property
    def shapes(self):
        """The shapes of the weights, and behind them of the biases."""
        flat = np.broadcast_to(np.zeros((), np.int8), self.size)
        return [array.shape for array in (*self.weights(flat), *self.biases(flat))]

    @property
    def frozen(self):
        """The places of flat parameters that training leaves as they are, as slices."""
        starts = (self._weights, self._biases)
        return [
            slice(start, start + count)
            for spec, *places in zip(self.specs, *starts, strict=True)
            for start, count in zip(places, (spec.n_in * spec.n_out, spec.n_out), strict=True)
            if start >= 0 and not spec.trainable
        ]

    def flops_of(self, x):
        """Return the operations of a training step on all rows of `x`, of any kind."""
        dense, first = len(x) * self.flops_per_row, self.specs[0]
        if isinstance(x, SparseRows):
            products = x.data.size
        elif isinstance(x, RampRows):
            products = 2 * x.values.size
        else:
            return dense
        return dense + 4 * first.n_out * (products - len(x) * first.n_in)

    @cached_property
    def largest_sound(self):
        """The largest weight with which outputs are finite for inputs up to it, 1e6 at most.

        An output of a layer is at most the sum of its inputs, each times the largest weight. Where
        it may be the exponential of it, or what a user's own formula makes of it, or a layer is
        too wide, no weight is sound: 0.
        """
        for spec in self.specs:
            record = ACTIVATIONS[spec.activation]
            if record.outputs == "positive" or isinstance(record, CustomFormula):
                return 0.0
        grows = sum(math.log(spec.n_in + 1) for spec in self.specs)
        room = math.log(np.finfo(self.dtype).max) - math.log(_LARGEST_SOUND) - grows
        return min(_LARGEST_SOUND, math.exp(room / len(self.specs))) if room > 0 else 0.0

    def new_outputs(self, rows):
        """Return an array for the outputs (rows, n_out) of so many rows."""
        shape = rows, self.specs[-1].n_out
        needed = rows * shape[1] * self.dtype.itemsize
        if needed >= SMALL:  # most calls are small: no words are made for them
            require_memory(needed, f"the array {shape} of outputs", "give fewer rows at once")
        return np.empty(shape, self.dtype)

    def workspace(self, batch, tasks, training, inputs=None):
        """Return a `Workspace` for `batch` rows and `tasks` parallel tasks; see `inputs`."""
        return Workspace(self, batch, tasks, training, inputs or Inputs(self.specs[0].n_in))

    def fields(self):
        """Return the fields of the layers' records of `LAYER`, all but places in a workspace."""
        return [
            {
                **_NO_FIELDS,
                "n_in": spec.n_in,
                "n_out": spec.n_out,
                "relu": spec.activation == "relu",
                "alpha": spec.alpha,
                "drop": spec.dropout,
                "frozen": not spec.trainable,
                "weights": weights,
                "biases": biases,
            }
            for spec, weights, biases in zip(self.specs, self._weights, self._biases, strict=True)
        ]


def step_flops(products):
    """Return the operations of a training step on one row, from ``n_in * n_out`` of each layer.

    Two for each weight in forward, ``D W^T`` and ``A^T D``; the first layer has no ``D W^T``.
    """
    return 6 * sum(products) - 2 * products[0]


class Workspace:
    """The intermediate results of one batch size, laid out in one flat array `work`.

    `layers` holds the records that the kernels read; `input`, `row_losses`, `ahead` and `scratch`
    are places in `work`, names in ``_row`` their strides. `inputs` is what X needs.
    """

    def __init__(self, plan, batch, tasks, training, inputs):
        self.batch = batch
        self.tasks = tasks
        self.inputs = inputs
        self._training = training
        self._dtype = plan.dtype
        self._item = plan.dtype.itemsize
        self._size = 0
        self._signs = plan.signs() if training and plan.keeps_signs else ()
        layers = plan.fields()  # numbers of Python, which take a tenth of the time of records
        self.input_row = self._row(inputs.gathered)
        self.input = self._take(batch * self.input_row)
        for n, (record, spec) in enumerate(zip(layers, plan.specs, strict=True)):
            self._lay_out(record, spec, batch, training, n, n == len(plan.specs) - 1)
        self.row_losses = self._take(batch)
        # one task may take all rows
        integers = max(ahead_integers(batch), inputs.places(batch)) if training else 0
        self.ahead_row = self._row(integers * 8 // self._item)
        self.ahead = self._take(tasks * self.ahead_row)
        self.layers = np.array([tuple(layer.values()) for layer in layers], LAYER)
        block = max((layer["block_rows"] + 1) * layer["n_out"] for layer in layers)
        self.scratch_row = self._row(SCRATCH_FLOATS + (block if training else 0))
        self.scratch = self._take(tasks * self.scratch_row)
        self.bytes = self._size * self._item

    def link(self, specs, canonical):
        """Write the addresses of the activations' loops into the layers; compile new ones.

        The products apply ReLU and its derivative, but for an output that is kept beside Z. The
        derivative of the output is not needed if it is `canonical`, the loss's partner.
        """
        for n, (record, spec) in enumerate(zip(self.layers, specs, strict=True)):
            name, last = spec.activation, n == len(specs) - 1
            if record["a"] != record["z"] or name not in ("identity", "relu"):
                record["activate"] = ACTIVATE[name].address(self._dtype)
            needed = not canonical if last else name != "relu"
            if self._training and needed and name != "identity":
                record["scale"] = SCALE[name].address(self._dtype)
            if self._training and spec.signs:
                record["project"] = project_rows.address(self._dtype)

    @cached_property
    def work(self):
        """The buffer, which is made when it is first asked for."""
        work = aligned_zeros(self._size, self._dtype)
        for layer, signs in zip(self.layers, self._signs, strict=False):
            if layer["signs"] >= 0:
                work[layer["signs"] :][: len(signs)] = signs[:, 0]
        return work

    def _lay_out(self, record, spec, batch, training, n, last):
        name = spec.activation
        keeps_z = ACTIVATIONS[name].keeps == "z"
        record["row"] = self._row(spec.n_out)
        block = batch * record["row"]
        record["z"] = self._take(block)
        # the loss reads the logits of the last layer; A overwrites Z elsewhere if it may
        is_apart = keeps_z or (last and name != "identity")
        record["a"] = self._take(block) if is_apart else record["z"]
        record["kept"] = record["z"] if keeps_z else record["a"]
        drops = training and spec.dropout > 0
        record["output"] = self._take(block) if drops else record["a"]
        record["mask_row"] = self._row(mask_words(spec.n_out) * 8 // self._item) if drops else 0
        record["mask"] = self._take(batch * record["mask_row"])
        # the loss needs the last one for the targets, in inference too
        record["delta"] = self._take(block) if training or last else -1
        packed = block * self._item >= FAR_BYTES
        rows = max(_BLOCK_ROWS, GRADIENT_BLOCK_ROWS_PACKED // self.tasks) if packed else _BLOCK_ROWS
        record["block_rows"] = min(spec.n_in, max(rows, self.inputs.together if n == 0 else 1))
        hidden_weights = training and n > 0
        turned = spec.n_out * self._row(spec.n_in)
        record["transposed"] = self._take(turned) if hidden_weights else -1
        record["signs"] = self._take(spec.n_in) if training and spec.signs else -1
        record["squares"] = self._take(spec.n_in) if training else -1

    def _row(self, count):
        """Round a row up to whole cache lines; a long one to an odd number (cache sets)."""
        line = CACHE_LINE // self._item
        lines = -(-count // line)
        return (lines + (lines >= ODD_LINES and lines % 2 == 0)) * line

    def _take(self, count):
        place = self._size
        line = CACHE_LINE // self._item
        self._size += -(-count // line) * line
        return place
