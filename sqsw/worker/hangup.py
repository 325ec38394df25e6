"""Handles the closing of a worker's terminal."""

import os
from contextlib import suppress


class ControllingTerminal:
    """The terminal that this process has when the object is created, if it has one."""

    def __init__(self) -> None:
        self._was_there = _is_there()
        # Checked now: a stream of a closed terminal no longer counts as a terminal.
        self._streams = [stream for stream in (0, 1, 2) if os.isatty(stream)]

    def release_if_gone(self) -> bool:
        """Return whether the terminal was closed; if so, point its streams at the null device.

        Otherwise a job that prints would fail.
        """
        if not self._was_there or _is_there():
            return False
        with suppress(OSError):  # no file descriptors are left, so the streams stay as they are
            null = os.open(os.devnull, os.O_RDWR)
            for stream in self._streams:
                os.dup2(null, stream)
            os.close(null)
        return True


def _is_there() -> bool:
    try:
        os.close(os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
