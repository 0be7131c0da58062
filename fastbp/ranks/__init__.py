"""One training on several processes, the ranks of an MPI communicator: ``fit(..., comm=comm)``.

Each rank calls ``fit`` with rows of its own and the same arguments. The rows of all ranks, in the
order of the ranks, are one table, and the training is that of one process on it: of each batch a
rank computes the rows that it holds, and the sum of the gradients, added in the order of the
ranks, updates the weights on every rank. So ``batch_size`` is that of the whole, shards may be
uneven, the result is one process's up to rounding, and has the same bits in every run with as
many ranks. With ``shuffle=False`` the ranks work one after the other, for a batch is then
consecutive rows of the table: shuffle.

- Validation data are shards too. The history is equal on all ranks: ``seconds`` are the slowest's.
- Where the seed is drawn, all train the network of rank 0; else their networks must be the same.
- An invalid argument or other settings on one rank raise the same error of one line on every rank.
- A signal, ``max_time`` or a callback that returns True on one rank stops all. A callback that
  raises ends all with an error. An error elsewhere in one rank ends the job with exit code 1, by
  ``MPI_Abort``; if a rank is killed, mpiexec ends the others. Start programs by
  ``mpiexec -n 4 python -m mpi4py program.py``, so that an error before ``fit`` ends all too.
- Rank 0 writes the checkpoints, which are those of one process, and shows the progress bar. Any
  number of ranks may resume from them.
- ``n_threads="auto"`` shares the processors of a machine among its ranks.

With ``sync="local"`` a rank makes ``average_every`` steps by itself, in compiled slices, each on
its share of a batch, and then all average weights and moments, weighted by rows. It pays where a
step takes no longer than a message between the ranks. The result has the same bits in every run
with as many ranks, but is another than one process's. A signal or the time limit ends training at
the next average.

``sync="auto"`` is "local" where a step is shorter than what joins it with those of the others, by
a cost model: from the sizes of the network and the batch, the number of ranks, and whether they
are on one machine. It measures nothing, so that all runs of a training make one choice. Another
number of ranks may make another, and resumes only where `sync` is named. ``fastbp.plan_ranks`` and
``fastbp plan`` measure, and tell how long an epoch takes on how many ranks. Ranks average after 4
to 32 steps, the first power of two with which averages take a tenth of the time. The gradients are
added after the backward pass, not meanwhile: on one machine the sum is work of the same processors.

`comm` agrees: on arguments, on errors, on when to stop. `shard` finds which rows of a batch a rank
holds, `steps` runs them, `local` has the local steps, `reduction` adds the gradients, `cost` knows
what that takes, `scores` the scores of all ranks. mpi4py is used by way of the communicator alone,
and never imported.
"""
