"""Where the command line meets a terminal: is there one, does it want colour, ask on it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

import click

#: What a terminal would obey instead of showing: C0, DEL, and C1.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_CONTROLS |= {ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}


def safe(text: str) -> str:
    """The text with control characters written out.

    Names and values come from whoever may send, and must not move the cursor, rename the window or
    begin a line or a field of their own.
    """
    return text.translate(_CONTROLS)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads this stream as it is written; None is one closed from the start."""
    if stream is None:
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def wants_color(stream: TextIO | None, choice: str = "auto") -> bool:
    """Whether this stream gets colour.

    ``--color`` beats ``FORCE_COLOR`` beats ``NO_COLOR`` beats ``TERM=dumb`` beats "is a terminal".
    """
    if choice != "auto":
        return choice == "always"
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def ask(question: str) -> str | None:
    """Ask a person, on the terminal and never on a pipe.

    Returns
    -------
    str or None
        The answer without its line end; None where nobody can be asked.
    """
    if is_terminal(sys.stdin):
        click.echo(question, nl=False, err=True)
        line = sys.stdin.readline()
        if not line.endswith("\n"):
            click.echo(err=True)
        return line.strip()
    if not is_terminal(sys.stderr):
        return None
    # stdin is a pipe (`jq … | sqsw purge --ids -`), but somebody is looking at stderr.
    with suppress(OSError), open("/dev/tty", "r+", encoding="utf-8") as terminal:
        terminal.write(question)
        terminal.flush()
        return terminal.readline().strip()
    return None


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """While stdout is for our data alone: what others print, programs that jobs start as well."""
    saved = None
    with suppress(OSError):  # one of the two was closed by who started us
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)
