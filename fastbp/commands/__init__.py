"""The commands of ``fastbp``, as Typer declares them."""
