"""What a worker did, from its start to its end, and how its processes ended."""

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
        Jobs by how they ended: returned, raised, asked for a retry, had no processor.
    released :
        Messages that were put back without having been started.
    lease_lost :
        Messages whose lease was over before they were acknowledged; a job's result is dropped then.
    unfinished :
        Messages whose jobs were still running at the end, and were put back.
    stopped_by :
        ``SIGTERM``, ``SIGINT``, ``until_idle``, ``max_jobs``, ``shutdown_policy`` (one of
        your own), or what was given to ``stop``.
    forced :
        True where a second signal ended the drain; ``stopped_by`` is that signal then.
    requests :
        Calls to SQS.
    dead_lettered :
        Jobs that were given up, whose messages the worker sent to the dead-letter queue. They count
        by how they ended as well.
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
    """What was counted, by the names of the fields; what was not counted is 0."""
    counted = {
        field.name: counts.get(field.name, 0) for field in fields(WorkerReport) if field.type is int
    }
    return WorkerReport(**counted, stopped_by=stopped_by, forced=forced)


def reason_of(policy: object) -> str:
    """What a worker that was ended by this shutdown policy says of why.

    A policy of somebody else may have a ``stopped_by`` of its own.
    """
    return str(getattr(policy, "stopped_by", "shutdown_policy"))


class Ending(NamedTuple):
    """How a worker process is to end, for its supervisor.

    Attributes
    ----------
    exit_code :
        0: it is done, and is not replaced.
    at_once :
        Without waiting for anything: jobs that were put back still run in it.
    """

    exit_code: int = 0
    at_once: bool = False


def ending_of(report: WorkerReport) -> Ending:
    exit_code = 1 if report.stopped_by == "stuck_job" else 0
    if report.stopped_by in signal.Signals.__members__:
        # Not done: where the supervisor did not send that signal, somebody has to take over.
        exit_code = 128 + signal.Signals[report.stopped_by]
    return Ending(exit_code, at_once=bool(report.unfinished))


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """How worker processes ended.

    Attributes
    ----------
    stopped_by :
        ``done`` where all of them returned by themselves; else the last signal, or what was given
        to ``stop``.
    forced :
        True where a second signal ended the drain.
    restarts :
        Processes that ended unexpectedly and were replaced.
    """

    stopped_by: str
    forced: bool
    restarts: int
