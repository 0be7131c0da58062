"""The passes over a whole network, and the loops over mini-batches.

From a fit to the micro-kernel: `Network.fit` in fastbp/network.py, `Training.run` in
fastbp/training/fit.py, `Loop.run` in fastbp/training/loop.py, `Engine.train` in
fastbp/engine/engine.py, then here `loop.train`, `passes.pass_over_rows`, `passes.rows_task`, and
`simd.gemm.gemm`, `simd.tile.rank1`.

`Network.jacobian`, `vjp`, `jvp` and the gradients of single samples are in `derivatives`, products
with the Hessian in `curvature`.
"""
