"""The schedules of a job in a worker: read the instant of a tick, and find outdated ticks."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqsw.core.contracts import WallClock
from sqsw.core.errors import DecodeError
from sqsw.core.job_metadata import JobMetadata, metadata_of
from sqsw.core.message import Message
from sqsw.schedule.schedule import AT, Schedule


class JobTicks:
    """The schedules of one job.

    Parameters
    ----------
    clock :
        Returns the time in seconds since 1970, which decides what is due.
    """

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._schedules: dict[str, Schedule] = {}

    def add(self, schedule: Schedule) -> None:
        """Add a schedule of this job."""
        self._schedules[schedule.name] = schedule

    def is_outdated(self, message: Message) -> bool:
        """Return whether a message is a tick with ``overlap="skip"``, and the next tick is due.

        Dead letters are never outdated, even after they were moved back to the queue.
        """
        known = metadata_of(message)
        schedule = self._schedules.get(known.schedule or "")
        if schedule is None or schedule.overlap != "skip" or known.dead is not None:
            return False
        at = _instant(known)
        if at is None or message.queue_name != schedule.queue_name:
            return False
        try:
            successor = schedule.rule.next_after(at)
        except OverflowError:  # a forged instant at the end of the calendar
            return False
        return successor.timestamp() <= self._clock()

    def with_instant(self, message: Message, job_kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with ``at`` as an aware datetime in the zone of the schedule.

        If an older release of the app sent the tick without ``at``, it comes from the metadata.

        Raises
        ------
        DecodeError
            ``at`` is a string, but not a datetime in ISO 8601.
        """
        known = metadata_of(message)
        schedule = self._schedules.get(known.schedule or "") or next(iter(self._schedules.values()))
        arguments = dict(job_kwargs)
        at = arguments.get(AT, _instant(known))
        if not schedule.takes_at or not isinstance(at, str | datetime):
            return arguments
        try:
            arguments[AT] = _in_zone(at, schedule.tz)
        except (ValueError, OverflowError) as error:
            raise DecodeError(
                "the argument 'at' is not a datetime",
                why=str(error),
                next="send it in ISO 8601, such as 2026-12-24T08:00:00+01:00",
            ) from error
        return arguments


def _in_zone(at: str | datetime, tz: tzinfo) -> datetime:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment.replace(tzinfo=tz) if moment.tzinfo is None else moment.astimezone(tz)


def _instant(known: JobMetadata) -> datetime | None:
    """Return the instant in the metadata of a tick; None if there is none, or it is forged."""
    try:
        at = datetime.fromisoformat(known.at or "")
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
