"""Tables that lie elsewhere: behind a web address, or in an object store that polars reads."""

import re
from collections.abc import Callable
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import polars as pl

from ...errors import DataError
from ..wording import one_line
from .notes import step
from .scratch import Scratch

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WEB = ("http", "https")
_STORES = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "hf")
_SECONDS = 30
_OPTIONS = {"connect_timeout": "10s", "timeout": f"{_SECONDS}s"}


def is_address(path: object) -> bool:
    """Return whether a path is an address such as ``s3://bucket/rows.parquet``."""
    return isinstance(path, str) and bool(_ADDRESS.match(path))


def _parts(address):
    try:
        return urlsplit(address)
    except ValueError as error:  # it may hold a password
        raise DataError(f"an address is not written as one: {one_line(error)}") from error


def local_path(address: str) -> str | None:
    """Return the path in a ``file://`` address, or None for another."""
    parts = _parts(address)
    return unquote(parts.path) if parts.scheme.lower() == "file" else None


def without_secrets(address: str) -> str:
    """Return an address without user, password, and what follows a question mark."""
    parts = _parts(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def in_store(address: str, scan: Callable[..., pl.LazyFrame]) -> pl.LazyFrame | None:
    """Return the scan of a file in an object store, or None if it is on the web.

    DataError if polars knows no such store, or the file cannot be had.
    """
    name, scheme = without_secrets(address), _parts(address).scheme.lower()
    if scheme in _WEB:
        return None
    if scheme not in _STORES:
        known = "://, ".join((*_WEB, *_STORES))
        raise DataError(f"{name}: expected a path, or an address that begins with {known}://")
    options = {} if scheme == "hf" else _OPTIONS
    step("fetching", name)
    with _told(name):
        found = scan(address, storage_options=options)
        found.collect_schema()
    return found


@contextmanager
def _told(name):
    """Turn what polars raises of a file in an object store into a DataError."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, ImportError, ValueError) as error:
        raise DataError(
            f"{name} cannot be read; are there credentials for it in the environment? "
            f"{one_line(error)}"
        ) from error


def fetched(address: str) -> Scratch:
    """Return the bytes of an address in a scratch file; DataError if they cannot be had."""
    name = without_secrets(address)
    lines = in_store(address, _lines)
    if lines is None:
        step("fetching", name)
        return _of_web(name, address)
    scratch = Scratch()
    with _told(name):
        for frame in lines.collect_batches():
            text = frame["line"].fill_null("").str.join("\n").item()
            scratch.file.write(f"{text}\n".encode())
    return scratch.written()


def _lines(address, **options):
    """Return the scan of the lines of a text."""
    schema = {"line": pl.String}
    # a character that no text holds, so that a line is one field
    return pl.scan_csv(
        address, has_header=False, separator="\x1f", quote_char=None, schema=schema, **options
    )


def _of_web(name, address):
    # few tables lie there, and these take 20 ms to import
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as stream:
            return Scratch().fill(stream)
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(
            f"{name} cannot be fetched: {error.code} {one_line(error.reason)}"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"{name} cannot be fetched: {one_line(reason)}") from error
