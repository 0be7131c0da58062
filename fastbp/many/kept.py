"""The folder of the checkpoints of all jobs: one folder for each, and the digest of all."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..annotations import FilePath
from ..errors import ModelFileError
from ..kernels.support.files import write_whole
from ..model_file import description
from ..network import Network
from ..training.checkpoints import Checkpoints
from .jobs import Job
from .settings import lasting_key_of
from .shared import Shared

_DIGEST = "jobs.txt"


def kept_in(checkpoints: FilePath | Checkpoints, jobs: Sequence[Job], shared: Shared) -> list[Job]:
    """Return the jobs with a folder of checkpoints each.

    ValueError if one is an estimator, which has none; ModelFileError if the folder is of
    others, or of other data.
    """
    for job in jobs:
        if not job.kind.is_network:
            raise ValueError(
                f"checkpoints: jobs[{job.number}] is an estimator, which keeps none; give "
                "networks, or leave checkpoints out"
            )
    kept = checkpoints if isinstance(checkpoints, Checkpoints) else Checkpoints(checkpoints)
    kept.prepare()
    digest, path = _digest(jobs, shared), kept.folder / _DIGEST
    if path.exists():
        if path.read_text() != digest:
            raise ModelFileError(
                f"checkpoints: {kept.folder} holds those of other jobs, or of other data; give the "
                "same, or an empty folder"
            )
    elif any(each.name[0] != "." for each in kept.folder.iterdir()):
        raise ModelFileError(f"checkpoints: {kept.folder} is not empty, and not of fit_many")
    else:
        write_whole(path, digest.encode(), sync=True)
    return [replace(job, checkpoints=kept.part(job.name)) for job in jobs]


def _digest(jobs, shared):
    """Return a digest of what is trained, on which data and rows, with which arguments."""
    digest = hashlib.blake2b(digest_size=32)
    known: dict[int, Any] = {}  # of what lives as long as the jobs: most are those of all

    def told(value):
        if id(value) not in known:
            known[id(value)] = lasting_key_of(value)
        return known[id(value)]

    digest.update(repr(lasting_key_of(shared.arrays())).encode())
    for job in jobs:
        model = description(job.model.to_model()) if isinstance(job.model, Network) else None
        given = {n: value for n, value in job.options.items() if n != "callbacks"} | job.parameters
        given |= {"rows": job.rows, "weight": job.weight}
        given |= {} if job.fold is None else {"trains": job.fold.trains, "tests": job.fold.tests}
        settings = [(name, told(value)) for name, value in sorted(given.items())]
        digest.update(repr((job.name, model, settings)).encode())
    return digest.hexdigest()
