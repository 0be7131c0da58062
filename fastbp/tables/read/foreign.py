"""Files of other formats, which are handed over as tables by mistake, by how they begin."""

import re

_EXPECTED = "expected a table"
_SAVE = "save it as Parquet or CSV"
_SAVE_TABLE = "save a table of it as Parquet or CSV"
_UNPACK = "unpack it, and give the table"
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (rb"%PDF", "a PDF", _EXPECTED),
    (rb"\x89PNG|\xff\xd8\xff", "a picture", _EXPECTED),
    (rb"(?i)\s*<(?:!doctype )?html", "a page of HTML", _EXPECTED),
    (rb"\s*<\?xml ", "XML", _SAVE),
    (rb"version https://git-lfs", "a pointer of Git LFS without the data", _EXPECTED),
    (rb"\x93NUMPY", "a single array: numpy.savez gives it a name", _EXPECTED),
    (rb"SQLite format 3", "a database of SQLite", _SAVE_TABLE),
    (rb"\0\x01\0\0Standard (?:Jet|ACE)", "a database of Access", _SAVE_TABLE),
    (rb".{8}DUCK", "a database of DuckDB", _SAVE_TABLE),
    (rb"\x89HDF", "HDF5", _SAVE),
    (rb"CDF[\x01\x02\x05]", "NetCDF", _SAVE),
    (rb"MATLAB \d\.\d MAT-file", "a file of MATLAB", _SAVE),
    # a column may be called ORC: what follows is no text
    (rb"ORC.{0,40}[\0-\x08\x0e-\x1f]", "ORC", _SAVE),
    (rb"Obj\x01", "Avro", _SAVE),
    (rb"FEA1", "Feather of version 1", _SAVE),
    (rb"\x80[\x02-\x05]|ccopy_?reg\n|c(?:pandas|numpy)[\w.]*\n", "a pickle of Python", _SAVE),
    (rb"<stata_dta>|[\x69-\x73][\x01\x02]\x01\0", "a file of Stata", _SAVE),
    (rb"\$FL[23]@\(#\)", "a file of SPSS", _SAVE),
    (rb"\0{12}\xc2\xea\x81\x60|HEADER RECORD\*{7}", "a file of SAS", _SAVE),
    (rb"RD[ABX][23]\n|[ABX]\n\0\0\0[\x02\x03]", "a file of R", _SAVE),
    (rb".{257}ustar", "an archive of tar", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|\x04\x22\x4d\x18|\x1f\x9d", "a packed file", _UNPACK),
)
_PATTERNS = [(re.compile(start, re.DOTALL), what, advice) for start, what, advice in _STARTS]


def foreign(head: bytes) -> str | None:
    """Return what a file is that begins with `head`, and what to do with it; None of tables."""
    found = ((what, advice) for start, what, advice in _PATTERNS if start.match(head))
    return next((f"{what}: {advice}" for what, advice in found), None)
