"""One network's buffers, their layout, and the calls into the kernels."""
