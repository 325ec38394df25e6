"""Keeps the directory and the file of local queues private to their owner."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from sqsw.core.files import distrust, resolve

#: suffixes of the database and of the files next to it
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal", "-lock")


def prepare_place(path: str) -> list[str]:
    """Create ``.sqsw`` or tighten its permissions; return why another user could have written it.

    Directories with other names are not created, because the name could be a typo. Their
    permissions do not change, because they could be shared on purpose.

    Raises
    ------
    SettingsError
        Another user made a symbolic link in the path; or another user could have written the
        directory or the file, and this process runs as root.
    OSError
        The directory cannot be created or read.
    """
    real = resolve(path)
    directory = os.path.dirname(real)
    named = os.path.dirname(path)  # can be a link to a directory with another name
    if ".sqsw" in (os.path.basename(named), os.path.basename(directory)):
        if not os.path.lexists(directory):
            _make(directory)
        _tighten(directory)
    return list(_problems(real, directory))


def _make(directory: str) -> None:
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:  # another process has just created it
        return
    with suppress(PermissionError):  # a file system without permissions
        os.chmod(directory, 0o700)  # whatever the umask
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(os.path.join(directory, ".gitignore"), flags, 0o600), "w") as file:
        file.write("*\n")


def _tighten(directory: str) -> None:
    """Remove the permissions of group and others from the directory and its files."""
    if not _make_private(directory):
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            _make_private(entry.path)


def _make_private(path: str) -> bool:
    """Make a file private if this user owns it; return whether this user does."""
    try:
        status = os.lstat(path)
        if status.st_uid != os.geteuid() or stat.S_ISLNK(status.st_mode):
            return False
        if status.st_mode & 0o077:
            with suppress(PermissionError):  # a file system without permissions
                os.chmod(path, stat.S_IMODE(status.st_mode) & ~0o077)
    except FileNotFoundError:  # a file of SQLite that another process has just closed
        return False
    return True


def _problems(real: str, directory: str) -> Iterator[str]:
    for path in (directory, *(f"{real}{suffix}" for suffix in _SUFFIXES)):
        try:
            reason = distrust(path, os.lstat(path))
        except FileNotFoundError:
            continue
        if reason is not None:
            yield f"{path}: {reason}"
            return  # one is enough for the warning
