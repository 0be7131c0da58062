"""The normal equations of least squares, block by block: ``J^T J``, ``J^T e`` and ``e^T e``.

Each row of the block is that of one output of one sample: its derivatives by all parameters, and
behind them its error ``a - y``, both times the root of the weight of the sample or of its output.
The product of the block with itself, of which the lower half is added up, has all three. The block
is cut by rows where it is written, and by rows of the product where it is read; the numbers of the
product are added in one order, whatever the tasks.
"""

from math import sqrt

from ..compiler.jit import Task, inner, kernel
from ..simd.gemm import MAIN_ROWS, NO_GATE, run_gemm
from ..simd.intrinsics import (
    broadcast,
    fma,
    lane_sum,
    load_part,
    one_hot,
    pointer,
    pointer_at,
    store_part,
    width,
)
from ..simd.order import sample_weight, source_row
from ..simd.view import matrix, strided
from .derivatives import (
    backward_from,
    part_types,
    rows_at,
    rows_of_part,
    scratch_of,
    tangent_rows,
    times_slope,
)
from .passes import FORWARD, run_rows_task
from .samples import write_sample

#: The share of a step after which outputs are asked for, to know how they bend along it.
SHARE = 0.1
# rows of the product that are computed at once: what lies above the diagonal is done in vain
_STRIP = 2 * MAIN_ROWS


@inner
def _times(x, count, factor):
    """Multiply `count` floats at a pointer."""
    for j in range(0, count, width(x)):
        store_part(x + j, load_part(x + j, count - j) * factor, count - j)


@inner
def _weight_of(run, w, sample, outputs, k):
    """Return the weight of output k of a sample."""
    if run.output_weight != 0:
        return sample_weight(w, run.output_weight, sample * outputs + k)
    return sample_weight(w, run.sample_weight, sample)


@Task.taking(part_types)
def equations_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward, and backward from each output: write their rows of the block."""
    run, job, last = runs[0], jobs[0], layers[layers.size - 1]
    run_rows_task(run.rows_task, layers, runs, params, work, FORWARD, number)
    lo, hi = rows_of_part(run, number)
    scratch, outputs, w = scratch_of(run, work, number), last.n_out, pointer(work)
    block, y = pointer_at(w, job.block), pointer_at(w, run.y)
    for k in range(outputs):
        for i in range(lo, hi):
            d = w + last.delta + i * last.row
            for j in range(0, outputs, width(d)):
                store_part(d + j, one_hot(d, k - j), outputs - j)
        times_slope(last, places[layers.size - 1], work, last.delta, lo, hi)
        backward_from(layers, places, run, work, lo, hi, scratch)
        for i in range(lo, hi):
            row = block + (i * outputs + k) * job.block_row
            write_sample(layers, run, w, i, row)
            sample = source_row(run.order, run.first + i)
            a = rows_at(work, last.a, last.row, i).first
            row[params.size] = a[k] - y[sample * outputs + k]
            weight = _weight_of(run, w, sample, outputs, k)
            if weight != 1:
                _times(row, params.size + 1, sqrt(weight))


@Task.taking(part_types)
def square_part(layers, places, jobs, runs, params, work, out, number):
    """Add the product of the block with itself to `out`, whose rows are as long as the block's.

    The rows of a task end where their triangle has its share of the whole one.
    """
    run, job, size = runs[0], jobs[0], params.size + 1
    scratch, row = scratch_of(run, work, number), job.block_row
    block = pointer_at(pointer(work), job.block)
    rows = run.rows * layers[layers.size - 1].n_out
    lo = int(size * sqrt(number / run.tasks))
    end = int(size * sqrt((number + 1) / run.tasks))
    b, gemm = matrix(block, row), run.gemm
    while lo < end:
        hi = min(lo + _STRIP, end)
        target = matrix(pointer(out) + lo * row, row)
        start = target if job.adds != 0 else matrix(pointer(out), -1)
        turned = strided(block + lo, 1, row)
        run_gemm(gemm, hi - lo, hi, rows, start, turned, b, hi, target, NO_GATE, scratch, 0)
        lo = hi


@Task.taking(part_types)
def bent_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward, and backward from the second derivative of the outputs along v.

    That is ``2 (a' - a - h RA) / h^2``, with `SHARE` as h, and the outputs a' of the parameters
    that are ``h v`` further, which lie where the cotangent does. The scale of the run is that of
    the gradient.
    """
    run, job, last = runs[0], jobs[0], layers[layers.size - 1]
    run_rows_task(run.rows_task, layers, runs, params, work, FORWARD, number)
    lo, hi = rows_of_part(run, number)
    scratch, place, w = scratch_of(run, work, number), places[layers.size - 1], pointer(work)
    tangent_rows(layers, places, job, run, params, work, lo, hi, scratch, True)
    ahead = pointer_at(w, job.cotangent) + run.first * last.n_out
    factor, outputs = run.scale * 2 / (SHARE * SHARE), last.n_out
    for i in range(lo, hi):
        sample = source_row(run.order, run.first + i)
        row, there = i * last.row, ahead + i * outputs
        a, ra, d = w + last.a + row, w + place.tangent + row, w + last.delta + row
        for j in range(outputs):
            weight = _weight_of(run, w, sample, outputs, j)
            d[j] = factor * weight * (there[j] - a[j] - SHARE * ra[j])
    times_slope(last, place, work, last.delta, lo, hi)
    backward_from(layers, places, run, work, lo, hi, scratch)


@kernel
def mirrored(sums, row, factor, matrix):
    """Write `factor` times the lower half of a product, at `row` elements to a row, as a whole."""
    for i in range(len(matrix)):
        for j in range(i + 1):
            matrix[i, j] = matrix[j, i] = factor * sums[i * row + j]


@inner
def _dot(count, x, y):
    """Return the sum of the products of two vectors, added in a fixed order."""
    even, odd, lanes = broadcast(x, 0.0), broadcast(x, 0.0), width(x)
    for i in range(0, count, 2 * lanes):
        left = count - i
        even = fma(load_part(x + i, left), load_part(y + i, left), even)
        more = left - lanes
        if more > 0:
            j = i + lanes
            odd = fma(load_part(x + j, more), load_part(y + j, more), odd)
    return lane_sum(even + odd)


@inner
def _subtract(count, factor, x, y):
    """Subtract ``factor x`` from y."""
    for i in range(0, count, width(x)):
        left = count - i
        store_part(y + i, load_part(y + i, left) - factor * load_part(x + i, left), left)


@kernel
def factor_damped(matrix, damping, scales, factor):
    """Write L of ``M + damping diag(scales) = L L^T`` by Cholesky's method, on one thread.

    All are flat float64 arrays; of M and L the lower triangles are read and written. Return
    whether the matrix is positive definite; else `factor` is of no use.
    """
    size = scales.size
    m, lower = pointer(matrix), pointer(factor)
    for i in range(size):
        row = lower + i * size
        for j in range(i):
            other = lower + j * size
            row[j] = (m[i * size + j] - _dot(j, row, other)) / other[j]
        pivot = m[i * size + i] + damping * scales[i] - _dot(i, row, row)
        if not pivot > 0:
            return False
        row[i] = pivot**0.5
    return True


@kernel
def solve_factored(factor, rhs, out):
    """Solve ``L L^T x = rhs`` of a factor of `factor_damped`; `out` takes x."""
    size = rhs.size
    lower, x = pointer(factor), pointer(out)
    for i in range(size):
        row = lower + i * size
        x[i] = (rhs[i] - _dot(i, row, x)) / row[i]
    for n in range(size):
        i = size - 1 - n
        row = lower + i * size
        x[i] = x[i] / row[i]
        _subtract(i, x[i], row, x)
