"""The plan as the kernels read it: a record per layer, and one for a run over data.

Depth, widths, activations and hyper-parameters are values in these records,
not types, so that one compilation per dtype serves every architecture.
"""

import numpy as np

_int, _float = np.int64, np.float64

# a layer: sizes, addresses of machine code, and offsets in elements into the parameters or the
# workspace
LAYER = np.dtype(
    [
        ("n_in", _int),
        ("n_out", _int),
        ("relu", _int),  # whether the products apply the activation, ReLU, and its derivative
        ("activate", _int),  # address of the loop of sigma; 0 if the product applies it or A is Z
        ("scale", _int),  # address of the loop that multiplies by sigma'; 0 if nothing does
        ("alpha", _float),
        ("drop", _float),  # dropout rate after the activation
        ("frozen", _int),  # whether its parameters stay as they are
        ("project", _int),  # address of `projection.project_rows`; 0 if weights keep no signs
        ("signs", _int),  # workspace: the sign of each row of W (n_in,), or -1
        ("block_rows", _int),  # rows of W whose gradient is computed, then applied
        ("weights", _int),  # parameters: W (n_in, n_out)
        ("biases", _int),  # parameters: b (n_out,), or -1
        ("transposed", _int),  # workspace: W^T (n_out, n_in), row stride of the layer before, or -1
        ("squares", _int),  # workspace: the sum of squares of each row of W (n_in,)
        ("row", _int),  # row stride of Z, A, output and D
        ("z", _int),  # workspace: Z (batch, n_out)
        ("a", _int),  # A = sigma(Z); may be z
        ("kept", _int),  # the argument of sigma': z or a
        ("output", _int),  # A after dropout in training, else a
        ("mask", _int),  # workspace: the bits of the dropout after the layer
        ("mask_row", _int),  # elements from the bits of one row to the next
        ("delta", _int),  # D = dL/dZ
    ]
)

# a run over data: addresses, sizes and hyper-parameters
RUN = np.dtype(
    [
        ("x", _int),  # address of X (n, n_in), or (n, columns) with ramps
        ("x_row", _int),  # row stride of X in elements
        ("y", _int),  # address of targets (n, n_out)
        ("columns", _int),  # sparse X, its data at x: address of the column numbers; else 0
        ("starts", _int),  # sparse X: address of the offset of each row's first number
        ("cursors", _int),  # sparse X, workspace: position of the gradient in each row
        ("ramps", _int),  # X with ramps, x_row columns: address of their first features; else 0
        ("ramp_height", _float),
        ("labels", _int),  # address of class labels (n,), or 0
        ("sample_weight", _int),  # address of sample weights (n,), or 0
        ("output_weight", _int),  # address of weights of outputs (n, n_out), or 0
        ("weighted_rows", _int),  # with those, address of the code of `loss.weighted_rows`; or 0
        ("signed", _int),  # whether weights may be negative: rows count, not their sum
        ("order", _int),  # address of the order of rows (n,), or 0 for their own
        ("places", _int),  # address of each row's place in its batch (n,), by the order; or 0
        ("first", _int),  # position in the order of the batch's first row
        ("rows", _int),  # number of rows of the batch
        ("end", _int),  # position in the order after the last row
        ("input", _int),  # workspace: the gathered batch (batch, x_row)
        ("input_row", _int),  # row stride of the gathered batch
        ("input_drop", _float),  # dropout rate of the inputs
        ("row_losses", _int),  # workspace: losses of the batch's rows
        ("ahead", _int),  # workspace: a list of rows to prefetch per task, or -1
        ("ahead_row", _int),  # elements from the list of one task to the next
        ("scratch", _int),  # workspace: packed panels and a gradient block per task
        ("scratch_row", _int),  # elements from the scratch of one task to the next
        ("loss_source", _int),  # what the loss is computed from: see `loss`
        ("loss_value", _int),  # addresses of the loops of its value and of its derivative, or 0
        ("loss_slope", _int),
        ("loss_parameter", _float),
        ("loss_levels", _int),  # address of a parameter for each output (n_out,), or 0
        ("takes_labels", _int),  # whether the loss takes class labels, or rows of probabilities
        ("target_low", _float),  # the range of targets that the loss accepts
        ("target_high", _float),
        ("largest", _float),  # the largest finite number of the dtype
        ("loss_limit", _float),  # the most that an output of a canonical cross-entropy adds
        ("scale", _float),  # 1 / sum of the batch's sample weights, or of its rows if signed
        ("seed", _int),
        ("step", _int),  # number of updates made
        ("update", _int),  # address of the loop of `update.UPDATES`
        ("corrects", _int),  # how the bias of the moments is corrected
        ("beta1", _float),
        ("beta2", _float),
        ("epsilon", _float),
        ("l1", _float),
        ("l2", _float),
        ("own_l2", _float),  # the optimizer's l2: l2 adds the batch's part of the penalty
        ("penalty", _float),  # strength of the L2 penalty that is divided by the batch's weights
        ("decay", _float),
        ("clip_norm", _float),  # largest norm of the gradient, or 0 for none
        ("clip_sample_norm", _float),  # largest norm of the gradient of a sample
        ("clip_samples", _int),  # address of the machine code of `samples.clip_samples`, or 0
        ("learning_rate", _float),  # the optimizer's own; NaN if it is scheduled
        ("rate", _float),  # that of the step at hand
        ("clip", _float),  # factor that clips the gradient
        ("tasks", _int),  # number of tasks in a parallel region
        ("rates", _int),  # of a training: address of the learning rates of its steps (steps,)
        ("losses", _int),  # address of the sums of the losses of its steps
        ("penalties", _int),  # address of the penalties of the weights before its steps
        ("steps", _int),
        ("start", _int),  # position in the order of its first row
        ("stop", _int),  # position after the last row of the data
        ("batch", _int),  # rows of a step
        ("cells", _int),  # address of the cells where its tasks meet, zeros
        ("goes_on", _int),  # whether it has a step to run
        ("done", _int),  # steps that are done
        ("train_task", _int),  # address of the machine code of `loop.train_task`
        ("rows_task", _int),  # address of the machine code of `passes.rows_task`
        ("weights_task", _int),  # address of the machine code of `passes.weights_task`
        ("gemm", _int),  # address of that of `gemm.gemm`
        ("ramp_product", _int),  # address of that of `ramp_matmul.ramp_product`, or 0
        ("ramp_outer", _int),  # address of that of `ramp_outer.ramp_outer_rows`, or 0
        ("sparse_product", _int),  # address of that of `sparse_matmul.sparse_product`, or 0
        ("sparse_outer", _int),  # address of that of `sparse_outer.sparse_outer_rows`, or 0
    ]
)


def gathered(runs):
    """Return copies of arrays of `RUN` in one array; quicker than NumPy, field by field."""
    return np.concatenate([each.view(_int) for each in runs]).view(RUN)
