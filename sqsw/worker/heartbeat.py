"""The heartbeat: keeps the leases of messages in hand alive.

1. watch     (from the receive until the message is acknowledged, waiting ones too)
2. extend    (at half of the visibility timeout, ten messages a call)
3. tell      (a lease that is over, or that SQS would not extend: the job's result is worth nothing)

Started first and stopped last by ``Worker``; one thread.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice

from sqsw.core.contracts import Clock
from sqsw.core.events import EventBus, LeaseLost, VisibilityExtended
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.worker.lane import Lane, is_final, within_limit

logger = logging.getLogger(__name__)


def beat_seconds(lanes: Sequence[Lane]) -> float:
    """Seconds between two beats: four to the shortest lease, one a second at most."""
    return min(1.0, min((lane.visibility_timeout for lane in lanes), default=30) / 4)


class Heartbeat:
    """Extends visibility while a message is in hand.

    Parameters
    ----------
    on_lost :
        Called with each message whose lease is over.
    is_acknowledging :
        Whether the acknowledger has this message. Then it judges: SQS refuses to extend what has
        just been deleted, and that is no lost lease.
    renew :
        False: leases are not extended, only seen to end.
    interval :
        Seconds between two beats.
    """

    def __init__(
        self,
        *,
        events: EventBus,
        on_lost: Callable[[Lane, Message], None],
        is_acknowledging: Callable[[Message], bool],
        renew: bool = True,
        interval: float = 1.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._events = events
        self._on_lost = on_lost
        self._is_acknowledging = is_acknowledging
        self._renew = renew
        self._interval = interval
        self._clock = clock
        self._changed = threading.Condition()
        self._watched: dict[str, tuple[Lane, Message]] = {}
        self._extending: set[str] = set()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.requests = 0

    def start(self) -> None:
        """Begin to beat."""
        if self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._work, name="sqsw-heartbeat", daemon=True)
            self._thread.start()

    def quiet(self) -> None:
        """Nothing to do: what is in hand stays ours until the end."""

    def stop(self, deadline: float) -> None:
        """End the thread."""
        self._ending.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(max(0.0, deadline - self._clock()))

    def watch(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Keep the leases of these messages alive from now on."""
        with self._changed:
            for message in messages:
                self._watched[message.receipt_handle] = (lane, message)

    def forget(self, messages: Sequence[Message], timeout: float | None = None) -> None:
        """Leave these messages alone; returns when no extension of them is under way any more.

        It is waited for since it would undo a change of visibility that overtakes it.
        """
        handles = {message.receipt_handle for message in messages}
        with self._changed:
            for handle in handles:
                self._watched.pop(handle, None)
            self._changed.wait_for(lambda: not (handles & self._extending), timeout)

    def lose(self, lane: Lane, message: Message, reason: str) -> None:
        """The lease of a message is over: tell the job, the listeners and the dispatcher."""
        with self._changed:
            self._watched.pop(message.receipt_handle, None)
            if message.lease.lost.is_set():
                return
            message.lease.lost.set()
        self._events.publish(LeaseLost(message, reason))
        self._on_lost(lane, message)

    def beat(self) -> None:
        """Look at all leases once; extend those that are at half of their time."""
        now = self._clock()
        with self._changed:
            watched = list(self._watched.values())
        due: dict[str, tuple[Lane, list[Message]]] = {}
        for lane, message in watched:
            left = message.lease.expires_at - now
            if left <= 0:
                if not self._is_acknowledging(message):
                    self.lose(lane, message, "its visibility timeout ended")
            elif self._renew and left <= lane.visibility_timeout / 2:
                due.setdefault(lane.name, (lane, []))[1].append(message)
        for lane, messages in due.values():
            rest = iter(messages)
            while batch := list(islice(rest, MAX_BATCH_ENTRIES)):
                self._extend(lane, batch)

    def _extend(self, lane: Lane, messages: Sequence[Message]) -> None:
        now = self._clock()
        with self._changed:
            changes = [
                (message, within_limit(message, lane.visibility_timeout, now))
                for message in messages
                if message.receipt_handle in self._watched
            ]
            # Near the end of its 12 hours a message cannot be kept for longer than it is already.
            changes = [(m, s) for m, s in changes if now + s > m.lease.expires_at]
            self._extending = {message.receipt_handle for message, _ in changes}
        if not changes:
            return
        try:
            failures = lane.client.change_visibility_batch(changes)
        except Exception as error:  # noqa: BLE001  # the network, say: the next beat tries again
            logger.debug("could not extend %d messages: %s", len(changes), error)
            return
        finally:
            self.requests += 1
            with self._changed:
                self._extending = set()
                self._changed.notify_all()
        failed = {failure.index: failure for failure in failures}
        for index, (message, seconds) in enumerate(changes):
            if index not in failed:
                message.lease.expires_at = now + seconds
            elif is_final(failed[index]) and self._is_still_ours(message):
                self.lose(lane, message, failed[index].reason)
        if len(failed) < len(changes):
            self._events.publish(VisibilityExtended(lane.name, len(changes) - len(failed)))

    def _is_still_ours(self, message: Message) -> bool:
        with self._changed:
            watched = message.receipt_handle in self._watched
        return watched and not self._is_acknowledging(message)

    def _work(self) -> None:
        while not self._ending.wait(self._interval):
            try:
                self.beat()
            except Exception:  # without this thread every long job would run twice
                logger.exception("a beat failed")
