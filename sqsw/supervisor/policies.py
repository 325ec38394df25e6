"""One shutdown policy for the workers of many processes, fed by their events."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import ShutdownPolicy
from sqsw.core.events import (
    ChildEnded,
    ChildExited,
    Event,
    EventBus,
    JobDone,
    JobDropped,
    JobFailed,
    JobRetry,
    JobStarted,
    JobUnknown,
    Pulse,
    ReceiveDone,
    WorkerStarted,
)
from sqsw.core.reports import reason_of
from sqsw.core.safe_logger import SafeLogger

logger = SafeLogger("sqsw.worker")

#: empty receives of a queue, one after the other, until it counts as empty: the first one may have
#: begun while a job still ran, and says nothing about what that job gave back
_EMPTY_RECEIVES = 2

_ENDS = (JobDone, JobDropped, JobFailed, JobRetry, JobUnknown)


class PolicyListener:
    """Tells a policy of every job that ended, and that no queue had anything while none ran.

    Parameters
    ----------
    policy :
        It works on a copy, where the policy knows how to make one.
    on_decided :
        Called once, when the policy wants to leave, with its reason.
    """

    def __init__(self, policy: ShutdownPolicy, on_decided: Callable[[str], object]) -> None:
        fresh = getattr(policy, "fresh", None)
        self._policy: Any = policy if fresh is None else fresh()
        self._on_decided = on_decided
        self._decided = False
        self._queues: set[str] = set()
        self._running: set[str] = set()
        self._in_hand: dict[int, int] = {}
        self._empty: Counter[str] = Counter()

    def subscribe_to(self, events: EventBus) -> None:
        """Listen to the events that matter."""
        kinds = (WorkerStarted, JobStarted, ReceiveDone, Pulse, ChildExited, ChildEnded)
        events.subscribe(self, *_ENDS, *kinds, quick=True)

    def __call__(self, event: Event) -> None:
        """Take note of an event, and ask the policy."""
        if isinstance(event, WorkerStarted):
            self._queues.update(event.queues)
            return
        if isinstance(event, Pulse):
            self._in_hand[event.pid] = sum(event.in_hand.values())
            return
        if isinstance(event, ChildExited | ChildEnded):
            self._in_hand.pop(event.pid, None)
            self._running.clear()  # of the others, their pulses tell
            return
        try:
            self._tell(event)
            if not self._decided and self._policy.need_shutdown():
                self._decided = True
                self._on_decided(reason_of(self._policy))
        except Exception:  # a policy is not ours, and must not stop the workers by failing
            logger.exception("the shutdown policy %r failed", self._policy)

    def _tell(self, event: Event) -> None:
        if isinstance(event, _ENDS):
            self._running.discard(event.message.message_id)
            result = BatchProcessingResult(event.message.queue_name)
            result.update([event.message], success=isinstance(event, JobDone))
            self._busy()
            self._policy.update_state(result)
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
                self._policy.update_state(BatchProcessingResult(event.queue_name))

    def _busy(self) -> None:
        self._empty.clear()
        note_busy = getattr(self._policy, "note_busy", None)
        if note_busy is not None:
            note_busy()
