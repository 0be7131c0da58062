"""Models and checkpoints on disk, exports, and the report."""

import tempfile
from pathlib import Path
from weakref import finalize

import fastbp
from fastbp import Network

from .bench_training import make_network
from .common import needs, run_command
from .workloads import WORKLOADS, make_data

# the package that each format needs
FORMATS = {"c": "fastbp", "numpy": "fastbp", "onnx": "onnx", "sklearn": "sklearn"}


def new_folder(owner):
    """Return a folder that lives as long as its owner."""
    folder = tempfile.TemporaryDirectory()
    finalize(owner, folder.cleanup)
    return Path(folder.name)


class ModelFiles:
    """A model file written and read: 0.5 MB of parameters, and 25 MB."""

    params = (("mnist", "wide"),)
    param_names = ("workload",)

    def setup(self, name):
        self.network, self.file = make_network(WORKLOADS[name]), new_folder(self) / "net"
        self.network.save(self.file)

    def time_save(self, name):
        self.network.save(self.file)

    def time_load(self, name):
        Network.load(self.file)


class Checkpoints:
    """Ten epochs that write a checkpoint after every slice, and one that goes on from the last."""

    epochs = 10

    def setup(self):
        needs(fastbp, "Checkpoints")
        self.workload = WORKLOADS["digits"]
        self.data, self.folder = make_data(self.workload), new_folder(self)
        self._fit(self.epochs)
        # as the files are before a resumed training, whatever it writes
        self.last = [(path, path.read_bytes()) for path in self.folder.iterdir()]

    def _fit(self, epochs, **options):
        for path in () if options else self.folder.iterdir():
            path.unlink()
        checkpoints = fastbp.Checkpoints(self.folder, every=0)
        make_network(self.workload).fit(
            *self.data, epochs=epochs, batch_size=200, checkpoints=checkpoints, **options
        )

    def time_fit_with_checkpoints(self):
        self._fit(self.epochs)

    def time_resume_one_epoch(self):
        for path in self.folder.iterdir():
            path.unlink()
        for path, content in self.last:
            path.write_bytes(content)
        self._fit(self.epochs + 1, resume=True)


class Exports:
    """A net of 784-128-10 written for other programs."""

    params = (tuple(FORMATS),)
    param_names = ("format",)

    def setup(self, name):
        needs(fastbp, f"to_{name}", FORMATS[name])
        self.network = make_network(WORKLOADS["mnist"])
        file = [] if name == "sklearn" else [new_folder(self) / f"net.{name}"]
        self.export = lambda: getattr(fastbp, f"to_{name}")(self.network, *file)
        self.export()

    def time_export(self, name):
        self.export()


class Report:
    """The page about a model of a table, by the command."""

    number, timeout = 1, 300

    def setup(self):
        needs(fastbp, "train", "polars", "typer", "jinja2", "matplotlib")
        self.folder = new_folder(self)
        run_command("train", "digits", "--epochs", "3", "-o", self.folder / "net")
        self.time_report()

    def time_report(self):
        run_command("report", self.folder / "net", "-o", self.folder / "net.html")
