"""The history of a training: a record per epoch, printed as a table."""

from collections.abc import Callable
from typing import Any

from ..durations import duration
from ..kernels.peak import measure_peak
from ..kernels.support.once import cached_property
from ..quoted import quoted
from .stopped import Stopped

# columns of the printed table: title, and what shows a value
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "loss": ("loss", "{:.5f}".format),
    "val_loss": ("val loss", "{:.5f}".format),
    "val_accuracy": ("val accuracy", "{:.4f}".format),
    "val_r2": ("val R2", "{:.4f}".format),
    "learning_rate": ("rate", "{:.2e}".format),
    "seconds": ("time", duration),
    "samples_per_second": ("samples/s", "{:,.0f}".format),
    "gflops": ("GFLOP/s", "{:.1f}".format),
    "share_of_peak": ("of peak", "{:.0%}".format),
}
Entries = Callable[[], list[dict[str, Any]]]
_MOST_ROWS = 20
_PEAK_TRIALS = 3


def entry_of(
    number: int, loss: float, rate: float, seconds: float, rows: int, flops_per_row: int
) -> dict[str, Any]:
    """Return what a history has of an epoch: its number, mean loss, last rate and time."""
    return {
        "epoch": number,
        "loss": float(loss),
        "learning_rate": float(rate),
        "seconds": seconds,
        "samples_per_second": rows / seconds,
        "gflops": rows * flops_per_row / seconds / 1e9,
    }


class History:
    """One training run.

    Parameters
    ----------
    dtype : str
        What the network computed in.
    n_threads : int
        The most threads that a step may use; where fewer are faster, fewer run.
    entries : callable, optional
        Returns the list of the epochs, when it is first asked for.

    Attributes
    ----------
    epochs : list of dict
        For each epoch: ``epoch`` (from 0), ``loss``, ``learning_rate``,
        ``seconds``, ``samples_per_second``, ``gflops``, and, with validation
        data, ``val_loss`` and its metric, ``val_accuracy`` or ``val_r2``; these are NaN
        where Ctrl-C came before they were computed.
    stopped : Stopped or None
        Why it ended, equal to "epochs", "early stopping", "time", "callback", "interrupted",
        "terminated" or "diverged"; None while it runs, and after an exception ended it.
    best_epoch : int or None
        The epoch of the lowest monitored loss, from 0.
    peak : float
        The processor's measured peak in FLOP/s on `n_threads` threads; measured at the first
        access.
    """

    def __init__(self, dtype: str, n_threads: int = 1, entries: Entries = list) -> None:
        self.dtype = dtype
        self.n_threads = n_threads
        self._entries = entries
        self.stopped: Stopped | None = None
        self.best_epoch: int | None = None

    @cached_property
    def epochs(self) -> list[dict[str, Any]]:
        """The numbers of each epoch."""
        return self._entries()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the function that makes the epochs, for it need not be one of a module."""
        return {**vars(self), "epochs": self.epochs, "_entries": list}

    @cached_property
    def peak(self) -> float:
        """The measured peak in FLOP/s, and no less than what an epoch reached."""
        fastest = max((entry["gflops"] * 1e9 for entry in self.epochs), default=0.0)
        for _ in range(_PEAK_TRIALS):  # another process may be in the way
            peak: float = measure_peak(self.dtype, self.n_threads)
            if peak > fastest:
                return peak
        return fastest

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, name: str) -> list[float]:
        """Return the list of one quantity over the epochs, such as ``history["loss"]``."""
        if name == "share_of_peak":
            return [entry["gflops"] * 1e9 / self.peak for entry in self.epochs]
        known = self.epochs[0].keys() if self.epochs else ()
        if name not in known:
            raise KeyError(
                f"{quoted(name)}: this history has {', '.join([*known, 'share_of_peak'])}"
            )
        return [entry[name] for entry in self.epochs]

    @property
    def seconds(self) -> float:
        """The seconds of all epochs together."""
        return sum(entry["seconds"] for entry in self.epochs)

    def __repr__(self) -> str:
        if not self.epochs:
            return f"History of no epoch, {self._end()}"
        names = [n for n in COLUMNS if n == "share_of_peak" or n in self.epochs[0]]
        head = ["epoch", *(COLUMNS[name][0] for name in names)]
        rows = [head]
        step = -(-len(self) // _MOST_ROWS)
        for place in sorted({0, *range(step - 1, len(self), step), len(self) - 1}):
            entry = self.epochs[place]
            entry = {**entry, "share_of_peak": entry["gflops"] * 1e9 / self.peak}
            values = (COLUMNS[name][1](entry[name]) for name in names)
            rows.append([str(entry["epoch"] + 1), *values])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(v.rjust(w) for v, w in zip(r, widths, strict=True)) for r in rows]
        return "\n".join([*lines, self._summary()])

    def _end(self):
        return self.stopped.text if self.stopped else "not completed"

    def _summary(self):
        best = "" if self.best_epoch is None else f", best epoch {self.best_epoch + 1}"
        threads = f"{self.n_threads} thread" + "s" * (self.n_threads > 1)
        epochs = f"{len(self)} epoch" + "s" * (len(self) > 1)
        return (
            f"{epochs} in {duration(self.seconds)}, {self.dtype}, {threads}, "
            f"peak {self.peak / 1e9:.0f} GFLOP/s, {self._end()}{best}"
        )
