"""Send the lines of a file: read, check, send, and tell what became of each."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import click

from sqsw.core.errors import SettingsError
from sqsw_cli.exits import Exit
from sqsw_cli.job_lines import BadLine, Common, read_lines
from sqsw_cli.json_text import json_text
from sqsw_cli.message_lines import show_failure, show_unsent
from sqsw_cli.output import Printer
from sqsw_cli.progress import Bar
from sqsw_cli.records import values_of
from sqsw_cli.wording import count_of, elapsed, thousands

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.bulk import SendReport, SentMessage
    from sqsw.sqs_manage.message_view import Failure
    from sqsw.sqs_manage.outgoing import OutgoingMessage

    Check = Callable[[OutgoingMessage], None]


class BulkSend:
    """One ``send --from``.

    Parameters
    ----------
    common :
        What the options say for every line.
    path :
        The file; ``-`` is stdin.
    """

    def __init__(
        self, printer: Printer, env: "SQSEnv", queue: str, common: Common, path: str
    ) -> None:
        self.printer = printer
        self.env = env
        self.queue = queue
        self.common = common
        self.path = path
        self.handled = 0

    def show(self, check: "Check") -> int:
        """Print the messages that would be sent."""
        name = self.env.queue_client(self.queue).name
        with self._open() as file:
            for message in list(self._valid(file, self._strictly(check))):
                show_unsent(self.printer, name, message)
        return Exit.OK

    def run(self, check: "Check", *, keep_going: bool, failed_path: str | None) -> int:
        """Send, in as few requests as possible.

        Parameters
        ----------
        check :
            Raises where a message does not fit the registered function.
        keep_going :
            Count bad lines as failed; otherwise all are read before the first one is sent.
        failed_path :
            Where failed lines are written.
        """
        from sqsw.sqs_manage.bulk import send_messages

        if failed_path is not None and _is_same_file(failed_path, self.path):
            raise SettingsError(
                f"--from and --failed are one file: {failed_path}",
                why="it would be emptied before it is read",
                next="name another file after --failed",
            )
        begun = time.monotonic()
        self.printer.finish_when_gone()
        with ExitStack() as stack:
            file = stack.enter_context(self._open())
            total = None
            if keep_going:
                lines = self._with_failures(file, check)
            else:
                messages = list(self._valid(file, self._strictly(check)))
                total, lines = len(messages), iter(messages)
            failed_file = None
            if failed_path is not None:
                failed_file = stack.enter_context(_open_to_write(failed_path))
            bar = stack.enter_context(self.printer.progress(f"→ {self.queue}"))
            report = send_messages(
                self.env,
                self.queue,
                self._while_read(lines),
                on_result=lambda result: self._tell(result, failed_file, bar, total),
            )
        self._show_end(report, time.monotonic() - begun, failed_path)
        if report.failed:
            return Exit.PARTIAL if report.sent else Exit.FAILURE
        return Exit.OK

    def _open(self) -> IO[str]:
        return click.open_file(self.path, encoding="utf-8")

    def _strictly(self, check: "Check") -> "Check":
        """The check, and what the queue would refuse: to be known before anything is sent."""
        from sqsw.sqs_manage.outgoing import QueueRules

        rules = QueueRules.of(self.env.queue_client(self.queue))

        def strict(message: "OutgoingMessage") -> None:
            check(message)
            message.to_entry(rules)

        return strict

    def _lines(self, file: IO[str], check: "Check") -> "Iterator[OutgoingMessage | BadLine]":
        name = "stdin" if self.path == "-" else self.path
        try:
            yield from read_lines(file, self.common, file_name=name, check=check)
        except UnicodeDecodeError as error:
            raise SettingsError(f"{name} is not UTF-8", why=str(error)) from error

    def _valid(self, file: IO[str], check: "Check") -> "Iterator[OutgoingMessage]":
        for line in self._lines(file, check):
            if isinstance(line, BadLine):
                raise line
            yield line

    def _with_failures(
        self, file: IO[str], check: "Check"
    ) -> "Iterator[OutgoingMessage | Failure]":
        from sqsw.sqs_manage.message_view import Failure

        name = self.env.queue_client(self.queue).name
        for line in self._lines(file, check):
            if isinstance(line, BadLine):
                yield Failure(
                    name, line.number, None, "InvalidLine", line.why or "", False, line.text
                )
            else:
                yield line

    def _while_read(
        self, lines: "Iterator[OutgoingMessage | Failure]"
    ) -> "Iterator[OutgoingMessage | Failure]":
        # Once nobody reads what became of the messages, no further ones are begun.
        for line in lines:
            if self.printer.gone:
                return
            yield line

    def _tell(
        self,
        result: "SentMessage | Failure",
        failed_file: IO[str] | None,
        bar: Bar,
        total: int | None,
    ) -> None:
        from sqsw.sqs_manage.bulk import SentMessage

        self.handled += 1
        bar.at(self.handled, total)
        if not isinstance(result, SentMessage):
            if failed_file is not None:
                failed_file.write(self._line_again(result.item) + "\n")
            if not self.printer.terminal:
                show_failure(self.printer, result)
        elif self.printer.as_json:
            self.printer.json("sent", values_of(result))
        elif not self.printer.terminal:
            self.printer.plain("sent", result.line, result.id)

    def _line_again(self, item: Any) -> str:
        """A failed item as the line that it was, so that the same command can read it again."""
        if isinstance(item, str):
            return item
        if self.common.raw:
            return str(item["body"])
        return json_text(item["args"] if self.common.job is not None else item)

    def _show_end(self, report: "SendReport", seconds: float, failed_path: str | None) -> None:
        printer = self.printer
        if printer.as_json:
            printer.json(
                "summary",
                {"command": "send", "seconds_s": round(seconds, 3), **values_of(report)},
            )
            return
        name = self.env.queue_client(self.queue).name
        if printer.terminal:
            printer.done(
                f"{thousands(report.sent)} sent to {name} in {elapsed(seconds)} "
                f"({count_of(report.requests, 'request')})"
            )
        if report.failed:
            kinds = Counter(_words(failure.code) for failure in report.failures)
            reasons = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            where = f"   lines in {failed_path}" if failed_path is not None else ""
            printer.note(f"✗ {thousands(report.failed)} failed: {reasons}{where}")


def _words(code: str) -> str:
    """``InternalError`` as ``internal error``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code.rpartition(".")[2]).lower()


def _open_to_write(path: str) -> IO[str]:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot write {path}", why=error.strerror) from error


def _is_same_file(first: str, second: str) -> bool:
    return os.path.exists(first) and os.path.exists(second) and os.path.samefile(first, second)
