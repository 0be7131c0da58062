"""The plan as the kernels read it: one record a layer, and one for a run over data.

Depth, widths, activations and hyper-parameters are values in these records,
never types, so that one compilation per dtype serves every architecture.
"""

import numpy as np

_int, _float = np.int64, np.float64

# one layer: sizes, codes, and places in the parameters or in the workspace
LAYER = np.dtype(
    [
        ("n_in", _int),
        ("n_out", _int),
        ("activation", _int),
        ("alpha", _float),
        ("drop", _float),  # rate of dropout after the activation
        ("block_rows", _int),  # rows of W whose gradient is computed and applied at a time
        ("weights", _int),  # parameters: W (n_in, n_out)
        ("biases", _int),  # parameters: b (n_out,), or -1
        ("transposed", _int),  # workspace: W^T (n_out, n_in), rows as of the layer before; or -1
        ("squares", _int),  # workspace: the sum of squares of each row of W (n_in,)
        ("row", _int),  # elements from one row to the next of the four below
        ("z", _int),  # workspace: Z (batch, n_out)
        ("a", _int),  # A = sigma(Z); may be z
        ("kept", _int),  # what sigma' needs: z or a
        ("output", _int),  # A after dropout; may be a
        ("delta", _int),  # D = dL/dZ
    ]
)

# one run over data: addresses, sizes and hyper-parameters
RUN = np.dtype(
    [
        ("x", _int),  # address of X (n, n_in)
        ("x_row", _int),  # its row stride in elements
        ("y", _int),  # address of targets (n, n_out)
        ("columns", _int),  # of sparse X, whose data are at x: address of column numbers, or 0
        ("starts", _int),  # address of the place of each row's first number
        ("cursors", _int),  # workspace: how far the gradient has come in each row of the batch
        ("labels", _int),  # address of class labels (n,), or 0
        ("sample_weight", _int),  # address of weights (n,), or 0
        ("order", _int),  # address of the order of rows (n,), or 0
        ("first", _int),  # place in the order of the batch's first row
        ("rows", _int),  # rows of the batch
        ("end", _int),  # place in the order behind the last row of all
        ("input", _int),  # workspace: the gathered batch (batch, n_in)
        ("input_row", _int),
        ("input_drop", _float),
        ("row_losses", _int),  # workspace: the losses of the batch's rows
        ("ahead", _int),  # workspace: rows to ask for ahead, one list a task, or -1
        ("ahead_row", _int),
        ("scratch", _int),  # workspace: packed panels and a block of the gradient, for each task
        ("scratch_row", _int),
        ("loss", _int),
        ("loss_parameter", _float),
        ("loss_limit", _float),  # the most that an output of a canonical cross-entropy adds
        ("canonical", _int),  # whether the output activation is the loss's partner
        ("scale", _float),  # 1 / sum of the batch's weights
        ("seed", _int),
        ("step", _int),  # updates made so far
        ("optimizer", _int),
        ("corrects", _int),  # what corrects the bias of the moments
        ("beta1", _float),
        ("beta2", _float),
        ("epsilon", _float),
        ("l1", _float),
        ("l2", _float),
        ("own_l2", _float),  # l2 is this and the batch's part of the penalty
        ("penalty", _float),  # strength of an L2 penalty divided by the batch's weights
        ("decay", _float),
        ("clip_norm", _float),  # or 0 for none
        ("rate", _float),
        ("clip", _float),  # factor of the gradient
        ("tasks", _int),  # parts a region is cut into
        ("rows_task", _int),  # address of the machine code of `passes.rows_task`
        ("weights_task", _int),  # address of the machine code of `passes.weights_task`
    ]
)
