"""Decide whether SQS delays a job, or whether it is parked."""

from datetime import UTC, datetime, timedelta
from math import ceil, inf
from typing import Final

from sqsw.core.errors import MessageRefused
from sqsw.core.limits import MAX_DELAY_SECONDS
from sqsw.core.wording import format_duration
from sqsw.parking.places import MAX_DELAY
from sqsw.transport.batches import Entry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_HOW_TO_PARK: Final = (
    "to delay it by up to 366 days, park it: SQSEnv(parking='parked') and "
    "create_parking_queue(env, 'parked')"
)


def delay_entry(
    entry: Entry,
    delay: float | timedelta | None,
    run_at: datetime | None,
    *,
    queue_name: str,
    is_fifo: bool,
    can_park: bool,
    now: float,
) -> datetime | None:
    """Set the delay of an entry if SQS can delay it; otherwise return when the job is due.

    SQS delays a message of a standard queue by up to 15 minutes. It cannot delay a single message
    of a FIFO queue.

    Parameters
    ----------
    delay :
        Seconds, or a timedelta.
    run_at :
        An aware time instead of a delay. A time in the past means now.
    can_park :
        Whether the environment has a parking place. If it does, a delay can be up to 366 days.
    now :
        Seconds since 1970.

    Returns
    -------
    datetime | None
        When the parked job is due, in UTC; None if it is not parked.

    Raises
    ------
    TypeError
        Both were given, or ``run_at`` is not a datetime.
    MessageRefused
        The delay is out of range, or ``run_at`` has no time zone.
    """
    seconds: float
    if run_at is not None:
        if delay is not None:
            raise TypeError("a job has a delay or a time to run at, not both")
        seconds = max(0.0, _timestamp(run_at) - now)
        whole = ceil(seconds)
    elif isinstance(delay, timedelta):
        seconds = delay.total_seconds()
        whole = ceil(seconds)
    else:
        seconds = delay or 0
        whole = int(seconds) if 0 <= seconds < inf else -1  # as sqs-workers does
    if not 0 <= seconds <= MAX_DELAY.total_seconds():
        raise _out_of_range(seconds, can_park=can_park)
    if seconds <= MAX_DELAY_SECONDS and not (is_fifo and whole):
        if not is_fifo:
            entry["DelaySeconds"] = min(whole, MAX_DELAY_SECONDS)
        return None
    if not can_park:
        raise _needs_parking(queue_name, whole, is_fifo=is_fifo)
    if run_at is not None:
        return run_at.astimezone(UTC)
    return datetime.fromtimestamp(now, UTC) + timedelta(seconds=seconds)


def _timestamp(run_at: datetime) -> float:
    if not isinstance(run_at, datetime):
        raise TypeError(f"the time to run at must be a datetime, not a {type(run_at).__name__}")
    if run_at.utcoffset() is None:
        raise MessageRefused(
            f"the time to run at, {run_at.isoformat()}, has no time zone",
            why="the local time of another machine can differ",
            next="give it one, as in datetime(2030, 1, 1, tzinfo=ZoneInfo('Europe/Berlin'))",
        )
    return (run_at - _EPOCH).total_seconds()


def _out_of_range(seconds: float, *, can_park: bool) -> MessageRefused:
    most = f"{MAX_DELAY.days} days" if can_park else f"{MAX_DELAY_SECONDS} seconds"
    is_span = 0 < seconds < inf
    shown = format_duration(ceil(seconds)) if is_span else f"{seconds:g} seconds"
    return MessageRefused(
        f"a delay of {shown} is too long" if seconds > 0 else f"a delay of {shown} is in the past",
        why=f"a job can be delayed by 0 seconds to {most}",
    )


def _needs_parking(queue_name: str, whole: int, *, is_fifo: bool) -> MessageRefused:
    if is_fifo:
        return MessageRefused(
            f"{queue_name!r} does not support a delay per message",
            why="a FIFO queue has one delay for all its messages",
            reason="delay_on_fifo",
            queue=queue_name,
            delay=whole,
            next=f"remove the delay, or set DelaySeconds on the queue; {_HOW_TO_PARK}",
        )
    return MessageRefused(
        f"a delay of {format_duration(whole)} is too long",
        why=f"SQS delays a message by 0 to {MAX_DELAY_SECONDS} seconds",
        reason="needs_parking",
        queue=queue_name,
        delay=whole,
        next=_HOW_TO_PARK,
    )
