"""The exit codes of ``fastbp``."""

from enum import IntEnum


class Code(IntEnum):
    """The exit codes of ``fastbp``, as ``--help`` and tables/README.md show them.

    Attributes
    ----------
    meaning : str
        What happened, in a few words.
    """

    meaning: str

    def __new__(cls, number, meaning):
        """Return the code of a number."""
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code

    DONE = 0, "done"
    FAILED = 1, "the system failed: a full disk, no memory, no permission"
    USAGE = 2, "wrong usage, or an extra that is not installed"
    BAD_DATA = 3, "the table or the model file cannot be used"
    DIVERGED = 4, "training diverged"
    PREEMPTED = (
        75,
        "preempted by SIGTERM, after a checkpoint or before training began: run it again with "
        "--resume",
    )
    INTERRUPTED = 130, "interrupted by Ctrl-C"
    CLOSED_PIPE = 141, "the reader of the output closed it"  # as of a process ended by SIGPIPE
    TERMINATED = 143, "ended by SIGTERM; of a training, without --checkpoint"
