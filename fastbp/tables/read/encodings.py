"""The encoding of a text file, from its first bytes: a byte order mark, UTF-8, or the likeliest."""

import codecs
import re

# the longer marks first: that of UTF-16 is the start of that of UTF-32
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
UTF8 = ("utf-8", "utf-8-sig")
# what has the form of a character of UTF-8, be it one or not
_FORMED = re.compile(
    rb"[\xc0-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{1,2}|[\xf0-\xf7][\x80-\xbf]{1,3}"
)
_HIGH = re.compile(rb"[\x80-\xff]")
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
_FIELD = re.compile(rb"[^,;\t\r\n]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_MOST_CONTROLS = 0.05
_WITHIN_WORDS = "\u2019\u2018\u2013\u2014\u00b7\u00ad\u00a0"  # quotes, dashes, spaces
_MOST_ODD = 0.1
# where cp1252 is implausible
_DETECTED = (
    *("cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949", "mac_roman", "cp850", "cp437", "cp866"),
)
# text has separators, digits and line ends, whatever its language
_LEAST_ASCII = 0.2


def encoding_of(sample: bytes) -> str:
    """Return the Python name of the encoding of a text that begins with `sample`.

    It is "utf-8" where no other fits, and where the text is UTF-8 with damage: nearly all of what
    is not ASCII has its form.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if 0 in sample:
        return _wide(sample) or "utf-8"
    if decoded(sample, "utf-8", False) is not None:  # a character may be cut at its end
        return "utf-8"
    return _of_bytes(sample)


def decoded(sample: bytes, encoding: str, whole: bool) -> str | None:
    """Return a sample as text, without a character that is cut at its end; None if it is none."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample, whole)
    except UnicodeDecodeError:
        return None


def _wide(sample):
    """Return the name of UTF-16 or UTF-32 without a mark, or None."""
    for name in _WIDE:
        text = decoded(sample, name, False)
        if text and "\0" not in text:
            ascii_share = sum(char < "\x80" for char in text) / len(text)
            if ascii_share >= _LEAST_ASCII:
                return name
    return None


def _of_bytes(sample):
    """Return the name of an encoding of a byte a character, or of several as in East Asia."""
    alone = len(_HIGH.findall(_FORMED.sub(b"", sample)))
    characters = sum(decoded(found, "utf-8", True) is not None for found in _FORMED.findall(sample))
    controls = len(_CONTROL.findall(sample))
    if alone <= characters or controls > _MOST_CONTROLS * len(sample):
        return "utf-8"
    if _is_western(set(_WORD.findall(sample))):
        return "cp1252"
    from charset_normalizer import from_bytes

    fields = {field for field in _FIELD.findall(sample) if _HIGH.search(field)}
    best = from_bytes(b"\n".join(sorted(fields)), cp_isolation=list(_DETECTED)).best()
    return best.encoding if best else "utf-8"


def _is_western(words):
    """Return whether words are plausible in cp1252, of which Latin-1 is a part.

    In another encoding they have symbols within, capitals behind small letters, or more than two
    letters in a row that are not ASCII. A detector alone takes a few Western names in a table for
    Polish or Chinese.
    """
    odd = count = 0
    for word in words:
        text = decoded(word, "cp1252", True)
        if text is None:
            return False
        for place, letter in enumerate(text):
            if letter < "\x80":
                continue
            within = 0 < place < len(text) - 1
            count += 1
            odd += (
                (within and not letter.isalpha() and letter not in _WITHIN_WORDS)
                or (letter.isupper() and text[:place][-1:].islower())
                or (place > 1 and min(text[place - 2 : place]) > "\x7f")
            )
    return odd <= _MOST_ODD * count
