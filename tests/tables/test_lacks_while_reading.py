"""What the machine lacks while a table is read is named as such, not as damage of the file."""

import errno
import os

import polars as pl
import pytest

from fastbp.tables.read.readers import reported


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC, errno.EAGAIN])
@pytest.mark.parametrize(
    "told",
    [
        lambda number: OSError(number, "in its words"),
        lambda number: pl.exceptions.ComputeError(f"no file (os error {number})"),
        lambda number: pl.exceptions.PanicException(f"Err: Os {{ code: {number}, kind: Other }}"),
    ],
)
def test_what_a_machine_lacks_is_not_called_damage(number, told):
    with pytest.raises(OSError, match=r"rows\.csv") as caught, reported("rows.csv"):
        raise told(number)
    assert caught.value.errno == number and caught.value.strerror == os.strerror(number)
