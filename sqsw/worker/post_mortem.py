"""Tells why a job is given up."""

import hashlib
import json
import os
import socket
import sysconfig
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from types import FrameType

from sqsw.core.dead_record import DeadRecord, Verdict
from sqsw.core.errors import ProcessKilled
from sqsw.core.job_metadata import metadata_of
from sqsw.core.message import Message
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
    frames = [] if error is None else list(_frames(error))
    kind = None if error is None else _cut(type(error).__name__, _NAME_BYTES)
    earlier = metadata_of(message).dead
    now = _moment(time.time())
    first = message.attributes.get("ApproximateFirstReceiveTimestamp", "")
    record = DeadRecord(
        verdict=verdict,
        type=kind,
        message=None,
        where=None if not frames else f"{_name(frames[-1][0])}:{frames[-1][1]}",
        fingerprint=_fingerprint(kind, job_name, [_name(frame) for frame, _ in frames]),
        attempts=message.attempt,
        receives=message.receive_count,
        first_at=_moment(int(first) / 1000) if first.isdecimal() else now,
        at=now,
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
    while record.trace and len(json.dumps(record.to_json())) > _RECORD_BYTES:
        record = replace(record, trace=record.trace[len(record.trace) // 4 + 1 :] or None)
    return record


def _fingerprint(kind: str | None, job_name: str | None, places: list[str]) -> str:
    # Without line numbers, which change with each release.
    identity = "\n".join((kind or "", job_name or "", *places))
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:12]


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        if _is_of_user(frame.f_code.co_filename):
            yield frame, line


def _name(frame: FrameType) -> str:
    module = frame.f_globals.get("__name__", "?")
    return _cut(f"{module}.{frame.f_code.co_qualname}", _NAME_BYTES)


@cache
def _is_of_user(file: str) -> bool:
    """Whether a file is neither part of Python, nor installed, nor of sqsw."""
    paths = sysconfig.get_paths()
    others = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    ours = os.path.dirname(os.path.dirname(__file__))
    return not file.startswith(("<", *(f"{path}{os.sep}" for path in (*others, ours))))


def _end(text: str) -> str:
    return text.encode("utf-8", "replace")[-_TRACE_BYTES:].decode("utf-8", "ignore")


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


@cache
def _worker(pid: int) -> str:
    return f"{_cut(socket.gethostname(), _NAME_BYTES)}:{pid}"


def _moment(seconds: float) -> str:
    """A time as ``--json`` has it: RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
