"""Sizes and costs that speed depends on, each with the cache or the measurement behind it.

None of them changes a bit of a result. Costs are in flops: the time that one floating-point
operation takes at ``FLOPS_PER_SECOND``. The measurements in brackets are of float32 on one
thread of an AMD EPYC with 512-bit vectors: 48 KiB first-level and 1 MiB second-level cache per
core, 275 GFLOP/s at peak. Nets are the workloads of ``benchmarks/workloads.py``.
"""

# ---------------------------------------------------------------- memory

CACHE_LINE = 64  # bytes; also the widest vector
PAGE_BYTES = 4096  # of the smallest pages of x86 and of most ARM systems
# Matrices below this size are read where they lie: they fit the second-level cache (1 or 2 MiB)
# and the pages that the translation buffer covers.
FAR_BYTES = 2 * 1024 * 1024
# Above this size most of the data lies beyond a core's share of the third-level cache: the rows
# of the next batch are prefetched (mnist: 78 -> 81 % of peak, with `GRADIENT_BLOCK_TILES`).
FAR_DATA_BYTES = 4 * 1024 * 1024
# Rows of a workspace with this many cache lines or more get an odd number of them: a power of two
# would put all rows into the same few of the first-level cache's 64 sets.
ODD_LINES = 8

# ---------------------------------------------------------------- threads

# Entering and leaving a parallel region whose OpenMP threads are awake [3.2 us for two threads, of
# which setting Numba's number of threads takes more than one].
REGION_SECONDS = 2e-6
# The rate of one thread on nets so small that the decision is close [64-64-10: 124 GFLOP/s].
FLOPS_PER_SECOND = 1e11
# Threads must save this multiple of a region's cost: a margin, for other processes delay threads.
REGION_WORTH = 4
REGIONS_PER_GRADIENT = 2  # one over rows, one over weights: see `net.passes`
# The meetings of a step inside one region (`simd.meeting`), in regions [tiny: a step of 6.1 us
# takes 5.3 us on two threads, 2.2 us more than half of it; a margin is in REGION_WORTH].
REGIONS_PER_STEP = 0.7
# A thread that waits for another looks this often before it lets the system run one in its place
# [2 us], and this often before it concludes that they do not run at the same time [0.5 s]; or,
# beside other processes, until so many seconds of the clock have begun.
SPINS = 50
SPINS_TO_START, SECONDS_TO_START = 20_000_000, 2

# ---------------------------------------------------------------- costs, in flops per element

MULTIPLY_ADD_FLOPS = 2.0  # by definition
# Costs of the kernels that are called by themselves. Most are below the measured times: on data
# from memory, which all cores share, threads save less than on data in a cache.
HADAMARD_FLOPS = 2.0  # [0.14 ns in the second-level cache]
ACTIVATION_FLOPS = 8.0  # [relu 0.13 ns, tanh 0.36 ns, gelu 0.72 ns]
DROPOUT_FLOPS = 10.0  # [0.18 ns in the second-level cache, with a copy]
RANDOM_FLOPS = 40.0  # [uniform 0.8 ns, normal 20 ns]
LOSS_FLOPS = 60.0  # [squared error 0.28 ns, cross-entropy 0.56 ns]
# An update of one parameter while the parameters are in a cache [sgd 0.23 ns, adam 0.25 ns].
# Whether threads pay is decided by this one: threads do not make memory faster.
UPDATE_FLOPS = 20.0
# The same from memory [sgd 0.78 ns, adam 0.91 ns]. The length of the first slice is estimated by
# this one: the slice must be short on any machine, however large the net.
UPDATE_FLOPS_FROM_MEMORY = 100
# A non-zero of a sparse matrix waits for a row of W or G from the third-level cache (2 ns).
NONZERO_FLOPS = 200.0

# ---------------------------------------------------------------- matrix products

# Rows of the main tile and of the two smaller ones, and vectors per row, for 32 and for 16 vector
# registers: rows * vectors accumulators, the vectors of B and one of A fill the registers.
TILE_SHAPES = {32: ((12, 4, 1), 2), 16: ((6, 2, 1), 2)}
# The sum over k is cut to this depth: a strip of A (12 x 512 float32, 24 KiB) fills half of the
# first-level cache, a block of strips (120 x 512, 240 KiB) stays in the second, and loading and
# storing a tile takes little time against 512 rank-1 updates.
DEPTH = 512
BLOCK_ROWS = 120  # of A packed at once; a multiple of every tile's rows
BLOCK_VECTORS = 64  # of B's columns packed at once: 512 x 64 vectors are 2 MiB, half for AVX2
# Floats between packed pieces, one cache line of float32: pieces start in different cache sets.
APART = 16
# Packing B pays for this many tiles of rows of A, packing A for this many columns of B.
PACK_TILES = 4
PACK_COLUMNS = 64
# In a tile of fewer rows than this, loads of B are the bottleneck when they cross cache lines or
# miss the first-level cache; in a taller one, when they miss the second.
LOW_TILE_ROWS = 8
# Rows of B a multiple of this many bytes apart share an eighth of the first-level cache's sets.
COLLISION_BYTES = 512
# B is packed from this size on if its rows collide: for low tiles half of a 32 KiB first-level
# cache (outer on AVX2, 128 x 784 x 128: 45 -> 84 % of peak), for tall ones half of the second.
NEAR_BYTES_LOW, NEAR_BYTES_TALL = 16 * 1024, 512 * 1024
# Tall tiles are slowed down less: packing pays for this many tiles of rows (mnist2: 73.5 -> 75 %
# of peak).
PACK_TILES_TALL = 16
# Rows of A a multiple of this many bytes apart share two sets of the first-level cache: they are
# copied apart (matmul 1024^3: 82 -> 88 % of peak).
ALIAS_BYTES = 2048

# Vectors of columns that a product of numbers with ramps computes at a time: the sums of a number
# and Z of a batch stay in the first-level cache, and the gradient's sums in 16 registers.
RAMP_VECTORS = 4

# ---------------------------------------------------------------- layers

# Tiles of rows of W whose gradient is computed and then applied: few, so that it stays in the
# second-level cache meanwhile; and rows of all tasks together where `gemm` packs the deltas for
# each block again (wide: 253 -> 220 MB).
GRADIENT_BLOCK_TILES, GRADIENT_BLOCK_ROWS_PACKED = 10, 768
# Rows that inference takes through all layers at a time: few, so that they stay in the
# second-level cache; more where weights are packed (100,000 rows of wide: 82 -> 85 % of peak).
INFERENCE_ROWS, INFERENCE_ROWS_PACKED = 256, 1024
# Inference returns to Python after about 10 ms of work, for Ctrl-C; packed batches may take 0.2 s.
INFERENCE_FLOPS, INFERENCE_FLOPS_PACKED = 1_000_000_000, 20_000_000_000

# ---------------------------------------------------------------- slices of training

# Training returns to Python after this time: short for Ctrl-C and time budgets, long against what
# Python does per slice.
SLICE_SECONDS = 0.05
# How long after the time limit a validation may go on, so that short ones end: with a slice of
# inference, at most 0.2 s, it ends within 0.3 s of the limit.
SCORING_SECONDS = 0.1
# The first slice, before a step is measured: about 10 ms.
FIRST_SLICE_FLOPS, FIRST_SLICE_STEPS = 1_000_000_000, 1000
# Where several threads may share the work, about 1 ms on one of them, before more are tried.
FIRST_SHARED_FLOPS = 100_000_000
SLICE_GROWTH = 4  # the next slice is at most this multiple of the last
# A step of this length is not slowed down by threads that wait for each other a few times.
LONG_STEP_FLOPS = 1_000_000_000
# Slices on several threads start short, since another process may take a processor at any time,
# and grow by this factor while they are faster than one thread.
FEWEST_STEPS, MOST_STEPS, STEPS_GROWTH = 1, 64, 4
# After a try of other threads lost time, what is quicker runs for this multiple of it before the
# next one: at most 1.6 % is lost. Fewer threads, which only win where more of them become slower,
# are tried again after up to this multiple of that.
PATIENCE, MOST_PATIENCE = 64, 16
# Threads that become so much slower than fewer were are compared with those at once.
CLEARLY_SLOWER = 1.1
# A try has so many slices of 1, 4, 16 steps, for the first wait until sleeping threads wake
# (narrow float64 nets: 90 -> 80 ms). A slice of more than 1 ms that takes clearly longer ends it:
# beside other processes a step takes 8 ms and more, and waking 256 threads 0.4 ms.
SLICES_OF_TRY, JUDGED_SECONDS, WAKING = 3, 1e-3, 2
# While more threads want to run than there are processors, the first try waits, for so much time
# of one thread at most: what it would lose then [12 ms] is 3 % of that. Others often run for a
# moment: whether they do is asked again after so much time [it takes 0.07 ms].
CROWDED_SECONDS, LOOK_SECONDS = 0.5, 0.01
# Weight of a new measurement of a step's time in the running mean: one slice that was interrupted
# must not decide [simulated calls of 0.9 ms, where every tenth slice takes 2 ms more: 1.34 times
# as long; 1.53 with a weight of a half].
MEASUREMENT_WEIGHT = 0.25
# Steps of a slice that leaves a processor to a reader: it ends soon after the reader does.
READING_STEPS = 16

# ---------------------------------------------------------------- many networks

# Networks are trained many to a call where an epoch takes at most about 10 ms, and their
# parameters fit the second-level cache with their moments: Python takes about 1.3 ms for each that
# is trained by itself [32-64-64-1, 20,000 rows, 2 epochs: 7.3 ms, of which kernels take 6.7].
PACKED_EPOCH_FLOPS, PACKED_PARAMETERS = 1_000_000_000, 1 << 15
# Packs keep the loss of every step: of one network, and of all of a pack.
PACKED_STEPS, PACK_STEPS = 1 << 17, 1 << 23
# The work of one pack: long against what Python does for it [0.4 ms], but short enough that all
# threads end at about the same time: so many for each thread.
PACK_FLOPS_LEAST, PACK_FLOPS_MOST, PACKS_PER_THREAD = 100_000_000, 100_000_000_000, 8
