"""Options in messages: the library names them as Python does, a command as it is typed."""

import re
from dataclasses import fields

from ..tables.declared import names_of

# quoted text, which is left as it is; name=value; `name`
_PARTS = re.compile(
    r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"|(?<![\w/.=-])(?P<given>[a-z_]\w*)=(?=(?P<value>\S?))"
    r"|`(?P<alone>[a-z_]\w*)`"
)
_BEGINNING = re.compile(r"(?P<resume>resume: )?(?P<name>\w+)(?=: | was )")
_names: dict[str, str] = {}


def know(cls):
    """Let `spelled` know the options that a dataclass declares."""
    _names.update({each.name: names_of(each)[0] for each in fields(cls)})


def spelled(message: str) -> str:
    """Return a message with the options in it as on the command line.

    ``categorical='zip'`` becomes ``--categorical 'zip'``, and so does a name in backquotes or at
    the beginning. Quoted text is left as it is.
    """
    found = _BEGINNING.match(message)
    if found and found["name"] in _names:
        before = "--resume: " if found["resume"] else ""
        message = f"{before}{_names[found['name']]}{message[found.end() :]}"
    return _PARTS.sub(_spelled, message)


def _spelled(found):
    name = _names.get(found["given"] or found["alone"] or "")
    if name is None:
        return found[0]
    has_value = (found["value"] or "") not in ("", ",", ".", ";", ":")
    return f"{name} " if has_value else name
