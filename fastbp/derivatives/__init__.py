"""The derivatives of a network beyond the gradient of its loss.

`methods.Differentiable` holds the public methods, `passes.Passes` runs the kernels of
kernels/net/derivatives.py on the buffers of `workspace`.
"""
