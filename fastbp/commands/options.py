"""Typer's options from declared ones, ``--help`` in panels, and wrong usage in one line."""

import inspect
import os
import sys
from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..tables.declared import descriptions, names_of
from ..tables.wording import named
from .codes import Code
from .distributed import follows
from .exits import ending
from .log import Log, Mode, asks_for_json, going_on
from .spelling import know

# the error that typer.BadParameter is one of; Typer does not name it
_UsageError: Any = typer.BadParameter.__mro__[1]


def parser(kind, is_optional=False):
    """Return what reads and checks a text for Typer; its error knows the text.

    An empty text, as of a variable of the shell, gives no value to an option that needs none.
    """

    def parse(text):
        if is_optional and not text:
            return None
        try:
            return kind.parse(text)
        except ValueError as error:
            refused = typer.BadParameter(str(error))
            refused.given = text  # type: ignore[attr-defined]
            raise refused from None

    return parse


def taking(kind, words, *names, panel=None, default=None, several=False, adds=False):
    """Return Typer's option of a `Kind`; ``--help`` shows the default and the limits."""
    beside = "repeatable, beside the default, or without it where one is empty"
    repeats = beside if adds else "repeatable"
    extras = ("" if adds else _default(kind, default), kind.limits, repeats if several else "")
    extra = "; ".join(filter(None, extras))
    is_optional = default is None and not several and not kind.empty
    reads = {"metavar": kind.metavar, "parser": parser(kind, is_optional)} if kind.metavar else {}
    help_text = f"{words}  [{extra}]" if extra else words
    return typer.Option(*names, help=help_text, show_default=False, rich_help_panel=panel, **reads)


def _default(kind, value):
    """Return a default as ``--help`` shows it; empty where there is none."""
    if value is MISSING or value is None or value is False or value in ("", ()):
        return ""
    if isinstance(value, tuple):
        return f"default: {','.join(map(str, value))}"
    unit = "s" if kind.metavar == "TIME" else ""
    return f"default: {value:g}{unit}" if isinstance(value, float) else f"default: {value}"


def with_options(*classes):
    """Decorate a command of ``**values``: it has the options that dataclasses declare.

    Their values are None where they are not given; `made` makes a dataclass of them.
    """
    for each in classes:
        know(each)

    def decorate(command):
        # what a class shares with others comes last
        own_first = (sorted(fields(cls), key=lambda each: bool(each.kw_only)) for cls in classes)
        declared = [
            _parameter(cls, each)
            for cls, own in zip(classes, own_first, strict=True)
            for each in own
        ]
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD]
        order = sorted([*declared, *own], key=lambda p: p.kind)
        command.__signature__ = signature.replace(parameters=order)
        return command

    return decorate


def _parameter(cls, each):
    """Return the parameter of a command for a field of a dataclass."""
    kind = each.metadata["kind"]
    taken = taking(
        kind,
        descriptions(cls).get(each.name, "").replace("``", ""),
        *names_of(each),
        panel=each.metadata["panel"],
        default=each.default,
        several=kind.several,
        adds=each.metadata["adds"],
    )
    value = (list[str] if kind.several else Any) if kind.metavar else bool
    return inspect.Parameter(
        each.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if kind.metavar else each.default,
        annotation=Annotated[value, taken],
    )


def made(cls, values):
    """Return a dataclass of declared options from the values that a command received."""
    found = {}
    for each in fields(cls):
        value = values[each.name]
        if value is not None and value != []:
            added = each.metadata["adds"]
            if added and "" not in value:
                value = (*each.default, *value)  # type: ignore[misc]
            found[each.name] = value
    return cls(**found)


class Command(TyperCommand):
    """A command whose ``--help`` shows its options in panels."""

    def format_options(self, ctx, formatter):
        """Write a section for each panel."""
        panels: dict[str, list] = {}
        param: Any
        for param in self.get_params(ctx):
            panel = getattr(param, "rich_help_panel", None) or "Options"
            record = param.get_help_record(ctx)
            if param.param_type_name == "argument":
                panel = "Arguments"
                record = (param.metavar or param.name, param.help or "")
            panels.setdefault(panel, []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def collect_usage_pieces(self, ctx):
        """Return the words of the line of usage."""
        params: list[Any] = self.get_params(ctx)
        names = (p.metavar or p.name for p in params if p.param_type_name == "argument")
        return ["[OPTIONS]", *names]


class Group(TyperGroup):
    """The commands; wrong usage of any of them is one line, as every other error is."""

    def make_context(self, *arguments, **extra):
        """Return the context of a command; an expected error ends it as it does a command."""
        with ending(self._log):
            return super().make_context(*arguments, **extra)

    def invoke(self, ctx):
        """Run a command; what it does not meet itself, as while options are read, ends it too."""
        with ending(self._log):
            return super().invoke(ctx)

    def main(self, args=None, *others, **extra):
        """Run a command, and exit with its code."""
        args = sys.argv[1:] if args is None else list(args)
        extra["standalone_mode"] = False
        self._log = Log(Mode.json if asks_for_json(args) else Mode.text)
        is_follower = "--distributed" in args and follows(os.environ)
        if is_follower:
            self._log.follow()
        try:
            code = super().main(args, *others, **extra)
        except typer.Abort:
            code = Code.INTERRUPTED
        except _UsageError as error:
            code = Code.USAGE
            out = Log(_mode(error, args))
            if is_follower:
                out.follow()
            out.error(_usage(error), code)
        if sys.stderr is not None:  # here: at Python's exit no error can be handled
            with going_on(sys.stderr):
                sys.stderr.flush()
        sys.exit(code or Code.DONE)


def _mode(error, args):
    """Return the mode of the output that was asked for, though the usage is wrong."""
    asked = getattr(error.ctx, "default_map", None) or {}
    return Mode.json if asks_for_json(args) or asked.get("log") == "json" else Mode.text


def _usage(error):
    """Return what is wrong with the usage, with the name and the value as they were written."""
    param, message = getattr(error, "param", None), error.message
    if param is None or not message:
        words = error.format_message().rstrip(".")
        end = "" if words.endswith("?") else "."
        where = f"{end} See {error.ctx.command_path} --help" if error.ctx else ""
        return f"{words[0].lower()}{words[1:]}{where}"
    name = max(param.opts, key=len) if param.param_type_name == "option" else param.metavar
    given = f" {named(error.given) or repr('')}:" if hasattr(error, "given") else ""
    return f"{name}{given} {message}"
