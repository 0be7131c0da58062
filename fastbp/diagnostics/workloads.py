"""Networks of different sizes, to measure training on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """A network to train, and the size of its data."""

    sizes: tuple[int, ...]  # units of each layer, from input to output
    batch: int  # samples per step
    rows: int  # samples in total
    loss: str


WORKLOADS = {
    "tiny": Workload((4, 32, 16, 4), 128, 12_800, "squared_error"),
    "tabular": Workload((32, 64, 64, 1), 64, 12_800, "squared_error"),
    "digits": Workload((64, 100, 10), 200, 1_800, "cross_entropy"),
    "mnist": Workload((784, 128, 10), 128, 2_560, "cross_entropy"),
    "mnist2": Workload((784, 512, 512, 10), 256, 2_560, "cross_entropy"),
    "wide": Workload((1024, 2048, 2048, 1000), 1024, 1_024, "cross_entropy"),
}
