"""Why a training ended."""

from enum import Enum


class Stopped(str, Enum):
    """Why a training ended; each member equals its text.

    A resumed training continues after EPOCHS (if there are more now), TIME,
    INTERRUPTED and TERMINATED.
    """

    EPOCHS = "epochs"
    EARLY = "early stopping"
    CONVERGED = "converged"
    CALLBACK = "callback"
    TIME = "time"
    DATA = "end of the data"  # of an iterator, before the last epoch was complete
    INTERRUPTED = "interrupted"  # SIGINT, as by Ctrl-C
    TERMINATED = "terminated"  # SIGTERM
    DIVERGED = "diverged"

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    @property
    def continues(self) -> bool:
        """Whether a resumed training continues."""
        return self in (Stopped.EPOCHS, Stopped.TIME) or self.by_signal

    @property
    def by_signal(self) -> bool:
        """Whether a signal ended the training."""
        return self in (Stopped.INTERRUPTED, Stopped.TERMINATED)

    @classmethod
    def text_of(cls, reason: str) -> str:
        """Return a reason as a phrase for people; one that is none of these as it is."""
        return next((known.text for known in cls if known == reason), reason)

    @property
    def text(self) -> str:
        """The reason as a phrase for people."""
        return _PHRASES.get(self, self.value)


_PHRASES = {
    Stopped.EPOCHS: "completed all epochs",
    Stopped.EARLY: "stopped early",
    Stopped.CALLBACK: "stopped by a callback",
    Stopped.TIME: "stopped at the time limit",
    Stopped.DATA: "stopped at the end of the data",
}
