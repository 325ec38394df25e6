"""Print parked jobs: for people, for pipes and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqsw.core.wording import counted
from sqsw_cli.json_text import json_text
from sqsw_cli.output.format import ago, local_time, rfc3339
from sqsw_cli.output.messages import arguments
from sqsw_cli.output.printer import Column, Printer

if TYPE_CHECKING:
    from sqsw.parking.places import ParkedJob

#: characters of a message id, and jobs in a table
_ID, _TOP = 8, 100

_COLUMNS = (
    Column("id"),
    Column("job", least=24),
    Column("queue", least=16),
    Column("due", keep=True),
    Column("sent"),
    Column("arguments", cut=True),
)


def show_parked(printer: Printer, jobs: "Sequence[ParkedJob]") -> None:
    """Print jobs in the order in which they are due; a table has the first hundred."""
    ordered = sorted(jobs, key=lambda job: job.due)
    if not printer.terminal or printer.as_json:
        for job in ordered:
            _show_line(printer, job)
        return
    if not ordered:
        return
    rows = [
        [
            (job.message_id or job.job_id)[:_ID],
            job.job_name or "-",
            job.queue_name,
            local_time(job.due),
            ago(job.sent_at),
            "" if job.arguments is None else arguments(job.arguments),
        ]
        for job in ordered[:_TOP]
    ]
    printer.say()
    printer.table(_COLUMNS, rows)
    if len(ordered) > _TOP:
        printer.tell(f"and {counted(len(ordered) - _TOP, 'job')} due later; --json prints all")


def _show_line(printer: Printer, job: "ParkedJob") -> None:
    if printer.as_json:
        values = {
            "id": job.message_id,
            "job_id": job.job_id,
            "job": job.job_name,
            "queue": job.queue_name,
            "due": job.due,
            "sent_at": job.sent_at,
            "args": job.arguments,
        }
        printer.json("parked_job", values)
        return
    payload = "" if job.arguments is None else json_text(dict(job.arguments))
    due, sent_at = rfc3339(job.due), rfc3339(job.sent_at)
    printer.plain(
        "parked", "parked", job.job_id, job.job_name, job.queue_name, due, sent_at, payload
    )
