"""Apply one shutdown policy to many worker processes, based on their events."""

from collections import Counter
from collections.abc import Callable

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import ShutdownPolicy
from sqsw.core.events import (
    ChildEnded,
    ChildExited,
    Event,
    EventBus,
    JobDone,
    JobEnded,
    JobStarted,
    JobUnknown,
    Pulse,
    ReceiveDone,
    TickSkipped,
    WorkerStarted,
)
from sqsw.core.policy_runner import PolicyRunner

#: empty receives in a row after which a queue counts as empty. One is not enough: it can have
#: started before a running job returned its message.
_EMPTY_RECEIVES = 2

#: one of these follows each ``JobStarted``
JOB_ENDS = (JobEnded, JobUnknown, TickSkipped)


class PolicyListener:
    """A listener that reports to a policy each ended job, and when all queues are empty and idle.

    Parameters
    ----------
    policy :
        The policy. If it has a method ``fresh``, the copy that it returns is used.
    on_decided :
        Called once with the reason when the policy decides to shut down.
    """

    def __init__(self, policy: ShutdownPolicy, on_decided: Callable[[str], object]) -> None:
        self._policy = PolicyRunner(policy)
        self._on_decided = on_decided
        self._queues: set[str] = set()
        self._running: set[str] = set()
        self._in_hand: dict[int, int] = {}
        self._empty: Counter[str] = Counter()

    def subscribe_to(self, events: EventBus) -> None:
        kinds = (WorkerStarted, JobStarted, ReceiveDone, Pulse, ChildExited, ChildEnded)
        events.subscribe(self, *JOB_ENDS, *kinds, quick=True)

    def __call__(self, event: Event) -> None:
        if isinstance(event, WorkerStarted):
            self._queues.update(event.queues)
            return
        if isinstance(event, Pulse):
            self._in_hand[event.pid] = sum(event.in_hand.values())
            return
        if isinstance(event, ChildExited | ChildEnded):
            self._in_hand.pop(event.pid, None)
            self._running.clear()  # pulses show the jobs of the other processes
            return
        if isinstance(event, JOB_ENDS):
            self._running.discard(event.message.message_id)
            result = BatchProcessingResult(event.message.queue_name)
            result.update([event.message], success=isinstance(event, JobDone | TickSkipped))
            self._busy()
            self._tell(result)
        elif isinstance(event, JobStarted):
            self._running.add(event.message.message_id)
            self._busy()
        elif isinstance(event, ReceiveDone):
            if event.count or self._running or any(self._in_hand.values()):
                self._busy()
                return
            self._empty[event.queue_name] += 1
            queues = self._queues | {event.queue_name}
            if all(self._empty[name] >= _EMPTY_RECEIVES for name in queues):
                self._tell(BatchProcessingResult(event.queue_name))

    def _busy(self) -> None:
        self._empty.clear()
        self._tell(None)

    def _tell(self, report: BatchProcessingResult | None) -> None:
        if self._policy.tell(report):
            self._on_decided(self._policy.reason)
