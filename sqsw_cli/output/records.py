"""The types and keys of the JSON objects that commands print.

Keys are only ever added. Every object has all keys of its type; unknown values are null.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqsw_cli.json_text import json_text
from sqsw_cli.output.format import rfc3339

KEYS: dict[str, tuple[str, ...]] = {
    "queue": (
        *("name", "sqs_name", "url", "arn", "fifo", "action", "visible", "in_flight", "delayed"),
        *("dlq", "dlq_visible", "max_receives", "sources", "attributes", "tags"),
        *("oldest_age_s", "reasons", "parked"),
    ),
    "message": (
        *(
            "queue",
            "id",
            "job_id",
            "job",
            "args",
            "context",
            "content_type",
            "body",
            "raw",
            "group",
        ),
        *("dedup_id", "sent_at", "first_received_at", "receives", "size", "source", "error"),
        *("attributes", "attribute_types", "trace_header", "action", "twin_of", "copy_of"),
        *("due", "to"),
    ),
    "sent": (
        *("queue", "id", "job", "line", "group", "dedup_id", "sequence_number", "job_id"),
        *("due", "parked"),
    ),
    "failed": ("queue", "line", "id", "code", "message", "retryable", "item", "job_id"),
    "group": ("queue", "key", "count", "oldest_sent_at", "newest_sent_at"),
    "parked_job": ("id", "job_id", "job", "queue", "due", "sent_at", "args"),
    "task": (
        *("queue", "job", "function", "module", "file", "line_no", "signature", "source"),
        *("distribution", "kind"),
    ),
    "schedule": (*("name", "rule", "zone", "queue", "job", "next", "args", "takes_at", "overlap"),),
    "tick": ("schedule", "at", "local", "clock_change_s"),
    "move": (
        *("source", "destination", "status", "moved", "total", "rate", "started_at", "handle"),
        "failure_reason",
    ),
    "ready": ("url", "host", "port", "path", "region"),
    "check": ("name", "status", "detail", "hint", "queue"),
    "health": ("target", "status", "reason", "error", "code"),
    "summary": ("command", "seconds_s", "requests"),
}

#: The counters in the summary of each command.
COUNTERS: dict[str, tuple[str, ...]] = {
    "send": ("sent", "failed", "parked"),
    "work": (
        "done",
        "failed",
        "retried",
        "unknown",
        "released",
        "lease_lost",
        "unfinished",
        "stopped_by",
        "forced",
    ),
    "redrive": ("moved", "skipped", "failed", "dropped_twins"),
    "purge": ("deleted", "skipped", "failed"),
}


def record(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with exactly the keys of its type, in order."""
    keys = KEYS[kind]
    if kind == "summary":
        keys = (*keys, *COUNTERS[str(values["command"])])
    return {"type": kind, **{key: values.get(key) for key in keys}}


def values_of(item: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name; nested dataclasses are not converted."""
    return {field.name: getattr(item, field.name) for field in fields(item)}


def json_line(values: Mapping[str, Any]) -> str:
    return json_text(values, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return values_of(value)
    return str(value)
