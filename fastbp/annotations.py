"""Type aliases shared by the annotations of several modules."""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scipy.sparse import sparray, spmatrix

    from .data.source import Source

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.floating[Any]]
Weights: TypeAlias = ArrayLike | None  # of samples
Matrix: TypeAlias = "ArrayLike | sparray | spmatrix"
# X and y, or X, y and sample weights
Scored: TypeAlias = "tuple[Matrix, ArrayLike] | tuple[Matrix, ArrayLike, Weights]"
EvalSet: TypeAlias = "Scored | list[Scored] | None"
FilePath: TypeAlias = str | PathLike[str]
FloatType: TypeAlias = Literal["float32", "float64"] | type[np.float32] | type[np.float64]
Threads: TypeAlias = int | Literal["auto"]
# called with the numbers of an epoch; True stops
Callback: TypeAlias = Callable[[dict[str, float]], object]
# one block of a stream, without or with sample weights; and its arrays
Block: TypeAlias = tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike | None]
ClassWeight: TypeAlias = Mapping[Any, float] | list[Mapping[Any, float]] | Literal["balanced"]
Stream: TypeAlias = "Source | Iterable[Block]"
Arrays: TypeAlias = tuple[Array, Array, Array | None]
