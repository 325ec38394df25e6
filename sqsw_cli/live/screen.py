"""The terminal while the live view is on: lines scroll above a block that is drawn anew.

1. take      (stdout and stderr of this process, and of those that it starts, become a pipe)
2. copy      (whole lines from the pipe to the terminal, twenty times a second)
3. draw      (the block below them, four times a second where it has changed)
4. give back (stdout and stderr, with the last block above the cursor)

What writes there, by ``print``, a log, a C library or a child, needs not know of it, and waits for
the terminal no more than without it. Nothing that a terminal has to be told at the end is ever set:
no mode, no hidden cursor. It rests in an empty line at the top of the block and not at its end,
since a terminal that is made narrower wraps lines, but takes the cursor with its own.
"""

import fcntl
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import click

logger = logging.getLogger(__name__)

#: seconds between two looks into the pipe, between two looks at the figures, and until a line is
#: shown that has no end
_COPY_SECONDS, _DRAW_SECONDS, _LINE_SECONDS = 0.05, 0.25, 1.0

#: bytes that are kept between two looks, where the system allows it; of one line; of one write
_PIPE_BYTES, _LINE_BYTES, _WRITE_BYTES = 1 << 20, 1 << 16, 1 << 14

#: seconds that the terminal may take nothing at the end
_END_SECONDS = 2.0

#: What the block is, in a terminal with so many columns and lines.
Draw = Callable[[int, int], Sequence[str]]


class Screen:
    """Has the terminal from :meth:`take` to :meth:`give_back`."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sqsw-screen", daemon=True)
        self._rest = b""
        self._rest_since = 0.0
        self._block: bytes = b""
        self._draw_at = 0.0
        self._moved_at = 0.0

    def take(self) -> None:
        """Begin."""
        _flush()
        self._stdout, self._terminal = os.dup(1), os.dup(2)
        self._pipe, end = os.pipe()
        os.set_blocking(self._pipe, False)
        with suppress(OSError, AttributeError):  # not on every system, and not without limit
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.dup2(end, 1)
        os.dup2(end, 2)
        os.close(end)
        self._thread.start()

    def give_back(self) -> None:
        """End; what has been written is shown, and below it the block as it is now."""
        self._ending.set()
        self._moved_at = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._moved_at < _END_SECONDS:
            self._thread.join(_COPY_SECONDS)
        _flush()
        os.dup2(self._stdout, 1)
        os.dup2(self._terminal, 2)
        if self._thread.is_alive():
            return  # in the middle of a write: somebody has stopped the terminal
        self._show(is_last=True)
        for descriptor in (self._stdout, self._terminal, self._pipe):
            os.close(descriptor)

    def _work(self) -> None:
        while not self._ending.wait(_COPY_SECONDS):
            self._show()

    def _show(self, *, is_last: bool = False) -> None:
        now = time.monotonic()
        lines = self._lines(now, is_last=is_last)
        block = self._block
        if is_last or now >= self._draw_at:
            self._draw_at = now + _DRAW_SECONDS
            block = self._drawn(is_last=is_last)
        if lines or is_last or block != self._block:
            self._block = block
            # At once, so that nobody sees the terminal without the block.
            self._write(b"\r\x1b[J" + lines + block)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        with suppress(OSError):  # a terminal that was closed: what is written goes nowhere
            while rest:
                rest = rest[os.write(self._terminal, rest[:_WRITE_BYTES]) :]
                self._moved_at = time.monotonic()

    def _lines(self, now: float, *, is_last: bool) -> bytes:
        """What was written, up to the end of its last line."""
        parts = []
        with suppress(BlockingIOError):
            while part := os.read(self._pipe, _PIPE_BYTES):
                parts.append(part)
        if parts:
            self._rest += b"".join(parts)
            self._rest_since = now
        whole, end, rest = self._rest.rpartition(b"\n")
        is_old = now - self._rest_since > _LINE_SECONDS or len(rest) > _LINE_BYTES
        if rest and (is_last or is_old):
            whole, end, rest = self._rest, b"\n", b""
        self._rest = rest
        return whole + end

    def _drawn(self, *, is_last: bool) -> bytes:
        try:
            size = os.get_terminal_size(self._terminal)
        except OSError:
            return b""  # there is no terminal any more
        columns = _columns(size.columns)
        try:
            # One line is the empty one above, one is left for what scrolls.
            lines = self._draw(columns, (size.lines or 24) - 2)
        except Exception:  # what is copied must go on, or everything that writes would stop
            logger.exception("the live view ends")
            self._draw = lambda columns, lines: ()
            lines = ()
        if not lines:
            return b""
        text = "".join(f"\r\n{line}" for line in lines)
        if is_last:
            return f"{text}\r\n".encode()
        # The terminal may be wider than a person wants it to be, but it wraps at its own width.
        wide = size.columns or columns
        height = sum(max(1, -(-len(click.unstyle(line)) // wide)) for line in lines)
        return f"{text}\x1b[{height}A\r".encode()


def _columns(there: int) -> int:
    asked = os.environ.get("COLUMNS", "")
    wanted = int(asked) if asked.isdecimal() and int(asked) > 0 else there
    return min(wanted, there or wanted) or 80


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or never open
            stream.flush()
