"""Prometheus metrics of workers.

prometheus_client is imported when a :class:`Metrics` is created.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqsw.core.events import (
    Event,
    EventBus,
    JobDead,
    JobDone,
    JobDropped,
    JobEnded,
    JobEvent,
    JobFailed,
    JobParked,
    JobRetry,
    JobStarted,
    JobUnknown,
    LeaseLost,
    ParkedFailed,
    ParkedSent,
    ReceiveDone,
    ReceiveError,
    RequestSent,
    TickMissed,
    TickSent,
    TickSkipped,
)
from sqsw.observe.health import Health

if TYPE_CHECKING:
    from prometheus_client.core import CollectorRegistry, Metric

#: upper bounds of the histograms in seconds, from quick jobs to those that take hours
_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400)

_OUTCOMES: dict[type[Event], str] = {
    JobDone: "done",
    JobFailed: "failed",
    JobRetry: "retried",
    JobDropped: "dropped",
}


class Metrics:
    """A listener that counts the events of one or more processes.

    Parameters
    ----------
    health :
        The source of the pulses, for the slots and the messages in hand.
    """

    def __init__(self, health: Health) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._health = health
        self._registry = registry = CollectorRegistry()
        self._jobs: Counter = Counter(
            "sqsw_jobs", "Jobs that ended.", ["queue", "job", "outcome"], registry=registry
        )
        self._run: Histogram = Histogram(
            "sqsw_job_run_seconds",
            "How long jobs ran.",
            ["queue", "job"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._wait: Histogram = Histogram(
            "sqsw_job_wait_seconds",
            "Time from the send of a job to its first start.",
            ["queue", "job"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._dead: Counter = Counter(
            "sqsw_jobs_dead",
            "Jobs that were given up and sent to the dead-letter queue.",
            ["queue", "job", "verdict"],
            registry=registry,
        )
        self._retries_parked: Counter = Counter(
            "sqsw_jobs_parked",
            "Jobs that were parked, because their next attempt is more than 12 hours away.",
            ["queue", "job"],
            registry=registry,
        )
        self._leases: Counter = Counter(
            "sqsw_leases_lost", "Leases that ended too early.", ["queue"], registry=registry
        )
        self._parked_sent: Counter = Counter(
            "sqsw_parked_jobs_sent",
            "Parked jobs that were sent to their queue.",
            ["queue"],
            registry=registry,
        )
        self._parked_failures: Counter = Counter(
            "sqsw_parked_failures",
            "Failures to send parked jobs; each reason counts once until the queue gets a job.",
            registry=registry,
        )
        self._receives: Counter = Counter(
            "sqsw_receives",
            "Receives by result.",
            ["queue", "result"],
            registry=registry,
        )
        self._messages: Counter = Counter(
            "sqsw_messages_received", "Received messages.", ["queue"], registry=registry
        )
        self._requests: Counter = Counter(
            "sqsw_worker_requests",
            "Requests to SQS, including retries.",
            ["action"],
            registry=registry,
        )
        self._ticks: Counter = Counter(
            "sqsw_ticks",
            "Ticks of schedules that this worker sent, missed, or skipped.",
            ["schedule", "outcome"],
            registry=registry,
        )
        registry.register(_Now(health))

    def subscribe_to(self, events: EventBus) -> None:
        events.subscribe(
            self,
            JobDead,
            JobEnded,
            JobParked,
            JobStarted,
            JobUnknown,
            LeaseLost,
            ParkedFailed,
            ParkedSent,
            ReceiveDone,
            ReceiveError,
            RequestSent,
            TickMissed,
            TickSent,
            TickSkipped,
            quick=True,
        )

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobEnded):
            queue, job = event.message.queue_name, _label(event)
            self._jobs.labels(queue, job, _OUTCOMES[type(event)]).inc()
            self._run.labels(queue, job).observe(event.duration_seconds)
        elif isinstance(event, JobStarted):
            self._started(event)
        elif isinstance(event, JobUnknown):
            self._jobs.labels(event.message.queue_name, "", "unknown").inc()
        elif isinstance(event, JobDead):
            name, verdict = event.message.queue_name, event.record.verdict
            self._dead.labels(name, _label(event), verdict).inc()
        elif isinstance(event, JobParked):
            self._retries_parked.labels(event.message.queue_name, _label(event)).inc()
        elif isinstance(event, LeaseLost):
            self._leases.labels(event.message.queue_name).inc()
        elif isinstance(event, ParkedSent):
            self._parked_sent.labels(event.queue_name).inc()
        elif isinstance(event, ParkedFailed):
            self._parked_failures.inc()
        elif isinstance(event, ReceiveDone):
            self._receives.labels(event.queue_name, "filled" if event.count else "empty").inc()
            self._messages.labels(event.queue_name).inc(event.count)
        elif isinstance(event, ReceiveError):
            self._receives.labels(event.queue_name, "error").inc()
        elif isinstance(event, RequestSent):
            self._requests.labels(event.action).inc()
        elif isinstance(event, TickSent | TickMissed | TickSkipped):
            self._tick(event)

    def _tick(self, event: TickSent | TickMissed | TickSkipped) -> None:
        if isinstance(event, TickSent):
            self._ticks.labels(event.schedule, "sent").inc()
        elif isinstance(event, TickSkipped):
            self._ticks.labels(event.schedule, "skipped").inc()
        elif event.reason != "started":  # another worker may have sent that one
            self._ticks.labels(event.schedule, "missed").inc(event.count)

    def _started(self, event: JobStarted) -> None:
        message = event.message
        sent = message.attributes.get("SentTimestamp", "")
        if sent.isdecimal() and message.receive_count == 1:
            # The clocks of two machines can differ.
            seconds = max(0.0, event.at - int(sent) / 1000)
            self._wait.labels(message.queue_name, _label(event)).observe(seconds)

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        return generate_latest(_WithoutCreated(self._registry))


def _label(event: JobEvent) -> str:
    """Return the job name only if it is registered, because senders can invent names."""
    return event.job_name or "" if event.is_registered else ""


class _WithoutCreated:
    """A collector without creation times, which double the size of histograms.

    prometheus_client can only disable them for all metrics, including those of an application that
    runs workers.
    """

    def __init__(self, registry: "CollectorRegistry") -> None:
        self._registry = registry

    def collect(self) -> "Iterator[Metric]":
        for metric in self._registry.collect():
            metric.samples = [one for one in metric.samples if not one.name.endswith("_created")]
            yield metric


class _Now:
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        pulses = self._health.pulses().values()
        figures: dict[str, tuple[str, Any]] = {
            "sqsw_worker_processes": ("Worker processes.", len(pulses)),
            "sqsw_slots": ("Jobs that can run at once.", sum(p.slots for p in pulses)),
            "sqsw_slots_busy": ("Messages whose jobs are running.", sum(p.running for p in pulses)),
            "sqsw_worker_memory_bytes": ("Memory.", sum(p.memory_bytes for p in pulses)),
        }
        for name, (text, value) in figures.items():
            yield GaugeMetricFamily(name, text, value=value)
        in_hand = GaugeMetricFamily(
            "sqsw_messages_in_hand", "Received, unacknowledged messages.", labels=["queue"]
        )
        queues = sorted({name for pulse in pulses for name in pulse.in_hand})
        for name in queues:
            in_hand.add_metric([name], sum(p.in_hand.get(name, 0) for p in pulses))
        yield in_hand
