"""Terminals: detection, width, color, questions and keys."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

import click


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal; None is a stream that was closed from the start."""
    if stream is None:
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def columns_asked() -> int:
    """Return the variable ``COLUMNS``, or 0 if it is not set."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() else 0


class _View:
    """Whether stdout and stderr are pipes to a live view on a terminal."""

    is_on = False


def set_in_view(is_on: bool) -> None:
    """Set whether a live view shows the output of this process."""
    _View.is_on = is_on


def columns_of(stream: TextIO | None) -> int | None:
    """Return the width of the terminal that shows a stream; None if there is none.

    The terminal of a live view is stdin, unless that was redirected.
    """
    if _View.is_on:
        return columns_asked() or _columns_of(0) or _COLUMNS
    if stream is None or not is_terminal(stream):
        return None
    try:
        return columns_asked() or _columns_of(stream.fileno())
    except (OSError, ValueError):  # a replacement that only looks like a terminal
        return None


def _columns_of(descriptor: int) -> int | None:
    try:
        return os.get_terminal_size(descriptor).columns or None
    except OSError:  # unknown, or not a terminal
        return None


#: the width to assume if it is unknown
_COLUMNS = 80

#: a command in a sentence; it stays on one line, so it can be copied
_COMMAND = r"\bsqsw [^;,]*"
#: replaces a space that must not break a line; private use, so no other text contains it
_TIED = "\ue000"


def wrapped(text: str, columns: int | None, hanging: int = 0) -> str:
    """Wrap a line between words; the terminal would break it within words."""
    if columns is None or len(text) <= columns:
        return text
    import textwrap

    tied = re.sub(_COMMAND, lambda found: found[0].replace(" ", _TIED), text)
    lines = textwrap.wrap(
        tied,
        max(columns, hanging + 10),
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(_TIED, " ")


def wants_color(stream: TextIO | None, choice: str = "auto") -> bool:
    """Return whether to use color on a stream.

    The first that is set decides: ``--color``, ``FORCE_COLOR``, ``NO_COLOR``, ``TERM=dumb``. If
    none is, a terminal gets color.
    """
    if choice != "auto":
        return choice == "always"
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def echo_on_stderr(text: str, *, color: bool | None = None) -> None:
    """Write a note, a warning or an error; in a daemon, in order with its log."""
    log_writer = sys.modules.get("sqsw_cli.working.log_writer")
    if log_writer is None:
        click.echo(text, err=True, color=color)
    else:
        log_writer.echo(text)


def ask(question: str) -> str | None:
    """Ask a person on the terminal, never on a pipe.

    Returns
    -------
    str or None
        The answer without its line end; None if there is no terminal.
    """
    if is_terminal(sys.stdin):
        click.echo(question, nl=False, err=True)
        line = sys.stdin.readline()
        if not line.endswith("\n"):
            click.echo(err=True)
        return line.strip()
    if not is_terminal(sys.stderr):
        return None
    # stdin is a pipe (`jq … | sqsw purge --ids -`), but stderr is a terminal.
    with suppress(OSError), open("/dev/tty", "r+", encoding="utf-8") as terminal:
        terminal.write(question)
        terminal.flush()
        return terminal.readline().strip()
    return None


@contextmanager
def pressed_keys() -> Iterator[Callable[[float], str | None] | None]:
    """Read single keys from the terminal, which does not echo them meanwhile.

    Yields
    ------
    Callable or None
        A function that waits up to so many seconds and returns the pressed key, or None. None
        instead of the function if stdin is not a terminal, or this process is in the background,
        where it must not change the terminal's modes.
    """
    try:
        descriptor = sys.stdin.fileno()
        is_ours = os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # not a terminal, or closed
        is_ours = False
    if not is_ours:
        yield None
        return
    import select
    import termios
    import tty

    def wait(seconds: float) -> str | None:
        if not select.select([descriptor], [], [], seconds)[0]:
            return None
        return os.read(descriptor, 1).decode("ascii", "replace")

    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield wait
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what apps and their child processes print to stderr, so stdout has only our data.

    Our data gets its own descriptor, so what C code or ``sys.__stdout__`` buffers until the process
    ends stays out of it too.
    """
    own = sys.stdout
    if own is sys.__stdout__ and own is not None:  # neither replaced nor already redirected
        own.flush()
        with suppress(OSError):  # stderr was closed from the start
            data = open(os.dup(1), "w", encoding=own.encoding, errors=own.errors)  # noqa: SIM115
            os.dup2(2, 1)
            sys.stdout = data
    with redirect_stdout(sys.stderr):
        yield
