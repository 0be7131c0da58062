"""Files that chance damages: bytes flipped, cut out, doubled, moved, or put in between."""

import numpy as np

# what a format, or who wrote it badly, may put where it does not belong
_TOKENS = (
    *(b'"', b'""', b"\n", b"\r", b"\r\n\r\n", b",", b",,,,", b"\t", b";", b"\0", b"\0" * 64),
    *(b"\xff", b"\xff" * 8, b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x82", b"\x80" * 3, b"\\"),
    *(b"1e999", b"-inf", b"NaN", b"null", b"{", b"}", b"[" * 50, b"]", b":", b"'", b"#", b"PAR1"),
    *(b"\x7f" + b"\xff" * 7, b"\xff" * 3 + b"\x7f", b"\0\0\0\x80", b"ARROW1", b"PK\x05\x06"),
    *("٣".encode(), "\u202e".encode(), b"9" * 400, b"x" * 5000),
)


def damaged(content, seed):
    """Return `content` with up to four things done to it that a seed chooses."""
    rng = np.random.default_rng(seed)
    for _ in range(rng.integers(1, 5)):
        change = _CHANGES[rng.integers(len(_CHANGES))]
        content = change(content, rng)
    return content


def _place(content, rng):
    # the ends, where headers and footers are, as often as all between
    size = len(content)
    kind = rng.integers(4)
    if kind == 0:
        return int(rng.integers(min(64, size) + 1))
    if kind == 1:
        return int(size - rng.integers(min(256, size) + 1))
    return int(rng.integers(size + 1))


def _flip(content, rng):
    changed = bytearray(content)
    for _ in range(rng.integers(1, 6) if changed else 0):
        place = min(_place(content, rng), len(changed) - 1)
        changed[place] ^= 1 << rng.integers(8)
    return bytes(changed)


def _cut(content, rng):
    start = _place(content, rng)
    length = int(rng.integers(1, 40)) if rng.integers(2) else int(rng.integers(len(content) + 1))
    return content[:start] + content[start + length :]


def _double(content, rng):
    start = _place(content, rng)
    end = start + int(rng.integers(1, 200))
    return content[:end] + content[start:end] + content[end:]


def _insert(content, rng):
    place, token = _place(content, rng), _TOKENS[rng.integers(len(_TOKENS))]
    return content[:place] + token + content[place:]


def _overwrite(content, rng):
    place, token = _place(content, rng), _TOKENS[rng.integers(len(_TOKENS))]
    return content[:place] + token + content[place + len(token) :]


def _move(content, rng):
    one, two, three = sorted(_place(content, rng) for _ in range(3))
    return content[:one] + content[two:three] + content[one:two] + content[three:]


def _noise(content, rng):
    place, length = _place(content, rng), int(rng.integers(1, 100))
    return content[:place] + rng.bytes(length) + content[place + length :]


def _truncate(content, rng):
    return content[: _place(content, rng)]


_CHANGES = (_flip, _flip, _cut, _double, _insert, _insert, _overwrite, _move, _noise, _truncate)
