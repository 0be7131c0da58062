"""The doctor, the benchmark and the warm-up of a machine."""
