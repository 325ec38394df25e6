"""Where the command line meets a terminal: is there one, does it want colour, ask on it."""

import os
import sys
from contextlib import suppress
from typing import TextIO

import click


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads this stream as it is written."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def wants_color(stream: TextIO, choice: str = "auto") -> bool:
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
