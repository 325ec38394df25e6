"""Count what workers did, from the events of one or more processes."""

import threading
from collections import Counter

from sqsw.core.events import (
    Event,
    EventBus,
    JobDone,
    JobFailed,
    JobRetry,
    JobUnknown,
    LeaseLost,
    MessageReturned,
    RequestSent,
    WorkerStopped,
)
from sqsw.core.reports import WorkerReport, report_of

_KEYS: dict[type[Event], str] = {
    JobDone: "done",
    JobFailed: "failed",
    JobRetry: "retried",
    JobUnknown: "unknown",
    LeaseLost: "lease_lost",
    RequestSent: "requests",
}


class Tally:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def subscribe_to(self, events: EventBus) -> None:
        events.subscribe(self, *_KEYS, MessageReturned, WorkerStopped, quick=True)

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, WorkerStopped):
                self._counts["unfinished"] += event.unfinished
            elif isinstance(event, MessageReturned):
                self._counts["released"] += not event.started
            elif type(event) in _KEYS:
                self._counts[_KEYS[type(event)]] += 1

    @property
    def requests(self) -> int:
        """The number of requests to SQS so far, including retries."""
        return self._counts["requests"]

    def report(self, stopped_by: str, *, forced: bool) -> WorkerReport:
        return report_of(self._counts, stopped_by, forced=forced)
