"""The folder of the checkpoints of all jobs: one folder for each, and the digest of all."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..annotations import FilePath
from ..errors import ModelFileError
from ..model_file import description
from ..network import Network
from ..training.checkpoints import Checkpoints
from .jobs import Job
from .shared import Shared, arrays_of

# arguments of a fit that do not print what they are
_OF_ARRAYS = {"callbacks", "validation_data"}
_DIGEST, _NEW = "jobs.txt", "jobs.new"


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
    elif any(each.name != _NEW for each in kept.folder.iterdir()):
        raise ModelFileError(f"checkpoints: {kept.folder} is not empty, and not of fit_many")
    else:
        new = kept.folder / _NEW
        new.write_text(digest)
        new.replace(path)
    return [replace(job, checkpoints=kept.part(job.name)) for job in jobs]


def _add(digest, array):
    digest.update(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())


def _digest(jobs, shared):
    """Return a digest of what is trained, on which data and rows, with which arguments."""
    digest = hashlib.blake2b(digest_size=32)
    for array in shared.arrays():
        _add(digest, array)
    seen = set()
    for job in jobs:
        model = description(job.model.to_model()) if isinstance(job.model, Network) else None
        options = {n: value for n, value in job.options.items() if n not in _OF_ARRAYS}
        validation = job.options.get("validation_data")
        if id(validation) not in seen and isinstance(validation, (tuple, list)):
            for data in validation:
                for array in arrays_of(data):
                    _add(digest, array)
        seen.add(id(validation))  # most often that of all jobs
        digest.update(repr((job.name, job.parameters, model, options)).encode())
        fold = () if job.fold is None else (job.fold.trains, job.fold.tests)
        for array in (job.rows, job.weight, *fold):
            digest.update(b"" if array is None else array.tobytes())
    return digest.hexdigest()
