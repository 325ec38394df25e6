"""``sqsw create-queue``: a queue and its dead-letter queue."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sqsw.core.errors import SettingsError
from sqsw.core.redrive_policy import DEFAULT_MAX_RECEIVES
from sqsw.core.wording import format_duration
from sqsw_cli.command import Command
from sqsw_cli.environment import opened
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.shared import accepted_yes_option, dry_run_option
from sqsw_cli.options.types import KEY_VALUE, QUEUE, Duration
from sqsw_cli.output.format import count_of
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_manage.describe import QueueReport

EXAMPLES = """
sqsw create-queue emails
sqsw create-queue --dlq emails_dead                  # creates emails and emails_dead
sqsw create-queue --fifo --dlq emails_dead           # emails.fifo and emails_dead.fifo
sqsw create-queue reports --visibility-timeout 2m --retention 14d --tag team=data
sqsw create-queue emails --dlq emails_dead --max-receives 3 --update
"""

_HOURS, _DAYS = 3_600, 86_400


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("name", required=False, type=QUEUE)
@click.option("--fifo", is_flag=True, help="Create a FIFO queue; adds .fifo to both names.")
@click.option(
    "--dlq",
    metavar="NAME",
    type=QUEUE,
    help="Dead-letter queue; created with a retention of 14d if missing.",
)
@click.option(
    "--max-receives",
    metavar="N",
    type=click.IntRange(1, 1000),
    help="Receives before a message goes to the dead-letter queue (12).",
)
@click.option(
    "--visibility-timeout",
    metavar="D",
    type=Duration(0, 12 * _HOURS),
    help="Visibility timeout, 0 to 12h (30s).",
)
@click.option(
    "--retention",
    metavar="D",
    type=Duration(60, 14 * _DAYS),
    help="Retention of messages, 1m to 14d (4d).",
)
@click.option(
    "--delay", metavar="D", type=Duration(0, 900), help="Delay of every message, 0 to 15m (0)."
)
@click.option("--content-dedup", is_flag=True, help="FIFO: deduplicate messages by their body.")
@click.option(
    "--high-throughput",
    is_flag=True,
    help="FIFO: apply deduplication and throughput limits per message group.",
)
@click.option("--kms", metavar="KEY", help="KMS key ID or alias (key managed by SQS).")
@click.option(
    "--tag",
    "tags",
    metavar="K=V",
    type=KEY_VALUE,
    multiple=True,
    help="Tag of both queues. Repeatable.",
)
@click.option(
    "--attribute",
    "attributes",
    metavar="K=V",
    type=KEY_VALUE,
    multiple=True,
    help="SQS attribute by its AWS name; wins over the other options. Repeatable.",
)
@click.option("--update", is_flag=True, help="Change an existing queue that has other settings.")
@dry_run_option("Print what would be done.")
@accepted_yes_option
@click.pass_obj
def create_queue(
    invocation: Invocation,
    name: str | None,
    fifo: bool,
    dlq: str | None,
    max_receives: int | None,
    visibility_timeout: int | None,
    retention: int | None,
    delay: int | None,
    content_dedup: bool,
    high_throughput: bool,
    kms: str | None,
    tags: Sequence[tuple[str, str]],
    attributes: Sequence[tuple[str, str]],
    update: bool,
    dry_run: bool,
) -> None:
    """Create a queue and, with --dlq, its dead-letter queue.

    Without NAME the name is that of the dead-letter queue without its ending (_dead, -dlq …).
    Run again, it changes nothing; with other settings it says so and touches nothing, unless
    --update is given.
    """
    from sqsw.sqs_manage import checks, create

    if max_receives is not None and dlq is None:
        raise SettingsError("--max-receives needs --dlq", next="add --dlq NAME")
    queue_name, dead_letter_queue = _names(name, dlq, fifo=fifo or content_dedup or high_throughput)
    asked = {
        "VisibilityTimeout": visibility_timeout,
        "MessageRetentionPeriod": retention,
        "DelaySeconds": delay,
        "KmsMasterKeyId": kms,
        "ContentBasedDeduplication": "true" if content_dedup else None,
        "DeduplicationScope": "messageGroup" if high_throughput else None,
        "FifoThroughputLimit": "perMessageGroupId" if high_throughput else None,
    }
    with opened(invocation) as env:
        reports = create.create_queue(
            env,
            queue_name,
            dead_letter_queue=dead_letter_queue,
            max_receives=max_receives,
            attributes={
                **{key: str(value) for key, value in asked.items() if value is not None},
                **dict(attributes),
            },
            tags=dict(tags),
            update=update,
            dry_run=dry_run,
        )
    _show(invocation.printer, reports)
    if max_receives == 1:
        is_there = reports[-1].action != "would_create"
        cure = f"--max-receives {DEFAULT_MAX_RECEIVES}{' --update' if is_there else ''}"
        invocation.printer.advise(
            f"{queue_name} allows one receive", checks.NO_SECOND_RECEIVE, cure
        )


def _names(name: str | None, dlq: str | None, *, fifo: bool) -> tuple[str, str | None]:
    from sqsw.sqs_manage.create import queue_name_from_dead_letter_queue

    if name is None and dlq is None:
        raise SettingsError(
            "neither NAME nor --dlq is given",
            why="the name of a queue is written, or derived from its dead-letter queue",
            next="sqsw create-queue emails, or sqsw create-queue --dlq emails_dead",
        )
    fifo = fifo or any(word is not None and word.endswith(".fifo") for word in (name, dlq))
    name = name or queue_name_from_dead_letter_queue(dlq or "")
    names = [
        word if word is None or not fifo or word.endswith(".fifo") else f"{word}.fifo"
        for word in (name, dlq)
    ]
    return str(names[0]), names[1]


def _show(printer: Printer, reports: "Sequence[QueueReport]") -> None:
    if printer.as_json:
        for report in reports:
            printer.json("queue", values_of(report))
    elif printer.terminal:
        rows = [
            [f"✓ {report.name}", (report.action or "").replace("_", " "), _settings(report)]
            for report in reports
        ]
        printer.table([Column(""), Column(""), Column("")], rows)
        last = reports[-1]
        if last.action in ("created", "updated"):
            by_body = last.attributes.get("ContentBasedDeduplication") == "true"
            more = " --dedup-id ID" if last.fifo and not by_body else ""
            printer.next(f"sqsw send {last.name} JOB key=value{more}")
    else:
        for report in reports:
            printer.plain("created", report.name, report.action, report.url)


def _settings(report: "QueueReport") -> str:
    attributes = report.attributes
    parts = ["FIFO"] if report.fifo else []
    # A queue that only takes dead letters is not worked, so how long it leases says nothing.
    if "VisibilityTimeout" in attributes and not report.sources:
        parts.append(f"lease {format_duration(int(attributes['VisibilityTimeout']))}")
    if "MessageRetentionPeriod" in attributes:
        parts.append(f"keeps {format_duration(int(attributes['MessageRetentionPeriod']))}")
    if int(attributes.get("DelaySeconds", 0)):
        parts.append(f"delay {format_duration(int(attributes['DelaySeconds']))}")
    if report.dlq:
        parts.append(f"after {count_of(report.max_receives or 0, 'receive')} to {report.dlq}")
    return " · ".join(parts)
