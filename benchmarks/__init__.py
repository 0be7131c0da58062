"""Benchmarks of fastbp for asv: kernels, training, prediction, memory and start."""
