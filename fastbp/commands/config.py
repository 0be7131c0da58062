"""``--config job.toml``: a file that holds any option of a command.

A key is the name of an option or of a positional argument, with dashes or underscores. What
stands before the first table is for every command that has such an option; a table named
after a command, as ``[train]``, is for that command alone, and wins. The command line wins
over both. A path in the file is relative to where the command runs, as on the command line.
"""

import json
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ..quoted import quoted

tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
# far more than the options of a job with a thousand columns
_MOST_BYTES = 2**20
# options that make no sense in a file
_NOT_IN_A_FILE = {"config", "help", "version"}


def _read_config(ctx: typer.Context, param: typer.CallbackParam, path: str) -> str:
    """Make the file's values the defaults of the command that runs."""
    if path and not ctx.resilient_parsing:
        ctx.default_map = {**(ctx.default_map or {}), **_File(path, ctx, param).defaults()}
    return path


ConfigOption = Annotated[
    str,
    typer.Option(
        "--config",
        help="A TOML file of options; the command line wins over it.",
        metavar="FILE",
        is_eager=True,
        callback=_read_config,
    ),
]


class _File:
    """The options that a file holds, checked against the commands there are.

    Parameters
    ----------
    path : str
        The file.
    ctx, param
        The command that runs, and its ``--config``.
    """

    def __init__(self, path, ctx, param):
        self._path, self._ctx, self._param = path, ctx, param
        group = getattr(ctx.parent and ctx.parent.command, "commands", {})
        self._commands = {**group, ctx.info_name: ctx.command}
        self._content = self._parse()

    def defaults(self):
        """Return the value of each option of this command that the file holds, by its name.

        Raises
        ------
        typer.BadParameter
            If a key is of no command, or a value is not what its option takes.
        """
        own = self._ctx.info_name
        shared: dict[str, Any] = {}
        tables: dict[str, dict] = {}
        for key, value in self._content.items():
            is_table = isinstance(value, dict) and key in self._commands
            (tables if is_table else shared)[key] = value
        everywhere = {}
        for command in self._commands.values():
            everywhere.update(_names(command))
        self._check(shared, everywhere, list(self._commands))
        for name, table in tables.items():
            self._check(table, _names(self._commands[name]), where=f"[{name}] ")
        known, found = _names(self._ctx.command), {}
        for where, table in (("", shared), (f"[{own}] ", tables.get(own, {}))):
            for key, value in table.items():
                if option := known.get(_plain(key)):
                    found[option.name] = self._value(option, where + key, value)
        return found

    def _parse(self):
        try:
            with Path(self._path).open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise self._wrong(error.strerror or str(error)) from None
        if len(content) > _MOST_BYTES:
            raise self._wrong("it is larger than 1 MiB, and no file of options")
        try:
            return tomllib.loads(content.decode())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise self._wrong(f"not UTF-8 at line {line}") from None
        except tomllib.TOMLDecodeError as error:
            raise self._wrong(f"not TOML: {error}") from None
        except RecursionError:
            raise self._wrong("not a file of options: its arrays are too deep") from None

    def _check(self, table, known, tables=(), where=""):
        """Refuse a key that names no option, and an option that two keys name."""
        seen: dict[str, str] = {}
        for key in table:
            name = _plain(key)
            if name not in known:
                choices = [*known, *tables]
                near = get_close_matches(name, choices, 1) or get_close_matches(key, choices, 1)
                hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
                raise self._wrong(f"{where}{key}: no such option{hint}")
            option = known[name].name
            if option in seen:
                raise self._wrong(f"{where}{key}: the file has it already, as {seen[option]}")
            seen[option] = key

    def _value(self, option, key, value):
        """Return a value in the form of the command line, checked by its option."""
        given = self._as_given(option, key, value)
        try:
            option.process_value(self._ctx, given)
        except typer.BadParameter as error:
            raise self._wrong(f"{key} = {quoted(value)}: {error.message}") from None
        return given

    def _as_given(self, option, key, value):
        if isinstance(value, dict) and "=" in (option.metavar or ""):  # as of CLASS=X,...
            return json.dumps({name: self._number(key, each) for name, each in value.items()})
        if isinstance(value, list) and "," in (option.metavar or ""):  # as of N,N,...
            return ",".join(self._text(key, each) for each in value)
        several = getattr(option, "multiple", False) or option.nargs != 1
        if several:
            values = value if isinstance(value, list) else [value]
            return [self._text(key, each) for each in values]
        if getattr(option, "is_flag", False):
            if not isinstance(value, bool):
                raise self._wrong(f"{key} = {quoted(value)}: expected true or false")
            return value
        return self._text(key, value)

    def _number(self, key, value):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(f"{key}: {quoted(value)}: expected a number")
        return value

    def _text(self, key, value):
        """Return a text or a number as text."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            kinds = {bool: "true or false", list: "an array", dict: "a table"}
            kind = kinds.get(type(value), "a date or a time")
            raise self._wrong(f"{key}: expected one text or number, not {kind}")
        return str(value)

    def _wrong(self, message):
        line = " ".join(f"{self._path}: {message}".split())
        return typer.BadParameter(line, ctx=self._ctx, param=self._param)


def _plain(key):
    return key.replace("-", "_")


def _names(command) -> dict[str, Any]:
    """Return the parameters of a command by their names in Python and on the command line."""
    found = {}
    for option in command.params:
        long = (_plain(text[2:]) for text in option.opts if text.startswith("--"))
        for name in {option.name, *long} - _NOT_IN_A_FILE:
            found[name] = option
    return found
