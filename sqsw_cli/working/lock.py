"""An exclusive lock on a file, so cron runs never overlap; released when the process ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqsw.core.errors import Busy, SettingsError
from sqsw.core.files import distrust, open_descriptor


@contextmanager
def exclusive(path: str | None, warn: Callable[[str, str], object] | None = None) -> Iterator[None]:
    """Hold the lock inside the ``with`` block; without a path, do nothing.

    Parameters
    ----------
    warn :
        Called with a problem and its reason if another user can hold the lock too.

    Raises
    ------
    Busy
        Another process holds it.
    SettingsError
        The file cannot be opened, or it belongs to another user and this process runs as root.
    """
    if path is None:
        yield
        return
    try:
        descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SettingsError(f"cannot open the lock {path}", why=error.strerror) from error
    # Never remove the file: two processes could then lock two files of the same name.
    try:
        reason = distrust(path, os.fstat(descriptor))
        if reason is not None and warn is not None:
            warn(f"another user can hold the lock {path}", reason)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                f"{path} is held by another process",
                why="another run with the same --lock has not ended yet",
                next="wait for it, or skip this run",
            ) from error
        yield
    finally:
        # Unlock explicitly, because a process that a job forked has a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
