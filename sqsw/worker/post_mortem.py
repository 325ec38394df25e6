"""The record of a job that is given up."""

import hashlib
import json
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from sqsw.core.dead_record import DeadRecord, Verdict
from sqsw.core.errors import ProcessKilled
from sqsw.core.job_metadata import metadata_of
from sqsw.core.message import Message
from sqsw.core.times import format_time, read_milliseconds
from sqsw.core.user_frames import user_frames
from sqsw.core.wording import text_of, traceback_of, without_secrets

#: bytes of a record as JSON, of its error message, of the end of its traceback, and of each name
_RECORD_BYTES, _MESSAGE_BYTES, _TRACE_BYTES, _NAME_BYTES = 3_800, 500, 2_048, 200


def explain(
    message: Message,
    error: BaseException | None,
    *,
    verdict: Verdict,
    job_name: str | None,
    with_text: bool = True,
) -> DeadRecord:
    """Return the record of a job that is given up now.

    Parameters
    ----------
    error :
        What it raised; None if it asked for a retry.
    with_text :
        False leaves out the text of the error and the traceback, which can have personal data.
    """
    frames = [] if error is None else user_frames(error)
    names = [_cut(name, _NAME_BYTES) for name, _ in frames]
    kind = None if error is None else _cut(type(error).__name__, _NAME_BYTES)
    earlier = metadata_of(message).dead
    now = datetime.now(UTC)
    first = read_milliseconds(message.attributes.get("ApproximateFirstReceiveTimestamp"))
    record = DeadRecord(
        verdict=verdict,
        type=kind,
        message=None,
        where=f"{names[-1]}:{frames[-1][1]}" if frames else None,
        fingerprint=_fingerprint(kind, job_name, names),
        attempts=message.attempt,
        receives=message.receive_count,
        first_at=format_time(first or now),
        at=format_time(now),
        queue=message.queue_name,
        worker=_worker(os.getpid()),
    )
    if earlier is not None:
        record = replace(record, first_at=earlier.first_at, deaths=earlier.deaths + 1)
    if isinstance(error, ProcessKilled):
        record = replace(record, message=error.message)  # it says nothing of the job's data
    if error is not None and with_text:
        text = _cut(without_secrets(text_of(error)), _MESSAGE_BYTES)
        record = replace(record, message=text, trace=_end(traceback_of(error)))
    # JSON writes some characters as six bytes or more.
    while record.trace and _is_too_long(record):
        record = replace(record, trace=record.trace[len(record.trace) // 4 + 1 :] or None)
    while record.message and _is_too_long(record):
        record = replace(record, message=record.message[: len(record.message) * 3 // 4])
    return record


def _is_too_long(record: DeadRecord) -> bool:
    return len(json.dumps(record.to_json())) > _RECORD_BYTES


def _fingerprint(kind: str | None, job_name: str | None, places: list[str]) -> str:
    # Without line numbers, which change with each release.
    identity = "\n".join((kind or "", job_name or "", *places))
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:12]


def _end(text: str) -> str:
    return text.encode("utf-8", "replace")[-_TRACE_BYTES:].decode("utf-8", "ignore")


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


@cache
def _worker(pid: int) -> str:
    return f"{_cut(socket.gethostname(), _NAME_BYTES)}:{pid}"
