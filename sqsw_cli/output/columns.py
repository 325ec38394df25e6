"""The columns of the lines that commands print in a pipe.

Help and reference are generated from this table, and
:meth:`sqsw_cli.output.printer.Printer.plain` enforces it.
"""

from typing import NamedTuple


class Line(NamedTuple):
    """One kind of line; columns are named as in ``--json``, and a quoted word is printed as is."""

    commands: tuple[str, ...]
    when: str
    columns: tuple[str, ...]


LINES = {
    "id": Line(("send",), "one message", ("id",)),
    "sent": Line(("send",), "--from", ("'sent'", "line", "id")),
    "unsent": Line(("send",), "--dry-run", ("job", "payload")),
    "queue": Line(
        ("inspect",),
        "queues",
        (
            *("name", "visible", "in_flight", "delayed", "dlq", "dlq_visible", "type"),
            *("oldest_age_s", "sources"),
        ),
    ),
    "reason": Line(
        ("inspect",),
        "reasons of dead letters",
        ("'reason'", "count", "error", "where", "oldest_at"),
    ),
    "parked": Line(
        ("inspect",),
        "parked jobs, with --local",
        ("'parked'", "job_id", "job", "queue", "due", "sent_at", "payload"),
    ),
    "message": Line(("inspect",), "--peek", ("id", "job", "sent_at", "receives", "payload")),
    "group": Line(("inspect",), "--count-by", ("key", "count", "oldest_sent_at", "newest_sent_at")),
    "task": Line(
        ("inspect",),
        "--tasks",
        ("queue", "job", "function", "source", "distribution", "signature"),
    ),
    "schedule": Line(
        ("schedule list",), "each schedule", ("name", "rule", "zone", "queue", "next", "job")
    ),
    "tick": Line(("schedule check",), "each tick", ("at", "local", "clock_change_s")),
    "ticked": Line(("schedule run",), "the tick", ("job_id", "id")),
    "moved": Line(("redrive",), "by SQS", ("'moved'", "moved")),
    "handled": Line(
        ("redrive", "purge"), "selection or --dry-run", ("action", "id", "job", "payload")
    ),
    "move": Line(
        ("redrive",), "--status", ("started_at", "status", "moved", "total", "destination")
    ),
    "cancelling": Line(("redrive",), "--cancel", ("'cancelling'", "moved")),
    "failed": Line(
        ("send", "redrive", "purge"),
        "a message that failed",
        ("'failed'", "id or line", "code", "message"),
    ),
    "created": Line(("create-queue",), "each queue", ("name", "action", "url")),
    "purged": Line(("purge",), "all messages", ("name", "action", "messages")),
    "deleted": Line(("delete-queue",), "each queue", ("name", "action")),
    "check": Line(("doctor",), "each check", ("status", "name", "detail", "hint")),
    "health": Line(("health",), "the answer", ("status", "target", "reason", "error")),
}


def lines_of(command: str) -> list[Line]:
    return [line for line in LINES.values() if command in line.commands]
