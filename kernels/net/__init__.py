"""The passes over a whole network, and the loops over mini-batches.

From a fit to the micro-kernel: `loop.train`, `passes.pass_over_rows`, `passes.rows_task`,
`simd.gemm.gemm`, `simd.tile.rank1`.
"""
