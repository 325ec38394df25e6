"""Why a job was given up: the record that its message carries in the dead-letter queue."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqsw.core.times import read_time

#: Why a job is not retried. ``last_attempt``: its last attempt failed. ``gave_up``: it raised
#: ``GiveUp``, or an error that its rules name. ``unreadable``: the message cannot be decoded.
#: ``killed_process``: it killed its process at each attempt.
Verdict = Literal["last_attempt", "gave_up", "unreadable", "killed_process"]


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """Why a job was given up.

    Attributes
    ----------
    verdict :
        Why it is not retried.
    type :
        The class of the error, without its module; None if there was no error.
    message, trace :
        The text of the error and the end of its traceback; None if they were left out.
    where :
        Module, function and line of the last frame in the user's code; None if unknown.
    fingerprint :
        Twelve hex digits, equal for errors of one class at one place.
    attempts, receives :
        How often the job was tried, and how often its message was received.
    first_at, at :
        When it was first received and when it was given up, in RFC 3339 and UTC.
    queue, worker :
        The queue that it failed in, and the host and process ID of the worker.
    deaths :
        How often it has been given up, this time included. A redrive keeps the count.
    """

    verdict: str
    type: str | None
    message: str | None
    where: str | None
    fingerprint: str
    attempts: int
    receives: int
    first_at: str | None
    at: str
    queue: str
    worker: str
    deaths: int = 1
    trace: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object ``error`` of a message in ``--json``."""
        return asdict(self)

    def without_trace(self) -> "DeadRecord":
        """The same record without the traceback."""
        return replace(self, trace=None)

    def without_text(self) -> "DeadRecord":
        """The same record without the traceback and the text of the error."""
        return replace(self, trace=None, message=None)

    @classmethod
    def from_json(cls, value: object) -> "DeadRecord | None":
        """Return the record of such an object; None for anything that no worker writes.

        Anyone who can send a message can write a record.
        """
        if not isinstance(value, Mapping):
            return None
        found: dict[str, Any] = {name: value.get(name) for name in _CHECKS}
        if all(is_valid(found[name]) for name, is_valid in _CHECKS.items()):
            return cls(**found)
        return None


#: more than any count that SQS reports
_MOST = 1_000_000_000

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_optional_text(value: object) -> bool:
    return isinstance(value, str | None)


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _is_time(value: object) -> bool:
    return isinstance(value, str) and bool(_TIME.fullmatch(value)) and read_time(value) is not None


_CHECKS: dict[str, Callable[[object], bool]] = {
    "verdict": _is_text,
    "type": _is_optional_text,
    "message": _is_optional_text,
    "where": _is_optional_text,
    "fingerprint": _is_text,
    "attempts": _is_count,
    "receives": _is_count,
    "first_at": lambda value: value is None or _is_time(value),
    "at": _is_time,
    "queue": _is_text,
    "worker": _is_text,
    "deaths": _is_count,
    "trace": _is_optional_text,
}
