"""Cron runs never overlap: an exclusive lock on a file, given back when the process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqsw.core.errors import Busy, SettingsError


@contextmanager
def exclusive(path: str | None) -> Iterator[None]:
    """Hold the lock inside the ``with`` block; with None there is nothing to hold.

    Raises
    ------
    Busy
        Another process holds it.
    SettingsError
        The file cannot be opened.
    """
    if path is None:
        yield
        return
    try:
        descriptor = os.open(Path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(f"cannot open the lock {path}", why=error.strerror) from error
    # The file stays: to remove it would let two processes hold two files of one name.
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                f"{path} is held by another process",
                why="another run with the same --lock has not ended yet",
                next="wait for it, or leave this run out",
            ) from error
        yield
    finally:
        # By name: a process that a job forked has a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
