"""What a network is built from: layers, initializers, optimizers and schedules."""
