"""The options of ``sqsw work``, and how they map to the library."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from sqsw.core.errors import SettingsError
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.core.wording import counted
from sqsw_cli.completing.values import complete_queue
from sqsw_cli.options.types import (
    DURATION,
    PREFETCH,
    QUEUE,
    QUEUE_SPEC,
    RECYCLE,
    Duration,
    QueueAsked,
    address_of,
)
from sqsw_cli.output.format import elapsed

if TYPE_CHECKING:
    from sqsw.core.contracts import ShutdownPolicy
    from sqsw.core.reports import WorkerReport
    from sqsw.sqs_env import SQSEnv

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_OPTIONS = [
    click.option(
        "-Q",
        "--queue",
        metavar="SPEC",
        shell_complete=complete_queue,
        type=QUEUE_SPEC,
        multiple=True,
        help="Queue to work: NAME[=SLOTS][,weight=W][,group=G]. Repeatable (every queue with "
        "registered jobs).",
    ),
    click.option(
        "-c",
        "--concurrency",
        metavar="N",
        type=click.IntRange(min=1),
        default=8,
        help="Number of jobs that run at the same time in each process (8).",
    ),
    click.option(
        "--processes",
        metavar="N",
        type=click.IntRange(min=1),
        default=1,
        help="Number of worker processes (1).",
    ),
    click.option(
        "--prefetch",
        metavar="N|auto",
        type=PREFETCH,
        default="auto",
        help="Messages to receive ahead of the free slots (auto, by the run time of the jobs).",
    ),
    click.option(
        "--visibility-timeout",
        metavar="D",
        type=Duration(10, 43_200),
        help="Visibility timeout of received messages, 10s to 12h (that of the queue).",
    ),
    click.option(
        "--no-heartbeat", is_flag=True, help="Do not renew visibility timeouts while jobs run."
    ),
    click.option(
        "--time-limit",
        metavar="D",
        type=Duration(1, 43_200),
        help="Fail a job with JobTimeout if it runs longer than this.",
    ),
    click.option(
        "--dead-letters",
        type=click.Choice(["explain", "native"]),
        default="explain",
        help="Who moves a job to the dead-letter queue: the worker, which records the reason "
        "(explain), or SQS (native).",
    ),
    click.option(
        "--retry-in-place",
        metavar="D",
        type=Duration(0, 43_200),
        help="FIFO: keep a failed job in the worker during a backoff up to this long (5m).",
    ),
    click.option(
        "--until-idle",
        metavar="D",
        type=DURATION,
        help="Stop after the queues were empty and no job ran for this long.",
    ),
    click.option(
        "--max-jobs",
        metavar="N",
        type=click.IntRange(min=1),
        help="Stop after N jobs, counted over all processes.",
    ),
    click.option(
        "--recycle",
        metavar="SPEC",
        type=RECYCLE,
        help="Replace a process when it reaches a limit: jobs=N,memory=SIZE,age=D.",
    ),
    click.option(
        "--lock",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Hold an exclusive lock on a file; exit 6 if another process holds it.",
    ),
    click.option(
        "--drain-timeout",
        metavar="D",
        type=Duration(0, 43_200),
        default=25,
        help="Time that running jobs get to finish after a signal (25s).",
    ),
    click.option(
        "--processors-from",
        metavar="QUEUE",
        type=QUEUE,
        shell_complete=complete_queue,
        help="Run the jobs of this queue on the --queue, such as its dead-letter queue.",
    ),
    click.option(
        "--no-schedule", is_flag=True, help="Do not send the ticks of the app's schedules."
    ),
    click.option(
        "--schedule-only",
        is_flag=True,
        help="Send the ticks of the app's schedules, and run no jobs.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Exit 5 if a job failed or has no function, 7 if a plugin cannot be loaded.",
    ),
    click.option(
        "--http",
        metavar="[HOST:]PORT",
        callback=lambda ctx, param, value: None if value is None else address_of(value),
        help="Serve /live, /ready, /health and /metrics (host 127.0.0.1).",
    ),
    click.option(
        "--allow-host",
        metavar="NAME[:PORT]",
        multiple=True,
        help="Also accept --http requests for this host name. Repeatable.",
    ),
    click.option(
        "--health-file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Touch a file every 5s while healthy; remove it at exit.",
    ),
    click.option(
        "--reload",
        is_flag=True,
        help="Restart when a .py file of the app changes (for development).",
    ),
]


def work_options(command: Decorated) -> Decorated:
    """Add all options of ``sqsw work`` except those of the app."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


#: Options that a worker without queues cannot use, and their values when not set.
_ABOUT_JOBS = {
    "queue": (),
    "processors_from": None,
    "until_idle": None,
    "max_jobs": None,
    "processes": 1,
}

#: from the strongest source of a value to the weakest
_SOURCES = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)


def without_conflicts(ctx: click.Context) -> dict[str, Any]:
    """Return the options. If two exclude each other, unset the one from the weaker source.

    Raises
    ------
    SettingsError
        Both have the same source.
    """
    values = dict(ctx.params)
    if values["no_schedule"] and values["schedule_only"]:
        weaker = _weaker_of(ctx, "schedule_only", "no_schedule", "it would do nothing")
        values[weaker] = False
    if values["schedule_only"]:
        why = "a worker that only sends ticks has no queues and one process"
        given = [name for name, unset in _ABOUT_JOBS.items() if values[name] != unset]
        if all(_weaker_of(ctx, "schedule_only", name, why) == name for name in given):
            values |= {name: _ABOUT_JOBS[name] for name in given}
        else:
            values["schedule_only"] = False
    return values


def _weaker_of(ctx: click.Context, first: str, second: str, why: str) -> str:
    def rank(name: str) -> int:
        source = ctx.get_parameter_source(name)
        return _SOURCES.index(source) if source in _SOURCES else len(_SOURCES)

    if rank(first) == rank(second):
        options = [f"--{name.replace('_', '-')}" for name in (first, second)]
        raise SettingsError(
            f"{options[0]} and {options[1]} cannot be used together",
            why=why,
            next="leave out one of them",
        )
    return first if rank(first) > rank(second) else second


def settings_of(numbers: dict[str, Any]) -> WorkerSettings:
    prefetch = numbers["prefetch"]
    return WorkerSettings(
        concurrency=numbers["concurrency"],
        prefetch=None if prefetch == "auto" else prefetch,
        visibility_timeout=numbers["visibility_timeout"],
        drain_seconds=numbers["drain_timeout"],
        heartbeat=not numbers["no_heartbeat"],
        time_limit=numbers["time_limit"],
        dead_letters=numbers["dead_letters"],
        retry_in_place=numbers["retry_in_place"],
    )


def shares_of(asked: Sequence[QueueAsked], table: dict[str, dict[str, int]]) -> list[QueueShare]:
    """Return the shares of the queues; the file's numbers fill those that were left out."""
    names = [queue.name for queue in asked]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(
            f"the queue {twice[0]!r} is named twice", next="write it once: NAME=N,weight=W,group=G"
        )
    return [queue.share(table.get(queue.name, {})) for queue in asked]


@dataclass(frozen=True)
class QueueChoice:
    """Chooses the queues to work, by default those with registered jobs; it is pickled."""

    asked: Sequence[QueueAsked]
    table: dict[str, dict[str, int]]
    processors_from: str | None

    def __call__(self, env: "SQSEnv") -> list[QueueShare]:
        from sqsw.app.running import queues_to_work

        asked = [QueueShare(wanted.name) for wanted in self.asked]
        names = queues_to_work(env, asked, processors_from=self.processors_from)
        return shares_of(
            self.asked or [QueueAsked(share.queue_name) for share in names], self.table
        )


def policy_maker(
    until_idle: int | None, max_jobs: int | None
) -> "Callable[[], ShutdownPolicy] | None":
    """Return a function that makes the shutdown policy; None if only a signal stops the worker."""
    from sqsw.shutdown_policies import IdleShutdown, MaxTasksShutdown, OrShutdown

    if until_idle is not None and max_jobs is not None:
        return lambda: OrShutdown(IdleShutdown(until_idle), MaxTasksShutdown(max_jobs))
    if until_idle is not None:
        return lambda: IdleShutdown(until_idle)
    if max_jobs is not None:
        return lambda: MaxTasksShutdown(max_jobs)
    return None


def summary_of(report: "WorkerReport", seconds: float) -> str:
    ended = report.done + report.failed + report.retried + report.unknown
    each = f", {report.requests / ended:.2f} per job" if ended else ""
    counts = [f"{report.done} done, {report.failed} failed"]
    if report.dead_lettered:
        counts.append(f"{report.dead_lettered} dead-lettered")
    if report.retried:
        counts.append(f"{report.retried} asked for a retry")
    if report.unknown:
        counts.append(f"{report.unknown} without a processor")
    if report.unfinished:
        counts.append(f"{report.unfinished} returned while running")
    return f"{', '.join(counts)} in {elapsed(seconds)}; {counted(report.requests, 'request')}{each}"
