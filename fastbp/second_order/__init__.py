"""Training with `LevenbergMarquardt` and `LBFGS`, an iteration to an epoch.

`whole` says which trainings they serve, and has what both share. `marquardt` and `lbfgs` have the
iterations, `line_search` finds the length of a step, `choice` knows which steps an optimizer
makes. The training loop calls them in the place of steps on batches, so that history, validation,
early stopping, limits of time and signals are those of every training.
"""
