"""Log events: a table of all log lines, and a method per line for its values.

A record has the event name in the attribute ``event``, and its values in attributes with the same
keys everywhere: ``queue``, ``job``, ``id``, ``job_id``, ``group``, ``attempt``, ``seconds_s`` and a
few more. The message contains all of them as text. Bodies and arguments are never logged.

If an application configures no logging, the standard library still shows warnings and errors on
stderr.
"""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqsw.core.contracts import Clock
from sqsw.core.errors import signal_name
from sqsw.core.events import (
    AckFailed,
    BeatLate,
    ChildExited,
    ChildReplaced,
    DrainStarted,
    Event,
    EventBus,
    ExtensionFailed,
    JobDead,
    JobDone,
    JobEnded,
    JobEvent,
    JobFailed,
    JobKilledProcess,
    JobParked,
    JobRetry,
    JobStarted,
    JobStuck,
    JobUnknown,
    JobUnrun,
    LeaseLost,
    MessageEvent,
    ParkedFailed,
    ParkedSent,
    QueueWarning,
    QuietStarted,
    ReceiveDone,
    ReceiveError,
    Reloading,
    RetriesPlanned,
    TickMissed,
    TickSent,
    TickSkipped,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from sqsw.core.job_metadata import job_id_of
from sqsw.core.json_depth import read_json
from sqsw.core.message import Message
from sqsw.core.safe_logger import log_event
from sqsw.core.times import format_instant, format_time
from sqsw.core.wording import shortened, text_of, without_secrets

#: minimum seconds between two lines about the same subject
_REPEAT_SECONDS = 60.0

#: maximum number of subjects to distinguish; all others share one line
_MAX_THINGS = 1_000

#: maximum characters of a job name, which senders choose, and of a reason that can quote one
_NAME_LENGTH, _REASON_LENGTH = 100, 300

#: All logged events, with the name of the line, which is also its method's name, and the level. The
#: line of ``receive_done`` is called ``receive_recovered``.
_LINES: Mapping[type[Event], tuple[str, int]] = {
    WorkerStarted: ("worker_started", logging.INFO),
    JobStarted: ("job_started", logging.DEBUG),
    JobDone: ("job_done", logging.INFO),
    JobFailed: ("job_failed", logging.ERROR),
    JobRetry: ("job_retry", logging.INFO),
    JobUnknown: ("job_unknown", logging.WARNING),
    JobUnrun: ("job_unrun", logging.ERROR),
    JobDead: ("job_dead", logging.WARNING),  # its failure was already logged as an error
    JobParked: ("job_parked", logging.INFO),
    JobKilledProcess: ("job_killed_process", logging.ERROR),
    BeatLate: ("beat_late", logging.WARNING),
    ExtensionFailed: ("extension_failed", logging.WARNING),
    LeaseLost: ("lease_lost", logging.WARNING),
    AckFailed: ("ack_failed", logging.ERROR),
    ReceiveError: ("receive_error", logging.WARNING),
    ReceiveDone: ("receive_done", logging.INFO),
    QueueWarning: ("queue_warning", logging.WARNING),
    RetriesPlanned: ("retries_planned", logging.INFO),
    ParkedSent: ("parked_sent", logging.DEBUG),
    ParkedFailed: ("parked_failed", logging.WARNING),
    TickSent: ("tick_sent", logging.DEBUG),
    TickMissed: ("tick_missed", logging.WARNING),
    TickSkipped: ("tick_skipped", logging.INFO),
    ChildExited: ("child_exited", logging.ERROR),
    ChildReplaced: ("child_replaced", logging.INFO),
    Reloading: ("reloading", logging.INFO),
    WorkerFailed: ("worker_failed", logging.ERROR),
    JobStuck: ("job_stuck", logging.ERROR),
    # A warning, because a worker that is quiet by mistake waits forever.
    QuietStarted: ("quiet_started", logging.WARNING),
    DrainStarted: ("drain_started", logging.INFO),
    WorkerStopped: ("worker_stopped", logging.INFO),
}

#: frequent events that are only logged, so those below the level need not be created
_ONLY_LOGGED = (JobStarted, JobDone, ParkedSent)


def ensure_logged(events: EventBus) -> None:
    """Log the events of this bus, unless it already has a ``LogListener``."""
    if not events.has_listener(LogListener):
        LogListener().subscribe_to(events)


class LogListener:
    """A listener that logs events with the standard library.

    A subclass can override the method of an event. In a worker, each listener has its own thread,
    so the methods can block.

    Parameters
    ----------
    logger :
        The logger; None for the logger ``sqsw.worker``.
    clock :
        A monotonic clock, in seconds.
    """

    _is_quick = True

    def __init_subclass__(cls, *, quick: bool = False) -> None:
        cls._is_quick = quick

    def __init__(
        self, logger: logging.Logger | None = None, *, clock: Clock = time.monotonic
    ) -> None:
        self._logger = logger or logging.getLogger("sqsw.worker")
        self._clock = clock
        self._told: dict[tuple[str, ...], float] = {}
        self._failing: dict[str, str] = {}
        self._methods: Mapping[type[Event], Callable[[Any], None]] = {
            kind: getattr(self, name) for kind, (name, _) in _LINES.items()
        }

    def subscribe_to(self, events: EventBus) -> None:
        """Subscribe to the events that have a log line."""
        events.subscribe(self, *self._methods, quick=self._is_quick, wants=self._wants)

    def _wants(self, kind: type[Event]) -> Callable[[], bool] | None:
        if kind not in _ONLY_LOGGED:
            return None
        name, level = _LINES[kind]
        is_overridden = getattr(type(self), name) is not getattr(LogListener, name)
        return None if is_overridden else partial(self._logger.isEnabledFor, level)

    def __call__(self, event: Event) -> None:
        """Log an event if it has a line."""
        method = self._methods.get(type(event))
        if method is not None:
            method(event)

    def worker_started(self, event: WorkerStarted) -> None:
        self._log(event, queues=event.queues, concurrency=event.concurrency)

    def job_started(self, event: JobStarted) -> None:
        self._job(event)

    def job_done(self, event: JobDone) -> None:
        self._job(event)

    def job_failed(self, event: JobFailed) -> None:
        self._job(event, event.error, **_what_next(event))

    def job_retry(self, event: JobRetry) -> None:
        values = _what_next(event)
        if event.backoff_policy is not None:
            values["backoff_policy"] = event.backoff_policy
        self._job(event, **values)

    def job_unknown(self, event: JobUnknown) -> None:
        """Log this at most once a minute per job name, because a queue can be full of them."""
        if self._is_time("job", event.message.queue_name, (event.job_name or "")[:_NAME_LENGTH]):
            reason = text_of(event.error)[:_REASON_LENGTH]
            self._job(event, hidden_s=event.hidden_seconds, reason=reason)

    def job_unrun(self, event: JobUnrun) -> None:
        reason = "returned on its last receive before it could run"
        self._job(event, reason=reason, dead_letter_queue=event.dead_letter_queue)

    def job_dead(self, event: JobDead) -> None:
        self._job(
            event,
            verdict=event.record.verdict,
            dead_letter_queue=event.dead_letter_queue,
            deaths=event.record.deaths,
        )

    def job_parked(self, event: JobParked) -> None:
        self._job(event, due=format_time(event.due))

    def job_killed_process(self, event: JobKilledProcess) -> None:
        self._job(
            event,
            exit_code=event.exit_code,
            signal=signal_name(event.exit_code),
            memory_bytes=event.memory_bytes,
            suspects=event.suspects,
        )

    def beat_late(self, event: BeatLate) -> None:
        """Log this at most once a minute, because many jobs can cause it."""
        if self._is_time("beat"):
            late, bound = round(event.late_seconds, 3), round(event.bound_seconds, 3)
            self._log(event, late_s=late, bound_s=bound)

    def extension_failed(self, event: ExtensionFailed) -> None:
        """Log this at most once a minute per queue."""
        if self._is_time("extension", event.queue_name):
            self._log(event, queue=event.queue_name, reason=event.reason)

    def lease_lost(self, event: LeaseLost) -> None:
        self._message(event, reason=event.reason)

    def ack_failed(self, event: AckFailed) -> None:
        self._message(event, action=event.action, reason=event.reason)

    def receive_error(self, event: ReceiveError) -> None:
        """Log this once per queue and kind of error, until a receive succeeds again."""
        kind = f"{type(event.error).__name__} {getattr(event.error, 'code', None)}"
        if self._failing.get(event.queue_name) != kind:
            self._failing[event.queue_name] = kind
            self._log(
                event,
                queue=event.queue_name,
                reason=_reason_of(event.error),
                retry_s=round(event.retry_seconds, 3),
            )

    def receive_done(self, event: ReceiveDone) -> None:
        """Log ``receive_recovered`` for the first successful receive after an error."""
        if self._failing and self._failing.pop(event.queue_name, None) is not None:
            _, level = _LINES[ReceiveDone]
            log_event(self._logger, level, "receive_recovered", queue=event.queue_name)

    def queue_warning(self, event: QueueWarning) -> None:
        self._log(event, queue=event.queue_name, reason=event.text, hint=event.hint)

    def retries_planned(self, event: RetriesPlanned) -> None:
        self._log(
            event,
            queue=event.queue_name,
            job=event.horizon.job_name,
            retries_for_s=event.horizon.seconds,
            max_attempts=event.horizon.max_attempts,
            max_receives=event.horizon.max_receives,
            dead_letter_queue=event.dead_letter_queue,
        )

    def parked_sent(self, event: ParkedSent) -> None:
        self._log(
            event,
            queue=event.queue_name,
            job_id=event.job_id,
            due=format_time(event.due),
            late_s=round(event.late_seconds, 3),
        )

    def parked_failed(self, event: ParkedFailed) -> None:
        """Log this at most once a minute per queue, because senders choose its name."""
        if self._is_time("parked", event.queue_name[:_NAME_LENGTH]):
            self._log(
                event,
                queue=event.queue_name[:_NAME_LENGTH],
                reason=without_secrets(event.reason)[:_REASON_LENGTH],
                retry_s=round(event.retry_seconds, 3),
            )

    def tick_sent(self, event: TickSent) -> None:
        self._log(
            event, schedule=event.schedule, queue=event.queue_name, at=format_instant(event.at)
        )

    def tick_missed(self, event: TickMissed) -> None:
        """Use the level info for the start of a worker: another one may have sent the tick."""
        name, level = _LINES[TickMissed]
        error: dict[str, Any] = {}
        if event.error is not None:
            error["error"] = _reason_of(event.error)
        log_event(
            *(self._logger, logging.INFO if event.reason == "started" else level, name),
            schedule=event.schedule,
            queue=event.queue_name,
            reason=event.reason,
            count=event.count,
            first_at=format_instant(event.first_at),
            last_at=format_instant(event.last_at),
            **error,
        )

    def tick_skipped(self, event: TickSkipped) -> None:
        self._message(event, schedule=event.schedule, at=event.at)

    def child_exited(self, event: ChildExited) -> None:
        self._log(event, pid=event.pid, exit_code=event.exit_code, reason=event.reason)

    def child_replaced(self, event: ChildReplaced) -> None:
        self._log(event, pid=event.pid, reason=event.reason)

    def reloading(self, event: Reloading) -> None:
        self._log(event, reason=f"{', '.join(event.files)} changed")

    def worker_failed(self, event: WorkerFailed) -> None:
        self._log(event, pid=event.pid, reason=_reason_of(event.error))

    def job_stuck(self, event: JobStuck) -> None:
        self._job(event)

    def quiet_started(self, event: QuietStarted) -> None:
        self._log(event, reason=event.reason, running=event.running, hint=event.hint)

    def drain_started(self, event: DrainStarted) -> None:
        self._log(
            event,
            reason=event.reason,
            running=event.running,
            waiting=event.waiting,
            drain_s=event.drain_seconds,
        )

    def worker_stopped(self, event: WorkerStopped) -> None:
        self._log(event, reason=event.reason, unfinished=event.unfinished)

    def _is_time(self, *thing: str) -> bool:
        """Return whether this subject is due for a log line, and note that it is logged now."""
        now = self._clock()
        if thing not in self._told and len(self._told) >= _MAX_THINGS:
            thing = ("others",)
        if now - self._told.get(thing, float("-inf")) < _REPEAT_SECONDS:
            return False
        if thing == ("others",):
            # Make room for new subjects once a minute.
            self._told = {t: at for t, at in self._told.items() if now - at < _REPEAT_SECONDS}
        self._told[thing] = now
        return True

    def _job(self, event: JobEvent, error: BaseException | None = None, **values: object) -> None:
        _, level = _LINES[type(event)]
        if not self._logger.isEnabledFor(level):
            return  # most events are done jobs, and most workers log only warnings
        if isinstance(event, JobEnded):
            values["seconds_s"] = round(event.duration_seconds, 6)
        job_name = event.job_name and event.job_name[:_NAME_LENGTH]
        size, context = _context_of(event.message)
        self._message(event, error, size, job=job_name, **values, **context)

    def _message(
        self,
        event: MessageEvent,
        error: BaseException | None = None,
        size: int = 0,
        **values: object,
    ) -> None:
        name, level = _LINES[type(event)]
        message = event.message
        log_event(
            *(self._logger, level, name, error),
            size=size,
            queue=message.queue_name,
            id=message.message_id,
            job_id=job_id_of(message),
            group=message.group_id,
            attempt=message.attempt,
            **values,
        )

    def _log(self, event: Event, **values: Any) -> None:
        name, level = _LINES[type(event)]
        log_event(self._logger, level, name, **values)


def _reason_of(error: BaseException) -> str:
    why = getattr(error, "why", None)
    return without_secrets(f"{text_of(error)}: {shortened(why)}" if why else text_of(error))


def _what_next(event: JobFailed | JobRetry) -> dict[str, Any]:
    """Return when the job is retried, or why it is not and where its message goes."""
    found: dict[str, Any] = {"hidden_s": event.hidden_seconds}
    if event.dead_letter_queue is not None:
        found["dead_letter_queue"] = event.dead_letter_queue
    if event.verdict is not None:
        found["verdict"] = event.verdict
    return found


def _context_of(message: Message) -> tuple[int, dict[str, object]]:
    """Return the length and the values of the job context, if its codec is JSON."""
    text = message.string_attribute("JobContext")
    if text in (None, "{}") or message.string_attribute("ContentType") != "json":
        return 0, {}
    try:
        return len(text or ""), {"context": read_json(text or "")}
    except ValueError:  # the job's own log line reports this
        return 0, {}
