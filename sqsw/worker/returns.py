"""Calls that have not started go back to the queue."""

import threading
from collections import Counter
from collections.abc import Iterable

from sqsw.core.contracts import Clock
from sqsw.core.events import EventBus, JobUnrun
from sqsw.worker.lane import Call, within_limit
from sqsw.worker.order import GroupOrder
from sqsw.worker.verdict import PutBack

#: seconds that followers of a failed message stay hidden longer than it does: so it comes back
#: alone, and they do not spend receives on its retries
FOLLOWER_SECONDS = 1


class Returns:
    """Puts back what has not started; used by the dispatcher, without its lock.

    Parameters
    ----------
    lock, order, in_hand, counts :
        The books of the dispatcher.
    events :
        Gets an event for each message that never ran and never will.
    """

    def __init__(
        self,
        put_back: PutBack,
        *,
        lock: threading.Lock,
        order: GroupOrder,
        in_hand: Counter[str],
        counts: Counter[str],
        events: EventBus,
        clock: Clock,
    ) -> None:
        self._put_back = put_back
        self._lock = lock
        self._order = order
        self._in_hand = in_hand
        self._counts = counts
        self._events = events
        self._clock = clock

    def behind(self, calls: Iterable[Call], hidden_seconds: int) -> None:
        """Put back what came after a message that is hidden for so many seconds."""
        self.send(calls, hidden_seconds + FOLLOWER_SECONDS)

    def send(self, calls: Iterable[Call], hidden_seconds: int = 0) -> None:
        """Put back calls in order, without what is no longer ours."""
        for call in calls:
            lost = [message for message in call.messages if message.lease.is_lost]
            owned = [message for message in call.messages if message not in lost]
            with self._lock:
                self._counts["released"] += len(owned)
                self._in_hand[call.lane.name] -= len(lost)
                for message in lost:
                    self._order.forget(message)
            if owned:
                now = self._clock()
                hidden = min(within_limit(message, hidden_seconds, now) for message in owned)
                self._put_back(call.lane, owned, hidden, False)
            self._tell_unrun(call)

    def _tell_unrun(self, call: Call) -> None:
        for message, job_name in zip(call.messages, call.job_names, strict=True):
            if call.lane.is_last_receive(message) and not message.lease.is_lost:
                self._events.publish(JobUnrun(message, job_name, call.lane.dead_letter_queue))
