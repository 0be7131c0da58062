"""Sources of samples larger than memory, for ``Network.fit`` and ``partial_fit``."""

from .arrays import ArraySource
from .parquet import ParquetSource
from .source import Source
from .spool import Spool, spooled

__all__ = ["ArraySource", "ParquetSource", "Source", "Spool", "spooled"]
