"""The process between the pipe of the live view and the terminal.

1. copy  (whole lines from the pipe to the terminal, at most twenty times a second while few come)
2. draw  (the block that came last below them, with the same write)
3. end   (after the last block, or once nobody is left that could write)

A worker that crashes sends no last block: then what is written goes on to the terminal without one,
to its last word. It is run by its path, without site-packages, so that it is there at once.
"""

import os
import select
import sys
import time

#: stands behind a block; and behind the last one
NEXT, LAST = b"\0", b"\x04"

#: seconds between two looks while little is written, and until a line is shown that has no end
_PAUSE_SECONDS, _LINE_SECONDS = 0.05, 1.0

#: bytes of one look, below which there is little; of one line; of one write
_LOOK_BYTES, _LITTLE_BYTES, _LINE_BYTES, _WRITE_BYTES = 1 << 20, 1 << 15, 1 << 16, 1 << 14


class Copier:
    """Copies from one descriptor to another, and draws blocks that come by a third.

    Parameters
    ----------
    output, terminal :
        What to read, and where to write.
    blocks :
        A socket. By it come blocks, each a line ``LENGTH TEXT`` for each of its own, with the
        length that is seen; back goes a byte whenever the terminal has taken something.
    """

    def __init__(self, output: int, terminal: int, blocks: int) -> None:
        self._output, self._terminal, self._blocks = output, terminal, blocks
        self._sources = [output, blocks]
        self._unread = b""
        self._block: list[tuple[int, bytes]] = []
        self._is_below = False
        self._rest, self._rest_since = b"", 0.0

    def run(self) -> None:
        """Copy and draw until the end."""
        is_last = False
        while self._sources and not is_last:
            is_last = self._look()

    def _look(self) -> bool:
        is_new = is_last = False
        wait = self._rest_since + _LINE_SECONDS - time.monotonic() if self._rest else None
        ready = self._ready(None if wait is None else max(0.0, wait))
        if self._blocks in ready:
            is_new, is_last = self._read_blocks()
            if is_last:  # all that belongs above it has been written by now
                ready = self._ready(0.0)
        data = self._read(self._output) if self._output in ready else b""
        lines = self._lines(data, is_last=is_last or self._output not in self._sources)
        if lines or is_new:
            erase = b"\r\x1b[J" if self._is_below else b""
            # At once, so that nobody sees the terminal without the block.
            self._write(erase + lines + self._drawn(is_last=is_last))
        if 0 < len(data) < _LITTLE_BYTES and not is_last:
            # Many lines are few writes; but last words are there before a shell knows of a crash.
            select.select(self._sources[1:], [], [], _PAUSE_SECONDS)
        return is_last

    def _ready(self, wait: float | None) -> list[int]:
        return select.select(self._sources, [], [], wait)[0]

    def _read(self, source: int) -> bytes:
        """What is there, up to a limit; nothing once nobody can write any more."""
        try:
            data = os.read(source, _LOOK_BYTES)
        except ConnectionResetError:  # a socket whose other end was closed with bytes unread
            data = b""
        if not data:
            self._sources.remove(source)
        return data

    def _read_blocks(self) -> tuple[bool, bool]:
        """Whether there is a new block, and whether it is the last."""
        data = self._read(self._blocks)
        if not data:
            self._block = []
            return True, False
        *blocks, self._unread = (self._unread + data).replace(LAST, NEXT).split(NEXT)
        if blocks:
            pairs = (line.partition(b" ") for line in blocks[-1].splitlines())
            self._block = [(int(length), text) for length, _, text in pairs]
        return bool(blocks), LAST in data

    def _lines(self, data: bytes, *, is_last: bool) -> bytes:
        """What was written, up to the end of its last line."""
        now = time.monotonic()
        whole, end, rest = (self._rest + data).rpartition(b"\n")
        if end or not self._rest:
            self._rest_since = now
        is_old = now - self._rest_since >= _LINE_SECONDS or len(rest) > _LINE_BYTES
        if rest and (is_last or is_old):
            whole, end, rest = whole + end + rest, b"\n", b""
        self._rest = rest
        return whole + end

    def _drawn(self, *, is_last: bool) -> bytes:
        self._is_below = bool(self._block)
        if not self._block:
            return b""
        text = b"".join(b"\r\n" + line for _, line in self._block)
        if is_last:
            return text + b"\r\n"
        try:
            wide = os.get_terminal_size(self._terminal).columns
        except OSError:  # there is no terminal any more
            return b""
        # It wraps at its own width, which is not always the one that the lines were made for.
        height = sum(max(1, -(-length // (wide or length or 1))) for length, _ in self._block)
        return text + b"\x1b[%dA\r" % height

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._terminal, rest[:_WRITE_BYTES]) :]
            except BlockingIOError:  # somebody else has made it so, for all who share it
                select.select([], [self._terminal], [])
                continue
            except OSError:  # a terminal that was closed: what is written goes nowhere
                return
            try:  # noqa: SIM105 - to load contextlib takes as long as to load all of this
                os.write(self._blocks, b".")
            except OSError:
                pass  # nobody waits for it: the worker is busy, or gone


if __name__ == "__main__":
    blocks = int(sys.argv[1])
    os.set_blocking(blocks, False)
    Copier(0, 2, blocks).run()
