"""Job arrays: which task of how many this process is, by the variables of the batch system."""

import re

from ..tables.wording import counted

# the index of a task, the first and the last of its array, the step between two, and how many
# there are: https://slurm.schedmd.com/job_array.html, and qsub(1) of Grid Engine
_RANGES = (
    tuple(f"SLURM_ARRAY_TASK_{each}" for each in ("ID", "MIN", "MAX", "STEP", "COUNT")),
    ("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE", ""),
)
# an index that counts from 0, and how many there are, which Kubernetes does not say
_COUNTS = (("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"), ("JOB_COMPLETION_INDEX", ""))


def array_task(environment, count=None):
    """Return the number of this task from 1, how many there are, and the variable that says so.

    The number is None outside of a job array, and in one whose size is not known, unless `count`
    gives it.

    Raises
    ------
    ValueError
        If the indexes of the array are not equally far apart, so that no number follows.
    """
    for index, first, last, step, count_of in _RANGES:
        low, high, size = (_whole(environment.get(name)) for name in (first, last, step))
        place = _whole(environment.get(index))
        if None in (place, low, high):
            continue
        size = size or 1
        number, found = (place - low) // size + 1, (high - low) // size + 1
        tasks = _whole(environment.get(count_of, "")) or found
        if (place - low) % size or tasks != found:
            raise ValueError(
                f"{index}={place}: this job array lacks indexes from {low} to {high} by {size}; "
                "give the number and the count of the shard, such as 3/16"
            )
        return number, _agreed(index, found, count), index
    for index, size in _COUNTS:
        place, found = _whole(environment.get(index)), _whole(environment.get(size)) or count
        if place is not None and found:
            return place + 1, _agreed(index, found, count), index
    return None, None, ""


def _agreed(index, found, count):
    """Return how many tasks an array has; an array of those that are missing has fewer."""
    if found == 1 or (count and count != found):
        tasks = counted(found, "task")
        raise ValueError(
            f"{index}: this job array has {tasks}, which may be others than the shards; give the "
            "number and the count of the shard, such as 3/16"
        )
    return found


def _whole(text):
    """Return a number of digits, None for other text."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text or "") else None
