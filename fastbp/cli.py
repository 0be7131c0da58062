"""The command ``fastbp``; also ``python -m fastbp``. Its extra is ``cli``."""

import sys

_USAGE = 2


def main():
    """Run the command line; exit with 2 where the extra that it needs is missing."""
    try:
        import typer  # noqa: F401
    except ImportError:
        print(
            "fastbp: the command line needs the extra cli: python -m pip install 'fastbp[cli]'",
            file=sys.stderr,
        )
        sys.exit(_USAGE)
    from .commands.app import app

    app(prog_name="fastbp")
