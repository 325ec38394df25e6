"""Count dead letters by the reason why they were given up."""

from dataclasses import dataclass
from datetime import datetime

from sqsw.core.dead_record import DeadRecord
from sqsw.core.times import read_time


@dataclass(frozen=True, slots=True)
class Reason:
    """Dead letters with one reason.

    Attributes
    ----------
    error :
        The class of the error, or the verdict if there was no error; None for messages without a
        record.
    fingerprint, where :
        What is equal for equal errors, and the last frame in the code of the user; None if unknown.
    count :
        How many they are.
    oldest_at, newest_at :
        When the first and the last of them were given up; without a record, when they were sent.
    """

    error: str | None
    fingerprint: str | None
    where: str | None
    count: int
    oldest_at: datetime | None
    newest_at: datetime | None


def reason_error(record: DeadRecord) -> str:
    """Return the class of the error in a record, or the verdict if there was no error."""
    return record.type or record.verdict


class ReasonTally:
    """Counts messages by class and fingerprint of their errors."""

    def __init__(self) -> None:
        self._found: dict[tuple[str | None, str | None], Reason] = {}

    def add(self, record: DeadRecord | None, sent_at: datetime | None) -> None:
        """Count a message: its record, and when it was sent."""
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
            where,  # its line can differ, and the newest one counts
            count=1 if known is None else known.count + 1,
            oldest_at=min(times, default=None),
            newest_at=max(times, default=None),
        )

    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons, the most frequent first."""
        return tuple(sorted(self._found.values(), key=lambda reason: -reason.count))
