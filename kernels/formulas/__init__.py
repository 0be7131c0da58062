"""Activations, losses and optimizers: each a formula and a record in a registry."""
