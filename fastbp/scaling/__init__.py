"""What several processes gain in the training of one network: `plan_ranks` and ``fastbp plan``."""
