"""The reports of a worker and of a supervisor after they end."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker did.

    Attributes
    ----------
    done, failed, retried, unknown :
        Jobs that returned, that raised, that asked for a retry, and that had no processor.
    released :
        Messages that were returned before their jobs started.
    lease_lost :
        Messages whose lease ended before they were deleted or returned. The results of their jobs
        do not count.
    unfinished :
        Messages that were returned while their jobs still ran, at the end.
    stopped_by :
        ``SIGTERM``, ``SIGINT``, ``until_idle``, ``max_jobs``, ``shutdown_policy`` (a policy of the
        application), or the argument of ``stop``.
    forced :
        Whether a second signal ended the drain. ``stopped_by`` is then that signal.
    requests :
        SQS calls.
    dead_lettered :
        Jobs that were given up and whose messages the worker sent to the dead-letter queue. They
        also count as failed, retried or unknown.
    """

    done: int
    failed: int
    retried: int
    unknown: int
    released: int
    lease_lost: int
    unfinished: int
    stopped_by: str
    forced: bool
    requests: int
    dead_lettered: int = 0


def report_of(counts: Mapping[str, int], stopped_by: str, *, forced: bool = False) -> WorkerReport:
    """Return a report with these counts, by the names of its fields. Missing counts are 0."""
    counted = {
        field.name: counts.get(field.name, 0) for field in fields(WorkerReport) if field.type is int
    }
    return WorkerReport(**counted, stopped_by=stopped_by, forced=forced)


def reason_of(policy: object) -> str:
    """Return the ``stopped_by`` of a worker that this shutdown policy stopped.

    An application's policy can set an attribute ``stopped_by``.
    """
    return str(getattr(policy, "stopped_by", "shutdown_policy"))


class Ending(NamedTuple):
    """How a worker process must end.

    Attributes
    ----------
    exit_code :
        0: it is done, so its supervisor does not replace it.
    at_once :
        Whether it must not wait for anything, because returned jobs still run in it.
    """

    exit_code: int = 0
    at_once: bool = False


def ending_of(report: WorkerReport) -> Ending:
    exit_code = 1 if report.stopped_by == "stuck_job" else 0
    if report.stopped_by in signal.Signals.__members__:
        # Not 0: if the signal did not come from the supervisor, it must replace this process.
        exit_code = 128 + signal.Signals[report.stopped_by]
    return Ending(exit_code, at_once=bool(report.unfinished))


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """How a supervisor and its processes ended.

    Attributes
    ----------
    stopped_by :
        ``done`` if all processes ended by themselves; otherwise the last signal, or the argument of
        ``stop``.
    forced :
        Whether a second signal ended the drain.
    restarts :
        Processes that ended unexpectedly and were replaced.
    """

    stopped_by: str
    forced: bool
    restarts: int
