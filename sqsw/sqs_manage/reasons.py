"""Count dead letters by the reason for which they were given up."""

from dataclasses import dataclass
from datetime import datetime

from sqsw.core.dead_record import DeadRecord
from sqsw.core.times import read_time


@dataclass(frozen=True, slots=True)
class Reason:
    """A group of dead letters with the same reason.

    Attributes
    ----------
    error :
        The error class, or the verdict if there was no error; None for messages without a record.
    fingerprint, where :
        A value that equal errors share, and the last frame in the user's code; None if unknown.
    count :
        The number of messages.
    oldest_at, newest_at :
        When the first and last message was given up, or sent if it has no record.
    """

    error: str | None
    fingerprint: str | None
    where: str | None
    count: int
    oldest_at: datetime | None
    newest_at: datetime | None


def reason_error(record: DeadRecord) -> str:
    """Return the error class in a record, or the verdict if there was no error."""
    return record.type or record.verdict


class ReasonTally:
    """A counter of messages by error class and fingerprint."""

    def __init__(self) -> None:
        self._found: dict[tuple[str | None, str | None], Reason] = {}

    def add(self, record: DeadRecord | None, sent_at: datetime | None) -> None:
        """Count a message by its record and send time."""
        at = sent_at if record is None else read_time(record.at)
        error, fingerprint, where = None, None, None
        if record is not None:
            error, fingerprint, where = reason_error(record), record.fingerprint, record.where
        key = (error, fingerprint)
        known = self._found.get(key)
        times = [one for one in (at, known and known.oldest_at, known and known.newest_at) if one]
        self._found[key] = Reason(
            error,
            fingerprint,
            where,  # the line can differ; the newest one counts
            count=1 if known is None else known.count + 1,
            oldest_at=min(times, default=None),
            newest_at=max(times, default=None),
        )

    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons, most frequent first."""
        return tuple(sorted(self._found.values(), key=lambda reason: -reason.count))
