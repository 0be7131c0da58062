"""Random arguments of kernels, in arrays that end where memory ends.

A page that nobody may read or write follows an array, or lies before it. NumPy's bounds checks
would not see the kernels' pointers; this does, and ends the process.
"""

import ctypes
import mmap

import numpy as np

_PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)
_SIZES = (0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 65, 130)
_WRONG = ([[1.0, 2.0], [3.0]], None, "text", 3, np.ones((2, 2), "c8"), np.ones(3, object))
_LONGEST = 400


def guarded(array, at_end=True):
    """Return a copy of an array in memory that ends, or begins, beside a forbidden page."""
    pages = -(-max(array.nbytes, 1) // _PAGE)
    memory = mmap.mmap(-1, (pages + 1) * _PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    forbidden = first + (pages * _PAGE if at_end else 0)
    if _LIBC.mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(_PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    start = pages * _PAGE - array.nbytes if at_end else _PAGE
    flat = np.frombuffer(memory, np.uint8, array.nbytes, start).view(array.dtype)
    made = flat.reshape(array.shape)
    made[...] = array
    return made


def _spoiled(array, rng):
    """Return an array of another dtype, byte order, shape or rank, or with one number changed."""
    if array.size and rng.random() < 0.3:
        changed = array.copy()
        odd = (np.nan, np.inf, -1, 0, 200) if array.dtype.kind == "f" else (0, 9, 100)
        changed.flat[rng.integers(array.size)] = odd[rng.integers(len(odd))]
        return changed
    return (
        lambda: array.astype("f8" if array.dtype != "f8" else "f4"),
        lambda: array.astype(array.dtype.newbyteorder()),
        lambda: array.astype("f2"),
        lambda: array[1:],
        lambda: array[..., :-1],
        lambda: np.concatenate([array, array[-1:]]),
        lambda: array.T,
        lambda: array[None],
        lambda: array.reshape(-1),
    )[rng.integers(9)]()


class Drawn:
    """Draws arguments, calls a kernel, and compares with plain NumPy in double precision."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(("f4", "f8")[self.rng.integers(2)])
        self.given = {}
        self.written = set()

    def one_of(self, choices):
        """Return one of the choices."""
        return choices[self.rng.integers(len(choices))]

    def size(self):
        """Return a size, often one at which tiles or vectors end."""
        return int(self.one_of(_SIZES))

    def numbers(self, *shape):
        """Return random numbers, sometimes zeros or very small and large ones."""
        kind = self.rng.integers(8)
        values = self.rng.normal(size=shape)
        if kind == 0:
            values *= 10.0 ** self.rng.integers(-30, 15, shape)
        elif kind == 1:
            values[self.rng.random(shape) < 0.7] = 0
        return values.astype(self.dtype)

    def array(self, name, values):
        """Return values in one of many layouts, under a name."""
        kind = self.rng.integers(10) if values.ndim == 2 else self.rng.integers(4)
        if kind == 0:
            made = guarded(values, at_end=False)
        elif kind == 4:
            made = guarded(np.ascontiguousarray(values.T)).T
        elif kind == 5:  # a part of a wider matrix
            wide = np.full((len(values), values.shape[1] + 3), np.nan, self.dtype)
            wide[:, 1:-2] = values
            made = guarded(wide)[:, 1:-2]
        elif kind == 6:
            made = guarded(np.ascontiguousarray(values[::-1, ::-1]))[::-1, ::-1]
        elif kind == 7:
            wide = np.full((2 * len(values), 2 * values.shape[1]), np.nan, self.dtype)
            wide[::2, ::2] = values
            made = guarded(wide)[::2, ::2]
        elif kind == 8:  # not aligned
            raw = np.zeros(values.nbytes + 1, np.uint8)
            made = raw[1:].view(self.dtype).reshape(values.shape)
            made[...] = values
        else:
            made = guarded(values)
        if self.rng.random() < 0.2:
            made.flags.writeable = False
        self.given[name] = made
        return values.astype("f8")

    def vector(self, name, values):
        """The same of one dimension, sometimes with gaps or backwards."""
        step = self.one_of((1, 1, 1, 2, -1, -3))
        wide = np.full(len(values) * abs(step), np.nan).astype(values.dtype)
        wide[::step] = values
        self.given[name] = guarded(wide, self.rng.random() < 0.8)[::step]
        return values.astype("f8")

    def output(self, shape, *inputs, itself=False):
        """Sometimes pass an array to write; return whether it must be refused.

        It may be one of its own, one that cannot be written or is not contiguous, one that
        overlaps an input, or an input `itself`, where that is allowed.
        """
        kind = self.rng.integers(10)
        if kind > 4:
            return False
        out = guarded(np.full(shape, np.nan, self.dtype), self.rng.random() < 0.8)
        name = self.one_of(inputs)
        source = self.given[name]
        refused = False
        if kind == 1:
            out.flags.writeable = False
            refused = True
        elif kind == 2:
            out = np.full((*shape[:-1], shape[-1] + 1), np.nan, self.dtype)[..., 1:]
            refused = not out.flags.carray
        elif kind == 3 and source.shape == shape and source.size > 1:
            both = np.full(source.size + 1, np.nan, self.dtype)
            both[1:] = source.reshape(-1)
            self.given[name], out = both[1:].reshape(shape), both[:-1].reshape(shape)
            refused = True
        elif kind == 4 and itself:
            out = source
            refused = not out.flags.carray
        self.given["out"] = out
        self.written = {"out"}
        return refused

    def close(self, found, wanted, bound, roundings=2e3):
        """Check numbers whose sum of absolute terms is `bound`."""
        assert found.shape == wanted.shape and found.dtype == self.dtype
        some = np.isfinite(wanted) & (np.abs(bound) < np.finfo(self.dtype).max / 1e4)
        error = np.abs(found.astype("f8")[some] - wanted[some])
        least = 1e3 * np.finfo(self.dtype).tiny
        assert (error <= roundings * np.finfo(self.dtype).eps * np.abs(bound)[some] + least).all()

    def call(self, kernel, refused=False, **more):
        """Call a kernel; None if it refuses what is wrong, as one argument in six is.

        `refused` says that it must refuse what is given.
        """
        given = {**self.given, **more, "n_threads": 1}
        wrong = self.rng.random() < 1 / 6
        if wrong:
            name = self.one_of(list(given))
            value = given[name]
            spoil = isinstance(value, np.ndarray) and value.ndim and self.rng.random() < 0.7
            given[name] = _spoiled(value, self.rng) if spoil else self.one_of(_WRONG)
        before = {n: np.array(v) for n, v in given.items() if isinstance(v, np.ndarray)}
        written = self.written
        try:
            found = kernel(**given)
        except (TypeError, ValueError) as error:
            text = str(error)
            assert wrong or refused, text
            assert len(text) < _LONGEST and "\n" not in text, text
            found, written = None, set()
        else:
            assert wrong or not refused
        outputs = [given[name] for name in written]
        for name, value in before.items():  # the others are not written
            if not any(given[name] is each for each in outputs):
                assert np.array_equal(given[name], value, equal_nan=value.dtype.kind in "fc"), name
        return None if wrong else found
