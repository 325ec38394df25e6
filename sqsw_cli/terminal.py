"""Where the command line meets a terminal: is there one, does it want colour, ask on it."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

import click


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads this stream as it is written; None is one closed from the start."""
    if stream is None:
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def columns_asked() -> int:
    """The variable ``COLUMNS``; 0 if it is not set."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() else 0


class _View:
    """Whether stdout and stderr are pipes to a live view, which a terminal shows."""

    is_on = False


def set_in_view(is_on: bool) -> None:
    """Say whether what this process writes is shown by a live view."""
    _View.is_on = is_on


def columns_of(stream: TextIO | None) -> int | None:
    """Return the width of the terminal that shows a stream; None if there is none.

    A live view is on the terminal that stdin is, unless that was redirected.
    """
    if _View.is_on:
        return columns_asked() or _columns_of(0) or _COLUMNS
    if stream is None or not is_terminal(stream):
        return None
    try:
        return columns_asked() or _columns_of(stream.fileno())
    except (OSError, ValueError):  # a stream that stands in for a terminal
        return None


def _columns_of(descriptor: int) -> int | None:
    try:
        return os.get_terminal_size(descriptor).columns or None
    except OSError:  # it has no size to tell
        return None


#: the width of a terminal that cannot be asked
_COLUMNS = 80

#: a command in a sentence: to be copied, so it stays in one piece
_COMMAND = r"\bsqsw [^;,]*"
#: in place of a space that no line ends at; in private use, so in no text of ours
_TIED = "\ue000"


def wrapped(text: str, columns: int | None, hanging: int = 0) -> str:
    """The line broken between words, where a terminal would break it within them."""
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


def echo_on_stderr(text: str, *, color: bool | None = None) -> None:
    """Write a note, a warning or an error; in a daemon, through its log, in order."""
    log_writer = sys.modules.get("sqsw_cli.working.log_writer")
    if log_writer is None:
        click.echo(text, err=True, color=color)
    else:
        log_writer.echo(text)


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
def pressed_keys() -> Iterator[Callable[[float], str | None] | None]:
    """Read single keys from the terminal, which does not echo them meanwhile.

    Yields
    ------
    Callable or None
        Waits so many seconds for a key, and returns it; None if none was pressed. None if stdin is
        not a terminal, or this process is in its background, where it must not change its modes.
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
    """While stdout is for our data alone: what others print, programs that jobs start as well.

    Our data keeps a descriptor of its own, and what C code or ``sys.__stdout__`` holds back until
    the process ends stays out of it as well.
    """
    own = sys.stdout
    if own is sys.__stdout__ and own is not None:  # neither a stand-in, nor moved already
        own.flush()
        with suppress(OSError):  # stderr was closed by who started us
            data = open(os.dup(1), "w", encoding=own.encoding, errors=own.errors)  # noqa: SIM115
            os.dup2(2, 1)
            sys.stdout = data
    with redirect_stdout(sys.stderr):
        yield
