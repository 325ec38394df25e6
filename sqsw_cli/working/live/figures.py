"""The figures of the live view: a listener that counts events, and snapshots of its counts.

Finished jobs are counted by their events. Running jobs come from the pulses of the processes, so a
killed process leaves no running jobs behind.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqsw.core.contracts import Clock
from sqsw.core.events import (
    ChildEnded,
    ChildExited,
    DrainStarted,
    Event,
    EventBus,
    JobDone,
    JobEvent,
    JobFailed,
    JobRetry,
    JobUnknown,
    Pulse,
    RequestSent,
)
from sqsw.observe.health import Health
from sqsw_cli.output.track import Track

#: seconds over which the job rate, and the trend of a queue's length, are measured
RATE_SECONDS, TREND_SECONDS = 20.0, 60.0

_COUNTED: dict[type[Event], str] = {
    JobDone: "done",
    JobFailed: "failed",
    JobRetry: "retried",
    JobUnknown: "unknown",
}


@dataclass(frozen=True, slots=True)
class Depth:
    """The messages of a queue and of its dead-letter queue, as SQS counts them; None is unknown."""

    ready: int | None = None
    in_flight: int | None = None
    dead: int | None = None
    has_dead_letters: bool = True
    dead_letter_queue: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One queue.

    Attributes
    ----------
    longest :
        Seconds that the longest running job has been running; None if no job runs.
    rate :
        Jobs that end per second.
    """

    name: str
    running: int = 0
    longest: float | None = None
    done: int = 0
    failed: int = 0
    retried: int = 0
    rate: float = 0.0
    depth: Depth = field(default_factory=Depth)


@dataclass(frozen=True, slots=True)
class Look:
    """A snapshot of what the view shows.

    Attributes
    ----------
    busy, slots :
        Messages whose jobs are running, and the number of slots.
    up_seconds :
        Seconds since the view started.
    requests_per_job :
        As in the summary; None before the first job has ended.
    empty_seconds :
        Seconds until all queues are empty at the current trend; None if they are not getting
        shorter, or are empty.
    drain_seconds :
        Seconds until the drain ends; None if the worker is not draining.
    is_quiet, was_up, has_ended :
        Whether no process receives, whether a worker was ever up, and whether the work is over.
    """

    rows: Sequence[Row]
    busy: int = 0
    slots: int = 0
    up_seconds: float = 0.0
    requests_per_job: float | None = None
    empty_seconds: float | None = None
    drain_seconds: float | None = None
    is_quiet: bool = False
    was_up: bool = True
    has_ended: bool = False


class Figures:
    """Counts the events of all processes; can be called from any thread."""

    def __init__(self, names: Sequence[str], clock: Clock = time.monotonic) -> None:
        self._names = list(names)
        self._clock = clock
        self._began_at = clock()
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._requests = 0
        self._drain_until: float | None = None
        self._depths = {name: Depth() for name in names}
        self._ended = {name: Track(RATE_SECONDS) for name in names}
        self._ready = {name: Track(TREND_SECONDS) for name in names}
        self._health = Health(clock)
        #: set by the first sign of life
        self.is_up = threading.Event()
        self.has_ended = self._was_up = False

    def subscribe_to(self, events: EventBus) -> None:
        events.subscribe(self, *_COUNTED, RequestSent, DrainStarted, quick=True)
        events.subscribe(self._pulse, Pulse, quick=True)
        events.subscribe(self._health, ChildExited, ChildEnded, quick=True)

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, RequestSent):
                self._requests += 1
            elif isinstance(event, JobEvent):
                self._counts[event.message.queue_name, _COUNTED[type(event)]] += 1
            elif isinstance(event, DrainStarted):
                self._drain_until = self._clock() + event.drain_seconds

    def _pulse(self, event: Pulse) -> None:
        self._health(event)
        if event.ready:
            # A process still receives, so only a replaced process has drained.
            self._drain_until = None
        self._was_up = True
        self.is_up.set()

    def told(self, name: str, depth: Depth) -> None:
        with self._lock:
            self._depths[name] = depth
            if depth.ready is None:
                self._ready[name].clear()
            else:
                self._ready[name].add(self._clock(), depth.ready)

    def look(self) -> Look:
        """Return a snapshot; call this more than once a second, or the rates are coarse."""
        now = self._clock()
        pulses = list(self._health.pulses().values()) if not self.has_ended else []
        is_ready = any(pulse.ready for pulse in pulses)
        with self._lock:
            rows = [self._row(name, pulses, now) for name in self._names]
            jobs = self._counts.total()
            return Look(
                rows,
                busy=sum(pulse.running for pulse in pulses),
                slots=sum(pulse.slots for pulse in pulses),
                up_seconds=now - self._began_at,
                requests_per_job=self._requests / jobs if jobs else None,
                empty_seconds=self._empty_seconds(),
                drain_seconds=None if is_ready else self._drain_left(now),
                is_quiet=bool(pulses) and not is_ready,
                was_up=self._was_up,
                has_ended=self.has_ended,
            )

    def _row(self, name: str, pulses: Sequence[Pulse], now: float) -> Row:
        busy = [pulse.busy[name] for pulse in pulses if name in pulse.busy]
        counts = {kind: self._counts[name, kind] for kind in _COUNTED.values()}
        self._ended[name].add(now, sum(counts.values()), least_seconds=1.0)
        return Row(
            name,
            running=sum(count for count, _ in busy),
            longest=max((seconds for _, seconds in busy), default=None),
            done=counts["done"],
            failed=counts["failed"],
            retried=counts["retried"],
            rate=self._ended[name].slope(now, sum(counts.values())),
            depth=self._depths[name],
        )

    def _empty_seconds(self) -> float | None:
        longest = 0.0
        for name, depth in self._depths.items():
            if depth.ready:
                # The trend of the queue includes new messages and those that other workers take.
                slope = self._ready[name].slope()
                if slope >= 0:
                    return None
                longest = max(longest, depth.ready / -slope)
        return longest if longest >= 1 else None

    def _drain_left(self, now: float) -> float | None:
        return None if self._drain_until is None else max(0.0, self._drain_until - now)
