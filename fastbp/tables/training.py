"""``fastbp.train``: a table in, a `TableModel` out."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from ..annotations import Callback, FilePath
from ..checks import as_callables
from ..kernels.support.scalars import a_flag
from ..ranks.comm import as_ranks
from ..training.checkpoints import Checkpoints
from .declared import takes
from .job import Job
from .model import TableModel
from .options import TrainOptions
from .read.table import Data
from .roles import tell_left_out
from .search import require_search, trained
from .shards import a_shard
from .wording import unknown


@takes(TrainOptions)
def train(
    data: Data,
    target: str | Sequence[str],
    *,
    valid: Data | None = None,
    checkpoints: FilePath | Checkpoints | None = None,
    resume: bool = False,
    callbacks: Callback | Iterable[Callback] = (),
    progress: bool = False,
    shard: str | None = None,
    comm: Any = None,
    sync: str = "step",
    average_every: int | None = None,
    client: Any = None,
    **options: Any,
) -> TableModel:
    """Train a network on a table, as ``fastbp train`` does; return the `TableModel`.

    Columns are encoded by their kinds: numbers, booleans, categories and dates, each with
    missing values. The target decides between classification and regression.

    Parameters
    ----------
    data : path, glob, folder, frame or dict of arrays
        Text with separators, Parquet, Arrow IPC, JSON, a workbook or ``.npz``, packed or not, or an
        address; a frame of polars, pandas or pyarrow.
    target : str or sequence of str
        Column to learn; or several, numbers or columns of two classes each.
    valid : path, frame, ..., optional
        Rows for validation. Default: a share of `data`.
    checkpoints : path or Checkpoints, optional
        Folder for checkpoints; see ``Network.fit``.
    resume : bool, default False
        Resume from the newest checkpoint, if there is one.
    callbacks, progress
        As for ``Network.fit``. An epoch of an ensemble has its ``member``, from 0; callbacks run
        once at a time, in the threads that train, and True stops this member.
    shard : str, optional
        ``"3/16"``: train the third of 16 parts of a ``search``. The model is the best of its
        part; `merge_shards` finds that of all in their files.
    comm : mpi4py.MPI.Intracomm, optional
        Train one network on all its processes: see ``fastbp.ranks``. Each finds the kinds and
        statistics of its share of the columns, and encodes, trains and scores on its share of the
        rows; all return the model of one process.
    sync, average_every
        As for ``Network.fit``; with a `sync` other than "step" the model is another than that of
        one process.
    client : distributed.Client, optional
        Train the networks of a ``search`` on the workers of its Dask cluster; the model is the
        same.
    **options
        The fields of ``fastbp.tables.options.TrainOptions``; `takes` names them here.

    Returns
    -------
    TableModel
        ``model.record["stopped"]`` says why it ended: "epochs", "early stopping", "time",
        "callback", "interrupted" (Ctrl-C) or "terminated" (SIGTERM, with checkpoints). A
        model of the last two has no scores with checkpoints, or before its first step.
        Of an ensemble by folds, ``model.out_of_fold`` has the predictions of each row by the
        network that has not seen it.

    Raises
    ------
    DataError
        If the table cannot be used as it is.
    DivergenceError
        If a loss is not finite.
    ValueError, TypeError
        If an argument is invalid; nothing is read then.
    """
    names = [field.name for field in fields(TrainOptions)]
    for name in options:
        if name not in names:
            raise TypeError(f"train has {unknown('option', name, names)}")
    columns: Any = target
    asked = TrainOptions(target=columns, **options)
    callbacks = as_callables(callbacks)
    progress = a_flag("progress", progress)
    part = a_shard("shard", shard, asked.search)
    if client is not None:
        require_search("client", asked.search)
    joint = {"comm": comm, "sync": sync, "average_every": average_every}
    resume = a_flag("resume", resume)
    job = as_ranks(comm).together(lambda: Job(data, asked, valid, checkpoints, resume, **joint))
    tell_left_out(job.schema, job.table)  # the command shows them in its plan
    job.shares.check(job)
    return trained(job, callbacks, progress, part, client)
