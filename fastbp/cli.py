"""The command ``fastbp``; also ``python -m fastbp``. Its extra is ``cli``."""

import sys


def main():
    """Run the command line; exit with 2 where the extra that it needs is missing."""
    try:
        import typer  # noqa: F401
    except ImportError:
        sys.exit("the command line needs the extra cli: python -m pip install 'fastbp[cli]'")
    from .commands import app

    app(prog_name="fastbp")
