"""Notices of the library, on stderr."""

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure
from sqsw_cli.output.printer import Printer

if TYPE_CHECKING:
    from sqsw.sqs_manage.receive_pass import Notice


def notices_to(printer: Printer, queue: str) -> "Callable[[Notice], None]":
    """Return a function that prints notices about a queue as warnings.

    The function raises Failure if no message has one of the requested ids.
    """

    def tell(notice: "Notice") -> None:
        from sqsw.sqs_manage.matcher import UnresolvedIds

        if isinstance(notice, UnresolvedIds) and notice.found_none:
            raise Failure(
                f"{notice.message} in {queue!r}",
                why=notice.why,
                next=notice.next or f"sqsw inspect {shlex.quote(queue)} --peek 20 lists messages",
                code="message_not_found",
                exit_code=Exit.NOT_FOUND,
            )
        printer.warn(notice.message, notice.why, notice.next)

    return tell
