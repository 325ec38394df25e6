"""The heartbeat: keeps the leases of messages in hand alive.

1. watch     (from the receive until the message is acknowledged, waiting ones too)
2. extend    (at half of the visibility timeout, ten messages a call)
3. tell      (a lease that is over, or that SQS would not extend: the job's result is worth nothing)

Started first and stopped last by ``Worker``; one thread that looks at all leases, and beside it one
for each lane while it has leases to extend: a call that hangs delays no other lane.

A job that keeps the interpreter in a C call stops these threads. A lease is looked at every second
(four times in it, where it is shorter than four) and extended at its half: so it outlives every
stop that is shorter than half of it, less one beat and one call to SQS: 14 seconds of 30.
"""

import threading
from collections.abc import Callable, Sequence
from itertools import islice

from sqsw.core.contracts import Clock
from sqsw.core.events import BeatLate, EventBus, ExtensionFailed, LeaseLost, VisibilityExtended
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import text_of
from sqsw.worker.lane import Lane, is_final, within_limit

logger = SafeLogger(__name__)


def beat_seconds(lanes: Sequence[Lane]) -> float:
    """Seconds between two beats: four to the shortest lease, one a second at most."""
    return min(1.0, shortest_lease(lanes) / 4)


def shortest_lease(lanes: Sequence[Lane]) -> float:
    """Seconds of the shortest lease."""
    return min((lane.visibility_timeout for lane in lanes), default=30)


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
    shortest_lease :
        Seconds; a beat that comes later than a fourth of it is told.
    """

    def __init__(
        self,
        *,
        events: EventBus,
        on_lost: Callable[[Lane, Message], None],
        is_acknowledging: Callable[[Message], bool],
        renew: bool = True,
        interval: float = 1.0,
        shortest_lease: float = 30.0,
        clock: Clock = lease_time,
    ) -> None:
        self._events = events
        self._on_lost = on_lost
        self._is_acknowledging = is_acknowledging
        self._renew = renew
        self._interval = interval
        self._shortest_lease = shortest_lease
        self._clock = clock
        self._changed = threading.Condition()
        self._watched: dict[str, tuple[Lane, Message]] = {}
        self._extending: set[str] = set()
        self._busy_lanes: set[str] = set()
        self._errors: dict[str, str] = {}
        self._ending = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._extenders: list[threading.Thread] = []
        self.requests = 0

    def start(self) -> None:
        """Begin to beat."""
        if self._thread is None:
            self._ending = False
            thread = threading.Thread(target=self._work, name="sqsw-heartbeat", daemon=True)
            thread.start()
            self._thread = thread  # only one that runs can be waited for

    def quiet(self) -> None:
        """Nothing to do: what is in hand stays ours until the end."""

    def stop(self, deadline: float) -> None:
        """End the threads."""
        self._ending = True
        self._wake.set()
        thread, self._thread = self._thread, None
        for ending in [thread, *self._extenders] if thread is not None else []:
            ending.join(max(0.0, deadline - self._clock()))

    def is_alive(self) -> bool:
        """Whether leases are looked at."""
        return self._thread is not None and self._thread.is_alive()

    def watch(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Keep the leases of these messages alive from now on."""
        with self._changed:
            for message in messages:
                self._watched[message.receipt_handle] = (lane, message)
        # An answer that came late: the next beat may be too late as well.
        if any(self._is_half_gone(lane, message) for message in messages):
            self._wake.set()

    def _is_half_gone(self, lane: Lane, message: Message) -> bool:
        return message.lease.expires_at - self._clock() <= lane.visibility_timeout / 2

    def forget(self, messages: Sequence[Message], timeout: float) -> None:
        """Leave these messages alone; waits until no extension of them is under way any more.

        It would undo a change of visibility that overtakes it. That is the lesser harm where it
        hangs, so nobody waits longer than ``timeout`` seconds.
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
            if message.lease.is_lost:
                return
            message.lease.lose()
            error = self._errors.get(lane.name)
        if error is not None:
            reason += f"; the last extension failed: {error}"
        self._events.publish(LeaseLost(message, reason))
        self._on_lost(lane, message)

    def beat(self) -> None:
        """Look at all leases once; extend those that are at half of their time."""
        for lane, messages in self._look():
            self._extend_all(lane, messages)

    def _look(self) -> list[tuple[Lane, list[Message]]]:
        """Tell which leases are over; those to be extended, by lanes that are not at it already."""
        now = self._clock()
        with self._changed:
            watched = list(self._watched.values())
        due: dict[str, tuple[Lane, list[Message]]] = {}
        for lane, message in watched:
            left = message.lease.expires_at - now
            if left <= 0:
                if not self._is_acknowledging(message):
                    self.lose(lane, message, "its visibility timeout ended")
            elif self._renew and message.lease.sure_until - now <= lane.visibility_timeout / 2:
                due.setdefault(lane.name, (lane, []))[1].append(message)
        with self._changed:
            free = due.keys() - self._busy_lanes
            self._busy_lanes |= free
        return [due[name] for name in free]

    def _extend_all(self, lane: Lane, messages: Sequence[Message]) -> None:
        rest = iter(messages)
        try:
            while batch := list(islice(rest, MAX_BATCH_ENTRIES)):
                self._extend(lane, batch)
        except BaseException:  # the next beat tries again
            logger.exception("leases of %s could not be extended", lane.name)
        finally:
            with self._changed:
                self._busy_lanes.discard(lane.name)

    def _extend(self, lane: Lane, messages: Sequence[Message]) -> None:
        now = self._clock()
        with self._changed:
            changes = [
                (message, within_limit(message, lane.visibility_timeout, now))
                for message in messages
                if message.receipt_handle in self._watched
            ]
            # Near the end of its 12 hours a message cannot be kept for longer than it is already.
            changes = [(m, s) for m, s in changes if now + s > m.lease.sure_until]
            handles = {message.receipt_handle for message, _ in changes}
            self._extending |= handles
        if not changes:
            return
        try:
            failures = lane.client.change_visibility_batch(changes)
        except Exception as error:  # noqa: BLE001  # the network, say: the next beat tries again
            self._note_error(lane, text_of(error) or type(error).__name__)
            return
        finally:
            with self._changed:
                self.requests += 1
                self._extending -= handles
                self._changed.notify_all()
        failed = {failure.index: failure for failure in failures}
        repeatable = [f"{f.reason} [{f.code}]" for f in failures if not is_final(f)]
        self._note_error(lane, repeatable[0] if repeatable else None)
        for index, (message, seconds) in enumerate(changes):
            if index not in failed:
                message.lease.renew(now + seconds)
            elif is_final(failed[index]) and self._is_still_ours(message):
                self.lose(lane, message, failed[index].reason)
        if len(failed) < len(changes):
            self._events.publish(VisibilityExtended(lane.name, len(changes) - len(failed)))

    def _note_error(self, lane: Lane, error: str | None) -> None:
        """Remember why a lane's leases may be lost soon; tell it once until it went well again."""
        with self._changed:
            is_new = error is not None and lane.name not in self._errors
            if error is None:
                self._errors.pop(lane.name, None)
            else:
                self._errors[lane.name] = error
        if is_new and error is not None:
            self._events.publish(ExtensionFailed(lane.name, error))

    def _is_still_ours(self, message: Message) -> bool:
        with self._changed:
            watched = message.receipt_handle in self._watched
        return watched and not self._is_acknowledging(message)

    def _work(self) -> None:
        while True:
            expected = self._clock() + self._interval
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._ending:
                return
            try:
                self._tell_if_late(self._clock() - expected)
                for lane, messages in self._look():
                    self._extend_beside(lane, messages)
            except BaseException:  # without this thread every long job would run twice
                logger.exception("a beat failed")

    def _tell_if_late(self, late_seconds: float) -> None:
        if late_seconds > self._shortest_lease / 4:
            bound = self._shortest_lease / 2 - self._interval
            self._events.publish(BeatLate(late_seconds, bound))

    def _extend_beside(self, lane: Lane, messages: Sequence[Message]) -> None:
        name = f"sqsw-heartbeat-{lane.name}"
        thread = threading.Thread(
            target=self._extend_all, args=(lane, messages), name=name, daemon=True
        )
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # no more threads to be had
            self._extend_all(lane, messages)
        else:
            self._extenders = [*(t for t in self._extenders if t.is_alive()), thread]
