"""Print errors to stderr as text or one JSON object: what happened, why and what to do next."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from sqsw.core.errors import AppLoadError, SQSError
from sqsw.core.wording import described, safe, shortened, traceback_of, without_known_secrets
from sqsw_cli.errors.exit_codes import Exit, exit_code_of
from sqsw_cli.terminal import columns_of, echo_on_stderr, wrapped

#: maximum characters in each part of an error
_PART_LENGTH = 4_000

#: full disk, exceeded quota, closed terminal
_DEVICE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


class ConsumerGone(Exception):
    """The program that reads stdout has exited (``| head``)."""


class Failure(Exception):
    """The failure of a command, in the three parts of an error; ``code`` is for programs."""

    def __init__(
        self,
        message: str,
        *,
        why: str | None = None,
        next: str | None = None,
        code: str = "failure",
        exit_code: Exit = Exit.FAILURE,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.next = next
        self.code = code
        self.exit_code = int(exit_code)


class CannotWrite(Failure):
    """stdout cannot be written, for example because the disk is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__("cannot write the output", why=error.strerror, code="output")


@contextmanager
def writing() -> Iterator[None]:
    """Raise :class:`CannotWrite` if writing to stdout fails inside the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DEVICE_ERRORS:
            raise
        raise CannotWrite(error) from error


def failure_of(error: BaseException) -> Failure:
    """Return an error as a Failure; save the traceback of an unexpected one to a file."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, SQSError):
        from sqsw_cli.errors.hints import hint_of

        return Failure(
            error.message or str(error),
            why=error.why,
            next=hint_of(error),
            code=_word(type(error).__name__),
            exit_code=exit_code_of(error),
        )
    if isinstance(error, click.ClickException):
        return _of_click(error)
    if isinstance(error, OSError) and error.errno in _DEVICE_ERRORS:
        named = "a file" if error.filename is None else error.filename
        return Failure(f"cannot read or write {named}", why=error.strerror)
    return _unexpected(error)


def _of_click(error: click.ClickException) -> Failure:
    from sqsw_cli.errors.usage import plain, usage_parts

    if not isinstance(error, click.UsageError):
        return Failure(plain(error.format_message()))
    message, why, next_step = usage_parts(error)
    return Failure(message, why=why, next=next_step, code="usage", exit_code=Exit.USAGE)


def _unexpected(error: BaseException) -> Failure:
    import tempfile

    from sqsw.core.hidden_modules import hiding_advice

    if (hidden := hiding_advice(error)) is not None:
        return Failure(
            f"unexpected {described(error)}",
            why=hidden[0],
            next=hidden[1],
            code=_word(AppLoadError.__name__),
            exit_code=Exit.APP,
        )
    with tempfile.NamedTemporaryFile(
        "w",
        prefix="sqsw-traceback-",
        suffix=".txt",
        delete=False,
        encoding="utf-8",
        errors="backslashreplace",
    ) as file:
        file.write(f"{traceback_lines(error)}\n")
    return Failure(
        f"unexpected {described(error)}",
        why=f"this is a bug in sqsw or in the app; the traceback is in {file.name}",
        next="report it, and attach that file",
        code="unexpected",
    )


def traceback_lines(error: BaseException) -> str:
    """Return a traceback for people: bounded, without secrets and control characters."""
    return "\n".join(map(safe, traceback_of(error).rstrip("\n").split("\n")))


def _word(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def block(
    kind: str, message: str, why: str | None = None, next: str | None = None, *, color: bool
) -> str:
    """Format an error or a warning in its three parts, for people."""
    columns = columns_of(sys.stderr)
    shade = {"error": "red", "warning": "yellow"}[kind]
    head = f"{kind}:"
    first = _lines(f"{head} ", message, columns)
    lines = [click.style(head, fg=shade, bold=True) + first[len(head) :] if color else first]
    if why:
        lines.append(_lines("  why:  ", why, columns))
    if next:
        lines.append(_lines("  next: ", next, columns))
    return "\n".join(lines)


def _lines(title: str, text: str, columns: int | None) -> str:
    # Import errors and click's errors can have several lines. Escape other control characters.
    first, *rest = map(safe, _bounded(text).splitlines() or [""])
    return "\n".join(wrapped(line, columns, len(title)) for line in (title + first, *rest))


def _bounded(text: str) -> str:
    return without_known_secrets(shortened(text, _PART_LENGTH))


def show(failure: Failure, *, as_json: bool, color: bool) -> None:
    text = block("error", failure.message, failure.why, failure.next, color=color)
    if as_json:
        from sqsw_cli.json_text import json_text

        values = {
            "type": "error",
            "code": failure.code,
            "exit_code": failure.exit_code,
            "message": _bounded(failure.message),
            "why": failure.why and _bounded(failure.why),
            "next": failure.next and _bounded(failure.next),
        }
        with suppress(AttributeError):  # a json.py in the app hides the standard module
            text = json_text(values)
    echo_on_stderr(text, color=color)
