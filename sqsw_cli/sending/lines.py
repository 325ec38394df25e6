"""Send the lines of a file, and report the outcome of each."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sqsw.core.errors import SQSError
from sqsw.core.wording import counted
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import failure_of
from sqsw_cli.errors.hints import explained
from sqsw_cli.invocation import Invocation
from sqsw_cli.output.format import elapsed, thousands
from sqsw_cli.output.messages import show_failure, show_unsent
from sqsw_cli.output.progress import Bar
from sqsw_cli.output.records import values_of
from sqsw_cli.sending.job_lines import BadLine, Common, read_lines
from sqsw_cli.sending.line_file import KeptLines, LineFile, open_kept

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.message_view import Failure
    from sqsw.sqs_manage.outgoing import OutgoingMessage, UnreadLine
    from sqsw.sqs_manage.send_many import MessageCheck, SendReport, SentMessage

    Check = Callable[[OutgoingMessage], None]


class BulkSend:
    def __init__(
        self,
        invocation: Invocation,
        env: "SQSEnv",
        queue: str,
        common: Common,
        path: str,
        check: "Check",
        *,
        keep_going: bool,
        failed_path: str | None,
    ) -> None:
        self.invocation = invocation
        self.printer = invocation.printer
        self.env = env
        self.queue = queue
        self.name = env.queue_client(queue).name
        self.common = common
        self.path = path
        self.check = check
        self.keep_going = keep_going
        self.failed_path = failed_path
        self.sent = 0
        self.failed = 0

    def show(self) -> int:
        warn, accepts = self.printer.warn, self._accepts()
        with LineFile(self.path) as file, open_kept(self.failed_path, file, warn) as kept:
            for line in read_lines(file.lines(), self.common, file.name, self._checker(accepts)):
                if isinstance(line, BadLine):
                    if not self.keep_going:
                        raise line
                    self._note_failure(line.number, file, kept)
                    show_failure(self.printer, self._failure(line))
                else:
                    self.sent += 1
                    file.forget(line.line)
                    show_unsent(self.printer, self.name, line, accepts(line).due)
        return self._conclude(kept)

    def run(self) -> int:
        from sqsw.sqs_manage.send_many import send_messages

        begun = time.monotonic()
        self.printer.finish_when_gone()
        # Look up the URL first, to report a missing queue before anything is sent.
        _ = self.env.queue_client(self.queue).url
        with LineFile(self.path) as file:
            total = None if self.keep_going else self._count_valid(file)
            with open_kept(self.failed_path, file, self.printer.warn) as kept:
                finished = False
                try:
                    with self.printer.progress(f"→ {self.name}") as bar:
                        report = send_messages(
                            self.env,
                            self.queue,
                            self._lines(file, checked=not self.keep_going),
                            on_result=lambda result: self._on_result(
                                result, file, kept, bar, total
                            ),
                        )
                    finished = True
                except Exception as error:
                    if self.sent in (0, total):
                        raise
                    raise self._partial(error) from error
                finally:
                    if not finished or self.printer.gone:
                        self._end_early(file, kept, total, time.monotonic() - begun)
        self._show_end(report, kept, time.monotonic() - begun)
        return self._conclude(kept)

    def _accepts(self) -> "MessageCheck":
        from sqsw.sqs_manage.send_many import MessageCheck

        return MessageCheck(self.env, self.env.queue_client(self.queue))

    def _checker(self, accepts: "MessageCheck") -> "Check":
        def check(message: "OutgoingMessage") -> None:
            self.check(message)
            accepts(message)  # raises for what the queue would refuse

        return check

    def _count_valid(self, file: LineFile) -> int:
        count, check = 0, self._checker(self._accepts())
        for line in read_lines(file.look_through(), self.common, file.name, check):
            if isinstance(line, BadLine):
                raise line
            count += 1
        return count

    def _lines(self, file: LineFile, *, checked: bool) -> "Iterator[OutgoingMessage | UnreadLine]":
        check = None if checked else self._checker(self._accepts())
        for line in read_lines(file.lines(), self.common, file.name, check):
            # If the reader of stdout has exited, send no more messages.
            if self.printer.gone:
                return
            yield self._failure(line) if isinstance(line, BadLine) else line

    def _failure(self, line: BadLine) -> "UnreadLine":
        from sqsw.sqs_manage.outgoing import UnreadLine

        return UnreadLine(
            *(self.name, line.number, None, line.kind, line.why or "", False, line.text),
            group=line.group,
        )

    def _on_result(
        self,
        result: "SentMessage | Failure",
        file: LineFile,
        kept: KeptLines | None,
        bar: Bar,
        total: int | None,
    ) -> None:
        from sqsw.sqs_manage.send_many import SentMessage

        if not isinstance(result, SentMessage):
            self._note_failure(result.line or 0, file, kept)
            if not self.printer.terminal:
                show_failure(self.printer, result)
        else:
            file.forget(result.line)
            self.sent += 1
            if self.printer.as_json:
                self.printer.json("sent", values_of(result))
            elif not self.printer.terminal:
                self.printer.plain("sent", "sent", result.line, result.id)
        bar.at(self.sent + self.failed, total)

    def _note_failure(self, number: int, file: LineFile, kept: KeptLines | None) -> None:
        if kept is not None:
            kept.write(file.line(number))
        file.forget(number)
        self.failed += 1

    def _partial(self, error: Exception) -> Exception:
        if isinstance(error, SQSError):
            error = explained(error, self.invocation, self.env)
        failure = failure_of(error)
        failure.exit_code = Exit.PARTIAL
        return failure

    def _end_early(
        self, file: LineFile, kept: KeptLines | None, total: int | None, seconds: float
    ) -> None:
        """Write the lines that may not have been sent to the file, and report how many they are."""
        under_way = file.under_way
        unsent = None if total is None else total - self.sent
        if kept is not None:
            unsent = self.failed
            for line in file.rest():
                kept.write(line)
                unsent += 1
            kept.close()
            if kept.error is not None:
                self.printer.warn(kept.error.message, kept.error.why)
        if self.printer.gone:
            return
        if self.printer.as_json:
            self._summary(seconds, {"sent": self.sent, "failed": unsent})
            return
        where = None
        if kept is None and unsent != 0:
            where = "to keep the lines that were not sent: --failed FILE"
        elif kept is not None and kept.error is None and unsent:
            where = f"to send them: --from {self.failed_path}"
        self.printer.warn(
            f"{thousands(self.sent)} sent to {self.name}, "
            f"{'the rest' if unsent is None else thousands(unsent)} not sent",
            why=f"{under_way} of these may have been sent: SQS did not answer" * bool(under_way),
            next=where,
        )

    def _summary(self, seconds: float, counts: dict[str, int | None]) -> None:
        values = {"command": "send", "seconds_s": round(seconds, 3), **counts}
        self.printer.json("summary", values)

    def _show_end(self, report: "SendReport", kept: KeptLines | None, seconds: float) -> None:
        printer = self.printer
        if printer.as_json:
            self._summary(seconds, values_of(report))
            return
        if printer.terminal:
            printer.done(
                f"{thousands(report.sent)} sent to {self.name} in {elapsed(seconds)} "
                f"({counted(report.requests, 'request')})"
                + f", {thousands(report.parked)} of them parked"
                * bool(report.parked)
            )
        if report.failed:
            kinds = Counter(failure.code for failure in report.failures)
            reasons = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
            is_kept = kept is not None and kept.error is None
            where = f"   lines in {self.failed_path}" if is_kept else ""
            printer.note(f"✗ {thousands(report.failed)} failed: {reasons}{where}")

    def _conclude(self, kept: KeptLines | None) -> int:
        """Return the exit code; raise the error of the file of failed lines with this code."""
        code = Exit.OK
        if self.failed:
            code = Exit.PARTIAL if self.sent else Exit.FAILURE
        if kept is not None and kept.error is not None:
            kept.error.exit_code = code
            raise kept.error
        return code
