"""Files of other formats say which it is, and what to do, whatever their names say."""

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import tarfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.io import netcdf_file, savemat

from fastbp.tables.read.table import open_table
from table_files import fails, rows_of

FRAME = pd.DataFrame({"a": range(50), "b": [str(n) for n in range(50)]})


def tarred(path):
    content = FRAME.to_csv(index=False).encode()
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("rows.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def in_sqlite(path):
    database = sqlite3.connect(path)
    FRAME.to_sql("rows", database)
    database.close()


def in_netcdf(path):
    with netcdf_file(path, "w") as file:
        file.createDimension("n", 3)
        file.createVariable("a", "i", ("n",))[:] = np.arange(3)


WRITERS = {
    "ORC": ["ORC", FRAME.to_orc],
    "a pickle": ["a pickle of Python", FRAME.to_pickle],
    **{
        f"a pickle of protocol {protocol}": [
            "a pickle of Python",
            lambda path, protocol=protocol: FRAME.to_pickle(path, protocol=protocol),
        ]
        for protocol in range(5)
    },
    "a pickled list": ["a pickle of Python", lambda p: p.write_bytes(pickle.dumps([1, 2]))],
    **{
        f"Stata {version}": [
            "a file of Stata",
            lambda path, version=version: FRAME.to_stata(path, version=version),
        ]
        for version in (114, 117, 118, 119)
    },
    "SQLite": ["a database of SQLite", in_sqlite],
    "Avro": ["Avro", pl.from_pandas(FRAME).write_avro],
    "NetCDF": ["NetCDF", in_netcdf],
    "MATLAB": ["a file of MATLAB", lambda path: savemat(path, {"a": np.arange(3)})],
    "XML": ["XML", lambda path: path.write_text('<?xml version="1.0"?>\n<a><b>1,2</b></a>\n')],
    "a picture": ["a picture", lambda path: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(99))],
    "tar": ["an archive of tar", tarred],
}
# as their descriptions have it: nothing here writes them
STARTS = {
    "a file of SPSS": b"$FL2@(#) IBM SPSS STATISTICS DATA FILE" + bytes(99),
    "a file of SAS": bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf" + bytes(99),
    "a file of R": b"X\n\0\0\0\x03\0\x04\x02\0\0\x03\x05\0" + bytes(99),
    "a file of R ": b"RDX3\nX\n\0\0\0\x03" + bytes(99),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(99),
    "a database of Access": b"\0\x01\0\0Standard ACE DB\0" + bytes(99),
    "a database of DuckDB": b"\x01\x02\x03\x04\x05\x06\x07\x08DUCK" + bytes(99),
    "a packed file": b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(99),
}
for _what, _start in STARTS.items():
    WRITERS[f"the start of {_what}"] = [_what.strip(), lambda p, s=_start: p.write_bytes(s)]


@pytest.mark.parametrize("what, write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("name", ["rows.csv", "rows.bin", "rows.parquet"])
def test_a_file_of_another_format_says_which_it_is(tmp_path, what, write, name):
    path = tmp_path / "written"
    write(path)
    path = path.rename(tmp_path / name)
    message = fails(path)
    assert f"is {what}: " in message
    assert any(advice in message for advice in ("as Parquet or CSV", "unpack it", "expected"))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("what", ["tar", "a pickle", "the start of a file of R"])
def test_what_is_packed_is_named_too(tmp_path, pack, what):
    path = tmp_path / "rows"
    WRITERS[what][1](path)
    path.write_bytes(pack(path.read_bytes()))
    assert f"is {WRITERS[what][0]}: " in fails(path)


@pytest.mark.parametrize("name", ["ORC", "Obj", "CDF", "RDX3", "$FL2", "PK", "r", "7z", "X", "A"])
def test_a_column_may_have_such_a_name(tmp_path, name):
    path = tmp_path / "rows.csv"
    path.write_text(f"{name},b\n1.5,2\n2.5,4\n3.5,1\n")
    assert open_table(path).columns == [name, "b"]
    assert rows_of(open_table(path))[0] == ("1.5", "2")
