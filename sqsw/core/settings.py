"""Settings of workers and of queues."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_VISIBILITY_TIMEOUT_SECONDS, MAX_WAIT_SECONDS

#: seconds: the shortest lease that a heartbeat can keep alive over a slow network
MIN_LEASE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of a worker. Times are in seconds.

    Attributes
    ----------
    concurrency :
        Jobs that run at the same time, 1 to 100000.
    prefetch :
        Messages to receive beyond the free slots, 0 to 100000; None derives the number from the
        average run time of the jobs.
    wait_seconds :
        How long one receive waits for a message, 0 to 20.
    visibility_timeout :
        The visibility timeout of each receive, 10 to 43200; None for that of the queue.
    ack_linger_seconds :
        How long a finished message waits for others, to be deleted with them in one call, 0 to 5.
    drain_seconds :
        How long running jobs have to finish after the worker was asked to stop, 0 to 43200.
    heartbeat :
        Whether the worker extends the visibility timeout of messages in hand.
    time_limit :
        How long one job can run if its processor has no limit of its own, 0.001 to 43200; None: no
        limit.
    dead_letters :
        ``explain``: the worker sends the message of a job that is given up to the dead-letter
        queue, with the reason. ``native``: SQS moves it after its last receive, without a reason.
    retry_in_place :
        The longest backoff for which a failed job of a FIFO queue stays in the worker, 0 to 43200;
        None for the value of the queue.

    Raises
    ------
    SettingsError
        A number is out of its range.
    """

    concurrency: int = 8
    prefetch: int | None = None
    wait_seconds: float = MAX_WAIT_SECONDS
    visibility_timeout: int | None = None
    ack_linger_seconds: float = 0.05
    drain_seconds: float = 25.0
    heartbeat: bool = True
    time_limit: float | None = None
    dead_letters: Literal["explain", "native"] = "explain"
    retry_in_place: float | None = None

    def __post_init__(self) -> None:
        check_bounds("concurrency", self.concurrency, 1, 100_000)
        check_bounds("prefetch", self.prefetch, 0, 100_000)
        check_bounds("wait_seconds", self.wait_seconds, 0, MAX_WAIT_SECONDS)
        check_bounds(
            "visibility_timeout",
            self.visibility_timeout,
            MIN_LEASE_SECONDS,
            MAX_VISIBILITY_TIMEOUT_SECONDS,
        )
        check_bounds("ack_linger_seconds", self.ack_linger_seconds, 0, 5)
        check_bounds("time_limit", self.time_limit, 0.001, MAX_VISIBILITY_TIMEOUT_SECONDS)
        check_bounds("drain_seconds", self.drain_seconds, 0, MAX_VISIBILITY_TIMEOUT_SECONDS)
        check_bounds("retry_in_place", self.retry_in_place, 0, MAX_VISIBILITY_TIMEOUT_SECONDS)


@dataclass(frozen=True, slots=True)
class QueueShare:
    """The part of a worker that one queue can use.

    Attributes
    ----------
    queue_name :
        The name of the queue, without prefix.
    slots :
        Slots of its own, 1 to 100000; None shares the slots of the worker by weight.
    weight :
        How often the queue gets a free slot if several queues have messages ready, 1 to 1000.
    group_slots :
        The most slots for one message group of a standard queue, 1 to 100000; None: no limit.

    Raises
    ------
    SettingsError
        A number is out of its range.
    """

    queue_name: str
    slots: int | None = None
    weight: int = 1
    group_slots: int | None = None

    def __post_init__(self) -> None:
        check_bounds(f"slots of {self.queue_name!r}", self.slots, 1, 100_000)
        check_bounds(f"weight of {self.queue_name!r}", self.weight, 1, 1_000)
        check_bounds(f"group slots of {self.queue_name!r}", self.group_slots, 1, 100_000)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How a queue of an app is created.

    Attributes
    ----------
    dead_letter_queue :
        The name of its dead-letter queue, without prefix. False: none. None: the name of the queue
        with ``_dead`` (before ``.fifo``), if the queue is new and not itself a dead-letter queue by
        its name.
    max_receives :
        Receives before a message goes to the dead-letter queue, 1 to 1000; None for the default.
    attributes :
        Attributes of the queue by SQS's names, values as text.
    """

    dead_letter_queue: str | Literal[False] | None = None
    max_receives: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """A schedule of a registered job, as a configuration file declares it.

    Attributes
    ----------
    name :
        The name of the schedule.
    job :
        The queue and the name of the job, such as ``reports.build``.
    queue :
        The FIFO queue for the ticks; None for the queue of the job, if that is a FIFO queue.
    cron, every :
        A cron expression, or an interval in seconds, 1 to 31,622,400 (366 days). One of them.
    tz :
        The IANA name of the time zone.
    args :
        The arguments of the job. They must be JSON.
    overlap :
        What happens to a tick that starts when the next one is already due: ``wait`` runs it,
        ``skip`` drops it.
    place :
        Where it is declared, for error messages; None if unknown.
    """

    name: str
    job: str
    queue: str | None = None
    cron: str | None = None
    every: float | None = None
    tz: str = "UTC"
    args: Mapping[str, Any] = field(default_factory=dict)
    overlap: Literal["wait", "skip"] = "wait"
    place: str | None = None


def check_bounds(
    name: str, value: float | None, lowest: float, highest: float | None = None
) -> None:
    """Raise if a number is out of its range or is NaN. None is always valid.

    Raises
    ------
    SettingsError
        The error names the setting, the value and the bounds.
    """
    if value is not None and not lowest <= value <= (math.inf if highest is None else highest):
        wanted = f"at least {lowest}" if highest is None else f"between {lowest} and {highest}"
        raise SettingsError(
            f"{name} is {value}, it must be {wanted}",
            setting=name,
            value=value,
            bounds=(lowest, highest),
        )
