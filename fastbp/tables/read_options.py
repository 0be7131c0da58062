"""The options of reading a file of text, for training and for predicting."""

from dataclasses import dataclass

from .declared import Declared, choice, encoding, flag, number, option, separator, texts


@dataclass(frozen=True, kw_only=True)
class ReadOptions(Declared):
    """How files of text are read, where it is not told from the file.

    Parameters
    ----------
    separator : str, optional
        Character between fields: , ; | space, tab or another. Default: told from the file.
    encoding : str, optional
        Encoding, such as utf-8, cp1252 or utf-16. Default: told from the file.
    skip_rows : int, optional
        Lines before the header, or before the rows. Default: told from the file.
    header : bool, optional
        Whether the first row names the columns. Default: told from the file.
    decimal : {".", ","}, optional
        Mark before the decimals of numbers in text. Default: by the values of
        each column, or as for the model.
    date_format : sequence of str
        Format of dates, such as %d/%m/%Y, or of one column's, such as born=%d/%m/%Y. Default: by
        the values of each column, or as for the model.
    """

    separator: str | None = option(separator(), None, panel="Reading")
    encoding: str | None = option(encoding(), None, panel="Reading")
    skip_rows: int | None = option(number(whole=True, least=0), None, panel="Reading")
    header: bool | None = option(flag(), None, panel="Reading", names=("--header/--no-header",))
    decimal: str | None = option(choice(".", ","), None, panel="Reading")
    date_format: tuple = option(texts("FORMAT"), (), panel="Reading")
