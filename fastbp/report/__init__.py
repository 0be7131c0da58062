"""The report of a model: one page of HTML that needs nothing else."""
