"""Opening files that an option or a setting names, on a machine that has other users.

A path can pass through a directory such as ``/tmp``, where another user can put a symbolic link or
a pipe in place of the file. Everything here refuses such a link and never waits forever.
"""

import errno
import os
import re
import stat
import threading
from typing import BinaryIO, Final

from sqsw.core.errors import SettingsError

#: seconds to wait until a program writes to a named pipe
_PIPE_SECONDS: Final = 5.0
#: symbolic links in one path, at most: as many as Linux follows
_MAX_LINKS: Final = 40
#: the path of a descriptor that this process already has, such as a shell's ``<(command)``
_DESCRIPTOR: Final = re.compile(r"/dev/fd/(\d+)|/proc/self/fd/(\d+)", re.ASCII)
_STREAMS: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def open_input(path: str | os.PathLike[str], *, pipes: bool = True) -> BinaryIO:
    """Open a file to read it from its beginning to its end.

    Parameters
    ----------
    pipes :
        Accept a named pipe, and wait at most five seconds for a program that writes to it.

    Raises
    ------
    SettingsError
        Another user made a symbolic link in the path, or no program writes to the pipe.
    OSError
        The file cannot be opened.
    """
    return open(open_descriptor(path, os.O_RDONLY, pipes=pipes), "rb")


def open_descriptor(path: str | os.PathLike[str], flags: int, *, pipes: bool = False) -> int:
    """Open a file as ``os.open`` does; a new file is private to its owner (0600).

    Parameters
    ----------
    flags :
        As for ``os.open``. Do not pass ``O_TRUNC``: check what was opened first.
    pipes :
        Accept a named pipe whose other end is open, or is opened within five seconds.

    Raises
    ------
    SettingsError
        Another user made a symbolic link in the path, a named pipe is not accepted here, or no
        program uses its other end.
    OSError
        The file cannot be opened.
    """
    path = os.fspath(path)
    descriptor = _named_descriptor(path)
    if descriptor is not None:
        return os.dup(descriptor)
    real = resolve(path)
    is_pipe = _is_pipe(real)
    if is_pipe and not pipes:
        raise SettingsError(f"{path} is a pipe", why="a file is needed here", next="name a file")
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    if is_pipe and not flags & (os.O_WRONLY | os.O_RDWR):
        return _open_pipe(path, real, flags)
    try:
        opened = os.open(real, flags | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if is_pipe and error.errno == errno.ENXIO:
            raise _idle_pipe(path, "reads from") from error
        raise OSError(error.errno, error.strerror, path) from error
    if stat.S_ISDIR(os.fstat(opened).st_mode):
        os.close(opened)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    os.set_blocking(opened, True)
    return opened


def resolve(path: str | os.PathLike[str]) -> str:
    """Return the path from the root without symbolic links; parts of it may be missing.

    Raises
    ------
    SettingsError
        Another user made one of the links. Root's links are followed.
    OSError
        A part of the path cannot be read, or the working directory was removed.
    """
    whole = os.fspath(path)
    if not whole.startswith("/"):
        whole = os.path.join(os.getcwd(), whole)
    found, links = "/", 0
    left = whole.split("/")[::-1]
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            found = os.path.dirname(found)
            continue
        here = os.path.join(found, name)
        try:
            status = os.lstat(here)
        except FileNotFoundError:
            return os.path.join(here, *left[::-1])
        if not stat.S_ISLNK(status.st_mode):
            found = here
            continue
        target = os.readlink(here)
        if status.st_uid not in (0, os.geteuid()):
            raise SettingsError(
                f"{os.fspath(path)} cannot be used",
                why=f"{here} is a symbolic link made by {_user(status.st_uid)}",
                next=f"to use it anyway, name the target of the link: {target}",
            )
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
        if target.startswith("/"):
            found = "/"
        left.extend(target.split("/")[::-1])
    return found


def check_writable(path: str) -> str | None:
    """Check that :func:`open_descriptor` can write to this path, without creating or opening it.

    Return what :func:`distrust` returns for the file, if it exists.

    Raises
    ------
    SettingsError, OSError
        As for :func:`open_descriptor`; also if :func:`distrust` raises it.
    """
    if _named_descriptor(path) is not None:
        return None
    real = resolve(path)
    if not os.path.exists(real):
        parent = os.path.dirname(real)
        os.stat(parent)
        _check_access(path, parent, os.W_OK | os.X_OK)
        return None
    if os.path.isdir(real):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    reason = distrust(path, os.stat(real))
    _check_access(path, real, os.W_OK)
    return reason


def distrust(path: str | os.PathLike[str], status: os.stat_result) -> str | None:
    """Return why another user could have written what is in a file or directory.

    None if only this user, root and root's group could. Devices and pipes are not judged. Neither
    are directories with the sticky bit, which protects their files from other users.

    Raises
    ------
    SettingsError
        Another user could, and this is root.
    """
    reason = _reason(status)
    if reason is not None and os.geteuid() == 0:
        raise SettingsError(
            f"refused to use {os.fspath(path)} as root",
            why=reason,
            next="run this as the owner, or change owner and permissions with chown and chmod",
        )
    return reason


def _reason(status: os.stat_result) -> str | None:
    mode = status.st_mode
    is_link = stat.S_ISLNK(mode)
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or is_link):
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to {_user(status.st_uid)}"
    if is_link:  # its own permissions mean nothing
        return None
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return None
    if mode & stat.S_IWOTH:
        return "every user of this machine can write to it"
    if mode & stat.S_IWGRP and (group := _shared_group(status.st_gid)) is not None:
        return f"the group {group} can write to it"
    return None


def _shared_group(gid: int) -> str | None:
    """The name of a group, unless it is root's or the one that many systems make for each user."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None if gid in (0, os.getegid()) else str(gid)
    is_own = group.gr_name == user and set(group.gr_mem) <= {user}
    return None if gid == 0 or is_own else group.gr_name


def _user(uid: int) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"


def _named_descriptor(path: str) -> int | None:
    found = _DESCRIPTOR.fullmatch(path)
    return int(found[1] or found[2]) if found else _STREAMS.get(path)


def _is_pipe(real: str) -> bool:
    try:
        return stat.S_ISFIFO(os.lstat(real).st_mode)
    except OSError:
        return False


def _open_pipe(path: str, real: str, flags: int) -> int:
    """Open a named pipe to read it. A thread waits, because opening has no timeout."""
    opened: list[int] = []
    lock, is_over = threading.Lock(), False

    def wait() -> None:
        descriptor = os.open(real, flags)
        with lock:
            if not is_over:
                opened.append(descriptor)
                return
        os.close(descriptor)

    _check_access(path, real, os.R_OK)
    thread = threading.Thread(target=wait, name="sqsw-pipe", daemon=True)
    thread.start()
    thread.join(_PIPE_SECONDS)
    with lock:
        is_over = True
    if not opened:
        raise _idle_pipe(path, "writes to")
    return opened[0]


def _idle_pipe(path: str, does: str) -> SettingsError:
    return SettingsError(
        f"no program {does} the pipe {path}",
        why="a pipe needs a program at its other end",
        next="start that program first, or name a file",
    )


def _check_access(path: str, real: str, mode: int) -> None:
    if not os.access(real, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
