"""The terminal while the live view is on: output scrolls above a block that is redrawn.

1. take      (a pipe replaces stdout and stderr of this process and its children)
2. copy      (a thread copies whole lines from the pipe to the terminal, with the block below them)
3. give back (restore stdout and stderr, and leave the last block above the cursor)

So ``print``, logs, C libraries and children write as usual. The terminal's modes and its cursor are
not changed, and the cursor stays below the block, so a crash leaves a clean terminal.
"""

import fcntl
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import click

from sqsw_cli.terminal import columns_asked

logger = logging.getLogger(__name__)

#: seconds between two redraws, between two small writes, until an unfinished line is shown, and
#: that a stopped terminal can delay the end
_DRAW_SECONDS, _PAUSE_SECONDS, _LINE_SECONDS, _END_SECONDS = 0.25, 0.05, 1.0, 2.0

#: size of the pipe in bytes if the system allows it, and the size below which a write is small
_PIPE_BYTES, _LITTLE_BYTES = 1 << 20, 1 << 15

#: Returns the lines of the block for a terminal with so many columns and lines.
Draw = Callable[[int, int], Sequence[str]]


class Screen:
    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._thread = threading.Thread(target=self._copy, name="sqsw-screen", daemon=True)
        self._ending = threading.Event()
        self._height = 0
        self._rest, self._rest_since = b"", 0.0

    def take(self) -> None:
        _flush()
        self._stdout, self._terminal = os.dup(1), os.dup(2)
        self._pipe, end = os.pipe()
        with suppress(OSError, AttributeError):  # not supported by every system, or above its limit
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.dup2(end, 1)
        os.dup2(end, 2)
        os.close(end)
        self._thread.start()

    def give_back(self) -> None:
        """Show all remaining output and a last block, and restore stdout and stderr."""
        if self._thread.ident is None:
            return
        _flush()
        os.dup2(self._stdout, 1)
        os.dup2(self._terminal, 2)
        self._ending.set()
        self._thread.join(_END_SECONDS)

    def _copy(self) -> None:
        drawn: list[str] = []
        draw_at, is_open = 0.0, True
        while is_open:
            # Check before the read: then everything that was written is in the pipe.
            is_ending = self._ending.is_set()
            wait = 0.0 if is_ending else max(0.0, draw_at - time.monotonic())
            ready = select.select([self._pipe], [], [], wait)[0]
            data = os.read(self._pipe, _PIPE_BYTES) if ready else b""
            is_open = bool(data) or not (ready or is_ending)
            text = self._whole_lines(data, is_last=not is_open)
            block = drawn
            if not is_open or time.monotonic() >= draw_at:
                block, draw_at = self._block(), time.monotonic() + _DRAW_SECONDS
            if text or block != drawn or not is_open:
                # To column 0 first: a terminal echoes Ctrl-C as ^C.
                erase = b"\r\x1b[%dA\x1b[J" % self._height if self._height else b""
                # One write, so the terminal never appears without the block.
                self._write(erase + text + self._below(block))
                drawn = block
            if 0 < len(data) < _LITTLE_BYTES and not is_ending:
                time.sleep(_PAUSE_SECONDS)  # many lines become few writes

    def _whole_lines(self, data: bytes, *, is_last: bool) -> bytes:
        """Return the finished lines; after a second, an unfinished line too."""
        whole, end, rest = (self._rest + data).rpartition(b"\n")
        if end or not self._rest:
            self._rest_since = time.monotonic()
        is_old = time.monotonic() - self._rest_since >= _LINE_SECONDS
        if rest and (is_last or is_old or len(rest) > _LITTLE_BYTES):
            whole, end, rest = whole + end + rest, b"\n", b""
        self._rest = rest
        return whole + end

    def _block(self) -> list[str]:
        try:
            size = os.get_terminal_size(self._terminal)
        except OSError:  # the terminal was closed
            return []
        try:
            # Two lines less: an empty one above the block, and one for the output that scrolls.
            columns = min(columns_asked() or size.columns, size.columns or columns_asked()) or 80
            return list(self._draw(columns, (size.lines or 24) - 2))
        except Exception:  # the worker continues without a block
            self._draw = lambda columns, lines: ()
            logger.exception("the live view failed")
            return []

    def _below(self, block: Sequence[str]) -> bytes:
        """Return the block as bytes, and remember its height, to erase it."""
        self._height = 0
        if not block:
            return b""
        with suppress(OSError):
            # The terminal wraps at its own width, which can differ from the width of the lines.
            wide = os.get_terminal_size(self._terminal).columns
            lengths = [len(click.unstyle(line)) for line in block]
            self._height = 1 + sum(
                max(1, -(-length // (wide or length or 1))) for length in lengths
            )
        return b"".join(line.encode() + b"\r\n" for line in ("", *block))

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._terminal, data) :]
            except BlockingIOError:  # another program has made the shared terminal non-blocking
                select.select([], [self._terminal], [])
            except OSError:  # the terminal was closed: keep emptying the pipe
                return


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or never open
            stream.flush()
