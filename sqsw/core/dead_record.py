"""Why a job was given up: the record that its message carries in the dead-letter queue."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

#: Why a job is not tried again. ``last_attempt``: it failed, and was the last one. ``gave_up``: the
#: job said so, or its processor for this error. ``unreadable``: it cannot be decoded.
#: ``killed_process``: it ended its process each time.
Verdict = Literal["last_attempt", "gave_up", "unreadable", "killed_process"]


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """Why a job was given up.

    Attributes
    ----------
    verdict :
        Why it is not tried again.
    type :
        The class of the error, without its module; None if there is none.
    message, trace :
        The text of the error and the end of its traceback; None if they are not to be told.
    where :
        Module, function and line of the last frame in the code of the user; None if unknown.
    fingerprint :
        Twelve hex digits, equal for errors of one class at one place.
    attempts, receives :
        How often the job was tried, and its message received.
    first_at, at :
        When it was first received and when it was given up, in RFC 3339 and UTC.
    queue, worker :
        The queue that it failed in, and the host and process that gave it up.
    deaths :
        How often it has been given up, with this time. A redrive keeps the count.
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
        """Return the record of such an object; None if it is not one: anybody can write one."""
        if not isinstance(value, Mapping):
            return None
        found: dict[str, Any] = {name: value.get(name) for name in (*_TEXTS, *_NUMBERS, *_OPTIONAL)}
        if (
            all(isinstance(found[name], str) for name in _TEXTS)
            and all(type(found[name]) is int for name in _NUMBERS)
            and all(isinstance(found[name], str | None) for name in _OPTIONAL)
        ):
            return cls(**found)
        return None


_TEXTS = ("verdict", "fingerprint", "at", "queue", "worker")
_NUMBERS = ("attempts", "receives", "deaths")
_OPTIONAL = ("type", "message", "where", "first_at", "trace")
