"""Files that somebody else has put where ours should be, in a folder that all may write, such as ``/tmp``.

Whoever plants a link there has us write where it leads, and whoever plants a file reads what we write. So what stands
in such a folder must be ours, or root's; elsewhere the folder's owner decides.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path


def open_ours(path: str, flags: int, mode: int = 0o600) -> int:
    """Open a file as `os.open` does, unless somebody else has planted it.

    A link is followed where it is nobody else's: logs are moved to other disks, and ``/dev/stdout`` is one.

    Raises:
        OSError: it can't be opened, or was planted.
    """
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW, mode)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        check_way(path)
        fd = os.open(path, flags, mode)
    found = os.fstat(fd)
    if found.st_uid == os.geteuid() and found.st_nlink == 1:
        return fd
    try:
        check_way(path)
        _check_names(path, found)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_names(path: str, found: os.stat_result) -> None:
    if found.st_nlink > 1 and stat.S_ISREG(found.st_mode) and _all_may_write(Path(path).parent):
        raise _refusal(path, "has another name besides")


def check_way(path: str | os.PathLike[str]) -> None:
    """See that nobody else has put anything on the way to a path, which may not be there yet.

    Raises:
        OSError: somebody has.
    """
    named = Path(path).absolute()
    for part in dict.fromkeys((*_parts(named), *_parts(Path(os.path.realpath(named))))):
        try:
            found = part.lstat()
        except OSError:  # nobody's, as yet
            continue
        if found.st_uid not in {0, os.geteuid()} and _all_may_write(part.parent):
            raise _refusal(part, "is somebody else's")


def _parts(path: Path) -> Iterator[Path]:
    return iter((path, *path.parents))


def _all_may_write(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IWOTH)


def _refusal(path: str | os.PathLike[str], what: str) -> OSError:
    return PermissionError(errno.EPERM, f"it {what}, in a folder that all may write; name another place", str(path))
