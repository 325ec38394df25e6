"""Print queues: for people, for pipes and as JSON."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqsw.core.wording import counted, format_duration
from sqsw_cli.output.format import ago, rfc3339, size, thousands
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_manage.describe import QueueReport
    from sqsw.sqs_manage.reasons import Reason

_NAME = 16
_QUEUE, _READY = Column("queue", least=_NAME), Column("ready", right=True, keep=True)
_RATE = Column("rate", right=True)
_COUNTS = (
    Column("in flight", right=True),
    Column("delayed", right=True),
    Column("dead", right=True, keep=True, color="red"),
)
_AGE = Column("oldest", right=True)
_REST = (Column("dead-letter queue", least=_NAME), Column("type"))

#: reasons shown in a table
_TOP = 10


def show_queues(
    printer: Printer,
    reports: "Sequence[QueueReport]",
    rates: Mapping[str, float] | None = None,
) -> None:
    """Print a table for a person, or a line for each queue.

    Parameters
    ----------
    rates :
        Ready messages that each queue gains per second, by queue name. If given, the table has a
        total.
    """
    if printer.as_json or not printer.terminal:
        for report in reports:
            _show_line(printer, report)
        return
    if not reports:
        return
    # On AWS, ages are known only with --age.
    aged = any(report.oldest_age_s is not None for report in reports)
    columns = [_QUEUE, _READY, *([_RATE] if rates is not None else []), *_COUNTS]
    columns += [*([_AGE] if aged else []), *_REST]
    rows = []
    for report in reports:
        row = _row(report, aged=aged)
        if rates is not None:
            row.insert(2, rate_of(rates.get(report.name)))
        rows.append(row)
    if rates is not None and len(reports) > 1:
        rows.append(_total(reports, sum(rates.values()), len(columns)))
    printer.table(columns, rows)


def show_queue(printer: Printer, report: "QueueReport", rate: float | None = None) -> None:
    if printer.as_json or not printer.terminal:
        _show_line(printer, report)
        return
    printer.say(f"{report.name}     {_type(report)} · {report.url}")
    for line in _details(report, rate):
        printer.tell(f"  {line}")
    if report.reasons:
        printer.say()
        show_reasons(printer, report.reasons)
        looked_at = sum(reason.count for reason in report.reasons)
        if looked_at < (report.visible or 0):
            printer.tell(f"of the first {counted(looked_at, 'message')}")
    elif report.sources and report.visible and report.reasons is None:
        command = f"sqsw inspect {shlex.quote(report.name)} --peek 100 --count-by error"
        printer.tell(f"  why they failed: {command}")


def show_reasons(printer: Printer, reasons: "Sequence[Reason]") -> None:
    """Print why dead letters failed, as a table or as lines for a pipe."""
    if not printer.terminal:
        for reason in reasons:
            at = rfc3339(reason.oldest_at)
            printer.plain("reason", "reason", reason.count, reason.error, reason.where, at)
        return
    columns = [
        Column("letters", right=True),
        Column("error", least=24),
        Column("oldest"),
        Column("last frame", least=24),
    ]
    rows = [
        [
            thousands(reason.count),
            reason.error or "no record",
            ago(reason.oldest_at),
            reason.where or "",
        ]
        for reason in reasons[:_TOP]
    ]
    printer.table(columns, rows)
    if len(reasons) > _TOP:
        printer.tell(f"and {counted(len(reasons) - _TOP, 'other reason')}")


def _show_line(printer: Printer, report: "QueueReport") -> None:
    if printer.as_json:
        printer.json("queue", values_of(report))
    else:
        counts = (report.visible, report.in_flight, report.delayed)
        dead = (report.dlq, report.dlq_visible)
        rest = (_type(report), report.oldest_age_s, ",".join(report.sources))
        printer.plain("queue", report.name, *counts, *dead, *rest)
        show_reasons(printer, report.reasons or ())


def rate_of(rate: float | None) -> str:
    """Return how many messages a queue gains per second, as ``+12/s``; empty if none."""
    if rate is None or round(rate, 1) == 0:
        return ""
    return f"{rate:+,.0f}/s" if abs(rate) >= 10 else f"{rate:+.1f}/s"


def _row(report: "QueueReport", *, aged: bool) -> list[str]:
    dead_letter_queue = report.dlq or ""
    if report.sources and not report.dlq:
        dead_letter_queue = f"DLQ of {', '.join(report.sources)}"
    age = "" if report.oldest_age_s is None else format_duration(report.oldest_age_s)
    return [
        report.name,
        thousands(report.visible),
        thousands(report.in_flight),
        thousands(report.delayed),
        thousands(report.dlq_visible) if report.dlq else "none",
        *([age] if aged else []),
        dead_letter_queue,
        _type(report),
    ]


def _total(reports: "Sequence[QueueReport]", rate: float, count: int) -> list[str]:
    dead = {report.dlq: report.dlq_visible or 0 for report in reports if report.dlq}
    cells = [
        "total",
        thousands(sum(report.visible or 0 for report in reports)),
        rate_of(rate),
        thousands(sum(report.in_flight or 0 for report in reports)),
        thousands(sum(report.delayed or 0 for report in reports)),
        thousands(sum(dead.values())),
    ]
    return cells + [""] * (count - len(cells))


def _details(report: "QueueReport", rate: float | None) -> list[str]:
    gain = f" ({text})" if (text := rate_of(rate)) else ""
    attributes = report.attributes
    lines = [
        f"ready {thousands(report.visible)}{gain} · in flight {thousands(report.in_flight)} "
        f"· delayed {thousands(report.delayed)}",
        " · ".join(_numbers(report)),
    ]
    if report.parked is not None:
        lines.append(f"{counted(report.parked, 'parked job')}, which a worker sends when due")
    if report.oldest_age_s is not None:
        lines.append(f"oldest message {format_duration(report.oldest_age_s)} old")
    if report.dlq:
        lines.append(
            f"dead letters to {report.dlq} ({thousands(report.dlq_visible)}) "
            f"after {counted(report.max_receives or 0, 'receive')}"
        )
    if report.sources:
        lines.append(f"dead-letter queue of {', '.join(report.sources)}")
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
            ("visibility timeout", "VisibilityTimeout"),
            ("retention", "MessageRetentionPeriod"),
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
    if report.parked is not None:
        return "parking"
    return "FIFO" if report.fifo else "standard"
