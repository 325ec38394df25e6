"""What to do when the terminal of a worker is closed."""

import os
from contextlib import suppress


class ControllingTerminal:
    """The terminal that this process belongs to, as it is now, if there is one."""

    def __init__(self) -> None:
        self._was_there = _is_there()
        # To be asked now: a terminal that was closed is none any more.
        self._streams = [stream for stream in (0, 1, 2) if os.isatty(stream)]

    def let_go_if_gone(self) -> bool:
        """Whether it was closed since; the null device has its place then.

        A job that prints would fail otherwise.
        """
        if not self._was_there or _is_there():
            return False
        with suppress(OSError):  # no descriptors are left: nothing is better then
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
