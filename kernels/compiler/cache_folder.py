"""Where compiled kernels are kept, and which folders are trusted.

Machine code from the cache runs as this user. A folder, and a file in it, is therefore used only
if this user or root owns it and nobody else can write it. Folders above the cache are not judged:
who can write them can put another folder in its place, but none with files of this user or root.
"""

import contextlib
import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import llvmlite
import numba

# what is in the folder beside kernels: the processor that it is made for, see `target`
LEVEL_FILE = "processor"
_ROOT_USER = 0


def _working_folder():
    with contextlib.suppress(OSError):  # it was deleted
        return Path.cwd()
    return Path(os.path.abspath(os.sep))


# what a relative path of a variable is below, wherever the process goes later
_START = _working_folder()


def _digest_of_sources():
    versions = (numba.__version__, llvmlite.__version__, sys.version)
    digest = hashlib.sha256(repr(versions).encode())
    kernels = Path(__file__).parent.parent
    for path in sorted(kernels.rglob("*.py")):
        digest.update(path.relative_to(kernels).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:20]


# of the sources as they are imported, not as they may be edited later
DIGEST = _digest_of_sources()


@dataclass(frozen=True)
class Place:
    """Where the compiled kernels of these sources and versions are kept.

    Attributes
    ----------
    folder : pathlib.Path or None
        The folder; it may not exist yet, or not be writable. None: there is no place for one.
    refused : str
        The folder that should have been taken and is not trusted, and why; "" if there is none.
    none : str
        Why there is no place for a folder; "" if there is.
    """

    folder: Path | None
    refused: str
    none: str = ""


def find_place():
    """Return the `Place` of compiled kernels.

    The folder's parent is ``FASTBP_CACHE_DIR``, else ``NUMBA_CACHE_DIR/fastbp``, else ``fastbp``
    in the user's cache folder; the last also where one of the others is not trusted. ``~`` is the
    home folder, and a relative path is below the working folder of the import.
    """
    refused = []
    for root in _roots():
        why = f"{root} names no home folder" if root.parts[0][0] == "~" else why_refused(root)
        if not why or (root == _own_root() and _made_private(root)):
            return Place(root / DIGEST, "; ".join(refused))
        refused.append(why)
    homeless = ["there is no home folder"] if _own_root() is None else []
    return Place(None, "; ".join(refused), "; ".join(refused + homeless))


def cache_folder():
    """Return the folder of compiled kernels for these sources and versions, or None: `Place`."""
    return find_place().folder


def _roots():
    """Yield the folders that may hold the cache, first the one that is wanted."""
    for name, below in (("FASTBP_CACHE_DIR", ""), ("NUMBA_CACHE_DIR", "fastbp")):
        if wanted := os.environ.get(name):
            first, *rest = Path(wanted).parts or (".",)
            # a home folder that is not there keeps its ~, by which it is refused
            start = str(_home() or first) if first == "~" else os.path.expanduser(first)
            yield Path("" if start[0] == "~" else _START, start, *rest, below)
            break
    if own := _own_root():
        yield own


def _own_root():
    """Return the folder of the cache among the user's own, or None if there is no home folder."""
    folder = _user_cache()
    return None if folder is None else folder / "fastbp"


def _made_private(root):
    """Take the user's own folder from others, whom the umask let write; return whether it is so.

    What they may have put there is judged by itself.
    """
    with contextlib.suppress(OSError):
        if os.stat(root).st_uid == os.geteuid():
            os.chmod(root, 0o700)
    return not why_refused(root)


def _user_cache():
    """Return the user's folder of caches, or None if there is no home folder.

    A relative path is ignored, as the XDG Base Directory Specification (0.8, 2021) says.
    """
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        if (folder := Path(os.environ.get(name, ""))).is_absolute():
            return folder
    if (home := _home()) is None:
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _home():
    """Return the user's home folder, or None; a relative path is none."""
    home = Path(os.path.expanduser("~"))
    if not home.is_absolute() and sys.platform != "win32":  # as in the password database
        import pwd

        with contextlib.suppress(KeyError):  # a user without a name, as in some containers
            home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return home if home.is_absolute() else None


def distrust(status):
    """Return who else may have written a file or folder, as a phrase; "" for nobody.

    Parameters
    ----------
    status : os.stat_result
        What the system says of it.
    """
    if not hasattr(os, "geteuid"):  # Windows: what lies in a user's profile is the user's
        return ""
    if status.st_uid not in (_ROOT_USER, os.geteuid()):
        return f"belongs to user {status.st_uid}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def why_refused(root):
    """Return why the cache below `root` is not trusted, "" if it is, or is not there yet."""
    with contextlib.suppress(OSError):
        status = os.stat(root)
        # others may add to a folder such as /tmp, but not replace what is there
        shared = status.st_mode & stat.S_ISVTX and status.st_uid == _ROOT_USER
        if not shared and (why := distrust(status)):
            return f"{root} {why}"
        folder = root / DIGEST
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode):
            return f"{folder} is not a folder"
        if why := distrust(status):
            return f"{folder} {why}"
    return ""


def make_folder(folder, mode=0o700):
    """Make a folder and its parents, for this user alone; return whether it was not there.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not os.path.isdir(each)]
    made = False
    for each in reversed(missing):
        made = True
        try:
            each.mkdir(mode)
            each.chmod(mode)  # the user's umask may have taken some of it
        except FileExistsError:  # by another process meanwhile, or it is a file
            made = False
    return made


def share_folder(folder):
    """Let all users read a folder of compiled kernels, whatever this user's umask."""
    folder.chmod(0o755)
    for each in folder.iterdir():
        each.chmod(0o644)
