"""How queues look in the three faces."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqsw.core.wording import format_duration
from sqsw_cli.output.format import count_of, size, thousands
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_manage.describe import QueueReport

_COLUMNS = (
    Column("queue"),
    Column("ready", right=True),
    Column("in flight", right=True),
    Column("delayed", right=True),
    Column("dead letters"),
    Column("", right=True),
    Column("type"),
)
_AGE = Column("oldest", right=True)


def show_queues(printer: Printer, reports: "Sequence[QueueReport]") -> None:
    if printer.as_json or not printer.terminal:
        for report in reports:
            _show_line(printer, report)
    elif reports:
        # Where no age is known there is nothing to say, and on AWS it has to be asked for.
        aged = any(report.oldest_age_s is not None for report in reports)
        columns = [*_COLUMNS, _AGE] if aged else _COLUMNS
        printer.table(columns, [_row(report)[: len(columns)] for report in reports])


def show_queue(printer: Printer, report: "QueueReport") -> None:
    if printer.as_json or not printer.terminal:
        _show_line(printer, report)
        return
    printer.say(f"{report.name}     {_type(report)} · {report.url}")
    for line in _details(report):
        printer.tell(f"  {line}")


def _show_line(printer: Printer, report: "QueueReport") -> None:
    if printer.as_json:
        printer.json("queue", values_of(report))
    else:
        counts = (report.visible, report.in_flight, report.delayed)
        dead = (report.dlq, report.dlq_visible)
        rest = (_type(report), report.oldest_age_s, ",".join(report.sources))
        printer.plain("queue", report.name, *counts, *dead, *rest)


def _row(report: "QueueReport") -> list[str]:
    dead = report.dlq or "none"
    if report.sources and not report.dlq:
        dead = f"those of {', '.join(report.sources)}"
    return [
        report.name,
        thousands(report.visible),
        thousands(report.in_flight),
        thousands(report.delayed),
        dead,
        thousands(report.dlq_visible) if report.dlq else "",
        _type(report),
        "" if report.oldest_age_s is None else format_duration(report.oldest_age_s),
    ]


def _details(report: "QueueReport") -> list[str]:
    attributes = report.attributes
    lines = [
        f"ready {thousands(report.visible)} · in flight {thousands(report.in_flight)} "
        f"· delayed {thousands(report.delayed)}",
        " · ".join(_numbers(report)),
    ]
    if report.oldest_age_s is not None:
        lines.append(f"oldest message {format_duration(report.oldest_age_s)} old")
    if report.dlq:
        lines.append(
            f"dead letters to {report.dlq} ({thousands(report.dlq_visible)}) "
            f"after {count_of(report.max_receives or 0, 'receive')}"
        )
    if report.sources:
        lines.append(f"takes the dead letters of {', '.join(report.sources)}")
    dates = [
        f"{word} {datetime.fromtimestamp(int(attributes[key]), UTC).date().isoformat()}"
        for word, key in (("created", "CreatedTimestamp"), ("changed", "LastModifiedTimestamp"))
        if key in attributes
    ]
    if report.tags:
        dates.append(
            "tags " + " ".join(f"{key}={value}" for key, value in sorted(report.tags.items()))
        )
    return [*lines, " · ".join(dates)] if dates else lines


def _numbers(report: "QueueReport") -> list[str]:
    attributes = report.attributes
    shown = [
        f"{word} {format_duration(int(attributes[key])) if int(attributes[key]) else 0}"
        for word, key in (
            ("lease", "VisibilityTimeout"),
            ("keeps", "MessageRetentionPeriod"),
            ("delay", "DelaySeconds"),
        )
        if key in attributes
    ]
    if "MaximumMessageSize" in attributes:
        shown.append(f"max {size(int(attributes['MaximumMessageSize']))}")
    if attributes.get("KmsMasterKeyId"):
        shown.append(f"key {attributes['KmsMasterKeyId']}")
    elif attributes.get("SqsManagedSseEnabled") == "true":
        shown.append("SQS-managed key")
    if attributes.get("ContentBasedDeduplication") == "true":
        shown.append("deduplicates by body")
    if attributes.get("FifoThroughputLimit") == "perMessageGroupId":
        shown.append("high throughput")
    return shown


def _type(report: "QueueReport") -> str:
    return "FIFO" if report.fifo else "standard"
