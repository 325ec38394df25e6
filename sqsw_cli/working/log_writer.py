"""Write a daemon's lines to stderr in one thread, so a full pipe blocks nothing else."""

import logging
import select
import sys
from typing import Any, TextIO

from sqsw.core.delivery import is_handing_over
from sqsw.core.safe_logger import LOG
from sqsw.core.standard_error import write_text

#: Bytes in one write. A pipe takes them as a whole, so lines of several processes do not mix.
#: Source: POSIX, write(): PIPE_BUF, which is 4096 on Linux and at least 512
_WRITE_BYTES = getattr(select, "PIPE_BUF", 512)


class _Lines:
    """Lines that the log thread collects, to write several at a time."""

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._texts: list[str] = []
        self._size = 0

    def add(self, stream: TextIO | None, text: str) -> None:
        size = len(text) if text.isascii() else len(text.encode(errors="backslashreplace"))
        if stream is not self._stream or self._size + size > _WRITE_BYTES:
            self.write()
        self._stream = stream
        self._texts.append(text)
        self._size += size

    def write(self) -> None:
        texts, self._texts, self._size = self._texts, [], 0
        if texts:
            write_text(self._stream, "".join(texts))


_lines = _Lines()
LOG.after = _lines.write


def write_line(stream: TextIO | None, text: str, *, urgent: bool = False) -> None:
    """Write a text and a line end; in a daemon, from the log thread."""
    text += "\n"
    if LOG.is_own_thread():
        _lines.add(stream, text)
    elif is_handing_over():
        LOG.put(_lines.add, stream, text, size=len(text), urgent=urgent, in_context=False)
    else:
        write_text(stream, text)


def echo(text: str) -> None:
    write_line(sys.stderr, text, urgent=True)


class LogWriter(logging.Handler):
    """A handler that formats a record in the calling thread and writes it in the log thread.

    It has no lock, so other threads can log while one hangs in a write.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def createLock(self) -> None:
        self.lock = None

    def handle(self, record: logging.LogRecord) -> Any:
        passed: Any = self.filter(record)
        if passed:
            # Since Python 3.12, a filter can return another record.
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        write_line(self._stream, self.format(record), urgent=record.levelno >= logging.ERROR)

    def flush(self) -> None:
        """Wait until what was logged is written, two seconds at most."""
        LOG.flush()
