"""Log lines from events, one method for each kind.

The attribute ``event`` of a record has the name of the event. Its values are in further attributes
with the same keys everywhere: ``queue``, ``job``, ``id``, ``job_id``, ``group``, ``attempt``,
``seconds_s`` and a few more. The message has all of them as text. Bodies and arguments are never
logged.

If an application configures no logging, the standard library still shows warnings and errors on
stderr.
"""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqsw.core.contracts import Clock
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
    JobRetry,
    JobStarted,
    JobStuck,
    JobUnknown,
    JobUnrun,
    LeaseLost,
    QueueWarning,
    QuietStarted,
    ReceiveDone,
    ReceiveError,
    Reloading,
    RetriesPlanned,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from sqsw.core.job_metadata import job_id_of
from sqsw.core.json_depth import read_json
from sqsw.core.message import Message
from sqsw.core.safe_logger import log_event
from sqsw.core.wording import shortened, text_of, without_secrets

#: seconds between two lines about the same thing
_REPEAT_SECONDS = 60.0

#: things that are told apart for that; beyond them all others share one line
_MAX_THINGS = 1_000

#: characters of a job name, and of a reason that may quote one: both may come from outside
_NAME_LENGTH, _REASON_LENGTH = 100, 300


def ensure_logged(events: EventBus) -> None:
    """Log the events of this bus, unless somebody does already."""
    if not events.has_listener(LogListener):
        LogListener().subscribe_to(events)


class LogListener:
    """Logs events with the standard library.

    In a worker, a subclass has a thread of its own, like other listeners, so its methods can wait.

    Parameters
    ----------
    logger :
        Where to; None for the logger ``sqsw.worker``.
    clock :
        Seconds, of a clock that only goes forward.
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
            WorkerStarted: self.worker_started,
            JobStarted: self.job_started,
            JobDone: self.job_done,
            JobFailed: self.job_failed,
            JobRetry: self.job_retry,
            JobUnknown: self.job_unknown,
            JobUnrun: self.job_unrun,
            JobDead: self.job_dead,
            BeatLate: self.beat_late,
            ExtensionFailed: self.extension_failed,
            LeaseLost: self.lease_lost,
            AckFailed: self.ack_failed,
            ReceiveError: self.receive_error,
            ReceiveDone: self.receive_done,
            QueueWarning: self.queue_warning,
            RetriesPlanned: self.retries_planned,
            ChildExited: self.child_exited,
            ChildReplaced: self.child_replaced,
            Reloading: self.reloading,
            WorkerFailed: self.worker_failed,
            JobStuck: self.job_stuck,
            QuietStarted: self.quiet_started,
            DrainStarted: self.drain_started,
            WorkerStopped: self.worker_stopped,
        }
        self._levels = {
            kind: level for kind, (method, level) in _LEVELS.items() if _is_own(self, method)
        }

    def subscribe_to(self, events: EventBus) -> None:
        """Listen to the events that become log lines, and to no others."""
        events.subscribe(self, *self._methods, quick=self._is_quick, wants=self._wants)

    def _wants(self, kind: type[Event]) -> Callable[[], bool] | None:
        # Most events of a job are below the usual level.
        level = self._levels.get(kind)
        return None if level is None else partial(self._logger.isEnabledFor, level)

    def __call__(self, event: Event) -> None:
        """Log an event, if it is one of those."""
        method = self._methods.get(type(event))
        if method is not None:
            method(event)

    def worker_started(self, event: WorkerStarted) -> None:
        self._log(
            logging.INFO, "worker_started", queues=event.queues, concurrency=event.concurrency
        )

    def job_started(self, event: JobStarted) -> None:
        self._job(logging.DEBUG, "job_started", event)

    def job_done(self, event: JobDone) -> None:
        self._job(logging.INFO, "job_done", event)

    def job_failed(self, event: JobFailed) -> None:
        self._job(logging.ERROR, "job_failed", event, event.error, **_what_next(event))

    def job_retry(self, event: JobRetry) -> None:
        values = _what_next(event)
        if event.backoff_policy is not None:
            values["backoff_policy"] = event.backoff_policy
        self._job(logging.INFO, "job_retry", event, **values)

    def job_unknown(self, event: JobUnknown) -> None:
        """At most once a minute for each name: a queue can be full of them."""
        if self._is_time("job", event.message.queue_name, (event.job_name or "")[:_NAME_LENGTH]):
            self._job(
                logging.WARNING,
                "job_unknown",
                event,
                hidden_s=event.hidden_seconds,
                reason=text_of(event.error)[:_REASON_LENGTH],
            )

    def job_unrun(self, event: JobUnrun) -> None:
        self._job(
            logging.ERROR,
            "job_unrun",
            event,
            reason="returned on its last receive before it could run",
            dead_letter_queue=event.dead_letter_queue,
        )

    def job_dead(self, event: JobDead) -> None:
        """A warning: its failure was logged as an error before."""
        self._job(
            logging.WARNING,
            "job_dead",
            event,
            verdict=event.record.verdict,
            dead_letter_queue=event.dead_letter_queue,
            deaths=event.record.deaths,
        )

    def beat_late(self, event: BeatLate) -> None:
        """At most once a minute: such jobs come in crowds."""
        if self._is_time("beat"):
            self._log(
                logging.WARNING,
                "beat_late",
                late_s=round(event.late_seconds, 3),
                bound_s=round(event.bound_seconds, 3),
            )

    def extension_failed(self, event: ExtensionFailed) -> None:
        """At most once a minute for each queue."""
        if self._is_time("extension", event.queue_name):
            self._log(
                logging.WARNING, "extension_failed", queue=event.queue_name, reason=event.reason
            )

    def lease_lost(self, event: LeaseLost) -> None:
        self._message(logging.WARNING, "lease_lost", event.message, reason=event.reason)

    def ack_failed(self, event: AckFailed) -> None:
        self._message(
            logging.ERROR, "ack_failed", event.message, action=event.action, reason=event.reason
        )

    def receive_error(self, event: ReceiveError) -> None:
        """Once for each queue and kind of error, until a receive is answered again."""
        kind = f"{type(event.error).__name__} {getattr(event.error, 'code', None)}"
        if self._failing.get(event.queue_name) != kind:
            self._failing[event.queue_name] = kind
            self._log(
                logging.WARNING,
                "receive_error",
                queue=event.queue_name,
                reason=_reason_of(event.error),
                retry_s=round(event.retry_seconds, 3),
            )

    def receive_done(self, event: ReceiveDone) -> None:
        """Only the first one after an error."""
        if self._failing and self._failing.pop(event.queue_name, None) is not None:
            self._log(logging.INFO, "receive_recovered", queue=event.queue_name)

    def queue_warning(self, event: QueueWarning) -> None:
        self._log(
            logging.WARNING,
            "queue_warning",
            queue=event.queue_name,
            reason=event.text,
            hint=event.hint,
        )

    def retries_planned(self, event: RetriesPlanned) -> None:
        self._log(
            logging.INFO,
            "retries_planned",
            queue=event.queue_name,
            job=event.horizon.job_name,
            retries_for_s=event.horizon.seconds,
            max_receives=event.horizon.max_receives,
            dead_letter_queue=event.dead_letter_queue,
        )

    def child_exited(self, event: ChildExited) -> None:
        self._log(
            logging.ERROR,
            "child_exited",
            pid=event.pid,
            exit_code=event.exit_code,
            reason=event.reason,
        )

    def child_replaced(self, event: ChildReplaced) -> None:
        self._log(logging.INFO, "child_replaced", pid=event.pid, reason=event.reason)

    def reloading(self, event: Reloading) -> None:
        self._log(logging.INFO, "reloading", reason=f"{', '.join(event.files)} changed")

    def worker_failed(self, event: WorkerFailed) -> None:
        self._log(logging.ERROR, "worker_failed", pid=event.pid, reason=_reason_of(event.error))

    def job_stuck(self, event: JobStuck) -> None:
        self._job(logging.ERROR, "job_stuck", event)

    def quiet_started(self, event: QuietStarted) -> None:
        """A warning: who did not mean it would wait for messages for ever."""
        self._log(
            logging.WARNING,
            "quiet_started",
            reason=event.reason,
            running=event.running,
            hint=event.hint,
        )

    def drain_started(self, event: DrainStarted) -> None:
        self._log(
            logging.INFO,
            "drain_started",
            reason=event.reason,
            running=event.running,
            waiting=event.waiting,
            drain_s=event.drain_seconds,
        )

    def worker_stopped(self, event: WorkerStopped) -> None:
        self._log(logging.INFO, "worker_stopped", reason=event.reason, unfinished=event.unfinished)

    def _is_time(self, *thing: str) -> bool:
        """Whether nothing was said about this for a minute."""
        now = self._clock()
        if thing not in self._told and len(self._told) >= _MAX_THINGS:
            thing = ("others",)
        if now - self._told.get(thing, float("-inf")) < _REPEAT_SECONDS:
            return False
        if thing == ("others",):
            # Once a minute there is room again for those that are new.
            self._told = {t: at for t, at in self._told.items() if now - at < _REPEAT_SECONDS}
        self._told[thing] = now
        return True

    def _job(
        self,
        level: int,
        name: str,
        event: JobEvent,
        error: BaseException | None = None,
        **values: object,
    ) -> None:
        if not self._logger.isEnabledFor(level):
            return  # most lines are of jobs that are done, and most workers log warnings only
        if isinstance(event, JobEnded):
            values["seconds_s"] = round(event.duration_seconds, 6)
        job_name = event.job_name and event.job_name[:_NAME_LENGTH]
        size, context = _context_of(event.message)
        self._message(level, name, event.message, error, size, job=job_name, **values, **context)

    def _message(
        self,
        level: int,
        name: str,
        message: Message,
        error: BaseException | None = None,
        size: int = 0,
        **values: object,
    ) -> None:
        log_event(
            self._logger,
            level,
            name,
            error,
            size=size,
            queue=message.queue_name,
            id=message.message_id,
            job_id=job_id_of(message),
            group=message.group_id,
            attempt=message.attempt,
            **values,
        )

    def _log(self, level: int, name: str, **values: Any) -> None:
        log_event(self._logger, level, name, **values)


def _reason_of(error: BaseException) -> str:
    why = getattr(error, "why", None)
    return without_secrets(f"{text_of(error)}: {shortened(why)}" if why else text_of(error))


def _what_next(event: JobFailed | JobRetry) -> dict[str, Any]:
    """Return when the job is tried again, or why it is not and where its message goes."""
    found: dict[str, Any] = {"hidden_s": event.hidden_seconds}
    if event.dead_letter_queue is not None:
        found["dead_letter_queue"] = event.dead_letter_queue
    if event.verdict is not None:
        found["verdict"] = event.verdict
    return found


def _context_of(message: Message) -> tuple[int, dict[str, object]]:
    """Return the job context and the length of its text, if its codec is JSON."""
    text = message.string_attribute("JobContext")
    if text in (None, "{}") or message.string_attribute("ContentType") != "json":
        return 0, {}
    try:
        return len(text or ""), {"context": read_json(text or "")}
    except ValueError:  # the job has failed for it, and its line says so
        return 0, {}


#: the levels of the events of every job, whose methods do nothing else than log
_LEVELS = {
    JobStarted: (LogListener.job_started, logging.DEBUG),
    JobDone: (LogListener.job_done, logging.INFO),
}


def _is_own(listener: LogListener, method: Any) -> bool:
    """Whether a subclass has left a method as it is."""
    return getattr(type(listener), method.__name__) is method
