"""Writes text to stderr so that a full pipe blocks at most one thread."""

import os
import select
import sys
from contextlib import suppress
from typing import TextIO


def write_text(stream: TextIO | None, text: str) -> None:
    """Write a text to a stream. If the stream cannot take it, the text is lost.

    The text goes straight to the file descriptor: a thread that hangs inside a stream of Python
    holds the lock of that stream, and the interpreter aborts at its end because of it.
    """
    if stream is None:  # closed from the start
        return
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):  # a stand-in, or closed since
        with suppress(OSError, ValueError):
            stream.write(text)
            stream.flush()
        return
    rest = memoryview(text.encode(stream.encoding or "utf-8", "backslashreplace"))
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process has made the pipe non-blocking for all processes
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
        except OSError:  # a full disk, a closed terminal, or a reader that has gone
            return


def write_error_text(text: str) -> None:
    write_text(sys.stderr, text)
