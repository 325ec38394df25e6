"""The terminal while the live view is on: lines scroll above a block that is drawn anew.

1. take      (stdout and stderr of this process, and of those that it starts, become a pipe)
2. draw      (the block, four times a second; where it has changed, the copier gets it)
3. give back (stdout and stderr, with the last block above the cursor)

A process of its own, the copier, takes lines from the pipe to the terminal and has the block below
them. So what writes there, by ``print``, a log, a C library or a child, needs not know of it, and
is seen whatever happens to this process. Nothing that a terminal has to be told at the end is ever
set: no mode, no hidden cursor. It rests in an empty line at the top of the block and not at its
end, since a terminal that is made narrower wraps lines, but takes the cursor with its own.
"""

import fcntl
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import click

from sqsw_cli.working.live import copier
from sqsw_cli.working.live.copier import LAST, NEXT, Copier

logger = logging.getLogger(__name__)

#: seconds between two looks at the figures, and that the terminal may take nothing at the end
_DRAW_SECONDS, _END_SECONDS = 0.25, 2.0

#: bytes that are kept for the copier, where the system allows it
_PIPE_BYTES = 1 << 20

#: What the block is, in a terminal with so many columns and lines.
Draw = Callable[[int, int], Sequence[str]]


class Screen:
    """Has the terminal from :meth:`take` to :meth:`give_back`, or as long as there is a copier."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sqsw-screen", daemon=True)
        self._ours: tuple[int, int] | None = None
        self._unsent = b""

    def take(self) -> None:
        """Begin."""
        _flush()
        self._blocks, theirs = socket.socketpair()
        self._blocks.setblocking(False)
        # A child that a job forks would keep it open, and hide a crash of this process.
        os.register_at_fork(after_in_child=self._blocks.close)
        # Nobody reads here: it is kept so that no writer fails where the copier dies.
        self._pipe, end = os.pipe()
        with suppress(OSError, AttributeError):  # not on every system, and not without limit
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            with theirs:
                self._copier = _start(self._pipe, theirs.fileno())
            self._ours = (os.dup(1), os.dup(2))
            os.dup2(end, 1)
            os.dup2(end, 2)
            self._thread.start()
        except OSError as error:
            logger.warning("there is no live view, its process cannot be started: %s", error)
        finally:
            os.close(end)

    def give_back(self) -> None:
        """End; what has been written is shown, and below it the block as it is now."""
        if self._ours is None:
            return
        _flush()
        self._restore(*self._ours)
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _restore(self, stdout: int, terminal: int) -> None:
        os.dup2(stdout, 1)
        os.dup2(terminal, 2)

    def _work(self) -> None:
        try:
            self._feed()
        except ConnectionError:
            if self._copier.wait() == 0:
                return  # the last block is on the terminal
        else:
            self._copier.returncode = 0  # somebody has stopped the terminal: it ends after us
            return
        assert self._ours is not None
        self._restore(*self._ours)
        logger.error("the live view ends: its process has died")
        # Children have the pipe still, and some of what was written is in it.
        rest = Copier(self._pipe, self._ours[1], self._blocks.fileno())
        threading.Thread(target=rest.run, name="sqsw-copier", daemon=True).start()

    def _feed(self) -> None:
        """Send blocks, and wait until the last one is drawn.

        Raises
        ------
        ConnectionError
            The copier has ended.
        """
        sent = b""
        while not self._ending.is_set():
            self._hear()
            if not self._unsent and (drawn := self._drawn()) != sent:
                self._unsent, sent = drawn + NEXT, drawn
            self._send()
            self._ending.wait(_DRAW_SECONDS)
        self._unsent += self._drawn() + LAST
        while any(ready := self._ready()):
            if ready[1]:
                self._send()
            if ready[0]:
                self._hear()

    def _ready(self) -> tuple[list[socket.socket], list[socket.socket], list[socket.socket]]:
        both = [self._blocks]
        return select.select(both, both if self._unsent else [], [], _END_SECONDS)

    def _send(self) -> None:
        with suppress(BlockingIOError):  # a slow terminal: blocks are left out
            self._unsent = self._unsent[self._blocks.send(self._unsent) :]

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            if not self._blocks.recv(_PIPE_BYTES):
                raise ConnectionResetError("the copier has ended")

    def _drawn(self) -> bytes:
        assert self._ours is not None
        try:
            size = os.get_terminal_size(self._ours[1])
        except OSError:
            return b""  # there is no terminal any more
        try:
            # One line is the empty one above, one is left for what scrolls.
            lines = self._draw(_columns(size.columns), (size.lines or 24) - 2)
        except Exception:  # the work goes on
            logger.exception("the live view ends")
            self._draw = lambda columns, lines: ()
            lines = ()
        return "".join(f"{len(click.unstyle(line))} {line}\n" for line in lines).encode()


def _start(output: int, blocks: int) -> "subprocess.Popen[bytes]":
    # No signal ends it, also before its first line, and none that is for the group reaches it: it
    # ends after those that write.
    former = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", copier.__file__, str(blocks)],
            stdin=output,
            pass_fds=[blocks],
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _columns(there: int) -> int:
    asked = os.environ.get("COLUMNS", "")
    wanted = int(asked) if asked.isdecimal() and int(asked) > 0 else there
    return min(wanted, there or wanted) or 80


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or never open
            stream.flush()
