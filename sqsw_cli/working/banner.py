"""What a worker prints before its first request: a banner for people, or one log line."""

import logging
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqsw.core.events import QueueWarning, RetriesPlanned, WorkerStarted
from sqsw.core.safe_logger import log_event
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw.core.wording import counted, format_duration, without_password
from sqsw.observe.logs import LogListener
from sqsw_cli.errors.hints import queue_hint
from sqsw_cli.invocation import Invocation
from sqsw_cli.output.printer import Printer
from sqsw_cli.version import version_of
from sqsw_cli.working.logs import logs_as_json

if TYPE_CHECKING:
    from sqsw.schedule.schedule import Schedule
    from sqsw.sqs_env import SQSEnv

logger = logging.getLogger("sqsw.worker")

#: similarity of two names, from 0 to 1, that suggests a typo; emails_dead and emails have 0.7
_VERY_NEAR = 0.8

#: maximum lines about schedules
_SCHEDULES = 10


class CommandLog(LogListener, quick=True):
    def queue_warning(self, event: QueueWarning) -> None:
        super().queue_warning(replace(event, hint=queue_hint(event) or ""))


class WorkerLog(CommandLog, quick=True):
    """Log lines of a worker; the first one contains what the banner shows."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__()
        self._facts = facts

    def worker_started(self, event: WorkerStarted) -> None:
        log_event(logger, logging.INFO, "worker_started", **self._facts)


class BannerLog(LogListener, quick=True):
    """Log lines below a banner, without a line for the start."""

    def __init__(self, printer: Printer, shares: Sequence[QueueShare] = ()) -> None:
        super().__init__()
        self._printer = printer
        self._width = _width_of(shares)

    def worker_started(self, event: WorkerStarted) -> None:
        pass

    def queue_warning(self, event: QueueWarning) -> None:
        self._printer.warn(event.text, next=queue_hint(event))

    def retries_planned(self, event: RetriesPlanned) -> None:
        until = event.horizon.until(event.dead_letter_queue)
        self._printer.note(f"  retries  {event.queue_name:<{self._width}}   {until}")


def announce(
    invocation: Invocation,
    env: "SQSEnv",
    apps: Sequence[str],
    shares: Sequence[QueueShare],
    settings: WorkerSettings,
    processes: int = 1,
    *,
    processors_from: str | None = None,
    schedules: "Sequence[Schedule]" = (),
) -> LogListener:
    """Describe the worker before its first request; return the listener that logs its events."""
    logs: LogListener
    if not logs_as_json(invocation, daemon=True):
        # Print each line at once, because finding the region can take time.
        for line in _lines(env, apps, shares, settings, processes, processors_from, schedules):
            invocation.printer.note(without_password(line))  # --queue may be a URL
        logs = BannerLog(invocation.printer, shares)
    else:
        log_event(logger, logging.INFO, "worker_starting", apps=list(apps), worker=worker_name())
        logs = WorkerLog(_facts(env, apps, shares, settings, schedules))
    for warning in _unused_sections(invocation, env, shares):
        logs.queue_warning(warning)
    return logs


def _unused_sections(
    invocation: Invocation, env: "SQSEnv", shares: Sequence[QueueShare]
) -> Iterator[QueueWarning]:
    """Yield warnings for sections of the file whose queue name is probably a typo.

    Another app can share the file, and plugins can be disabled. So a section counts as a typo only
    if its name is very similar to that of a queue without a section.
    """
    config = invocation.config
    if config is None or not config.queues:
        return
    from difflib import get_close_matches  # most workers do not need it

    registered = {registration.queue_name for registration in env.registrations()}
    known = registered | {share.queue_name for share in shares}
    without_section = known - set(config.queues)
    for name in sorted(set(config.queues) - known):
        for meant in get_close_matches(name, without_section, n=1, cutoff=_VERY_NEAR):
            yield QueueWarning(
                name,
                f"{config.place('queues', name)} has no effect, because this queue has no jobs",
                f"did you mean {meant!r}?",
            )


def _facts(
    env: "SQSEnv",
    apps: Sequence[str],
    shares: Sequence[QueueShare],
    settings: WorkerSettings,
    schedules: "Sequence[Schedule]",
) -> dict[str, Any]:
    return {
        "version": version_of("sqsw"),
        "worker": worker_name(),
        "apps": list(apps),
        "plugins": _plugins(env),
        "sqs": env.location(),
        "queues": [share.queue_name for share in shares],
        "schedules": [schedule.name for schedule in schedules],
        "concurrency": settings.concurrency,
        "prefetch": "auto" if settings.prefetch is None else settings.prefetch,
        "visibility_timeout_s": settings.visibility_timeout,
        "heartbeat": settings.heartbeat,
        "drain_s": settings.drain_seconds,
    }


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _lines(
    env: "SQSEnv",
    apps: Sequence[str],
    shares: Sequence[QueueShare],
    settings: WorkerSettings,
    processes: int,
    processors_from: str | None,
    schedules: "Sequence[Schedule]",
) -> Iterator[str]:
    yield f"sqsw {version_of('sqsw')}   worker {worker_name()}"
    sources = [*apps, *(f"plugin {plugin}" for plugin in _plugins(env))]
    yield f"  app      {'   + '.join(sources)}"
    yield f"  sqs      {env.location()}"
    jobs = Counter(registration.queue_name for registration in env.registrations())
    width = _width_of(shares)
    for index, share in enumerate(shares):
        title = "" if index else "queues"
        registered = processors_from or env.queue_client(share.queue_name).name
        count = counted(jobs[registered], "job")
        yield f"  {title:<8} {share.queue_name:<{width}}   {count:<7}{_limits(share)}".rstrip()
    yield from _schedule_lines(schedules)
    if not shares:
        yield "  jobs     none: this worker only sends ticks"
        return
    yield _jobs_line(settings, processes)
    most = format_duration(settings.drain_seconds)
    yield f"  stop     Ctrl-C waits for running jobs (up to {most}), a second one stops at once"


def _schedule_lines(schedules: "Sequence[Schedule]") -> Iterator[str]:
    shown = schedules if len(schedules) <= _SCHEDULES else schedules[: _SCHEDULES - 1]
    width = max((len(one.name) for one in shown), default=0)
    for index, one in enumerate(shown):
        title = "" if index else "schedule"
        where = f"{one.rule.text} {one.zone}  to {one.queue_name}"
        yield f"  {title:<8} {one.name:<{width}}   {where}"
    if len(shown) < len(schedules):
        yield f"  {'':<8} and {len(schedules) - len(shown)} more: sqsw schedule list"


def _jobs_line(settings: WorkerSettings, processes: int) -> str:
    slots = f"{settings.concurrency} at a time"
    if processes > 1:
        slots += f" in each of {processes} processes"
    if settings.prefetch is not None:
        slots += f", {counted(settings.prefetch, 'message')} ahead"
    timeout = "of the queue"
    if settings.visibility_timeout is not None:
        timeout = format_duration(settings.visibility_timeout)
    renewed = "renewed while they run" if settings.heartbeat else "not renewed"
    return f"  jobs     {slots}; visibility timeout {timeout}, {renewed}"


def _limits(share: QueueShare) -> str:
    """Return the limits of a queue; most have none."""
    limits = []
    if share.slots:
        limits.append(f"{share.slots} at a time")
    elif share.weight > 1:
        limits.append(f"weight {share.weight}")
    if share.group_slots is not None:
        limits.append(f"{share.group_slots} per message group")
    return "".join(f"  {limit}" for limit in limits)


def _width_of(shares: Sequence[QueueShare]) -> int:
    return max((len(share.queue_name) for share in shares), default=0)


def _plugins(env: "SQSEnv") -> list[str]:
    sources = {registration.source for registration in env.registrations()}
    return sorted(source.removeprefix("plugin ") for source in sources if source != "app")
