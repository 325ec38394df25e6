"""The heartbeat: extends the leases of messages in hand.

1. check     (the leases of all messages in hand, also of waiting ones)
2. extend    (a lease that is half over; ten messages per call)
3. lose      (a lease that has ended, or that SQS refused to extend: the result no longer counts)

SQS can accept an extension after it gave the message to another worker. So if its answer arrives
after the lease had ended, a job that has not started does not start, and one that has is reported.

One thread checks all leases. A lane with leases to extend has a thread of its own until they are
extended, so a call that hangs delays no other lane.

A job that holds the interpreter lock in a C call stops these threads. They check a lease once a
second, or four times per lease if it is shorter than four seconds, and extend it when half of it is
over. So a lease survives a stop that is shorter than half of it, minus one beat and one SQS call:
about 14 seconds of a lease of 30.
"""

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from sqsw.core.contracts import Clock
from sqsw.core.events import AckFailed, BeatLate, EventBus, ExtensionFailed, VisibilityExtended
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import text_of
from sqsw.worker.delivery import Delivery
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane, is_final, within_limit

logger = SafeLogger(__name__)

#: why a message can be with two workers although its lease was extended
_LATE = "its visibility timeout ended before SQS answered, so another worker may have received it"


class Loser(Protocol):
    """Handles the end of a lease."""

    def lose(self, delivery: Delivery, reason: str) -> None: ...


class Heartbeat:
    """Extends the visibility timeout of messages while they are in hand.

    Parameters
    ----------
    dispatcher :
        Handles the end of a lease.
    renew :
        False: leases are never extended, and the heartbeat only notices that they end.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        in_flight: InFlight,
        dispatcher: Loser,
        events: EventBus,
        *,
        renew: bool = True,
        clock: Clock = lease_time,
    ) -> None:
        self._in_flight = in_flight
        self._dispatcher = dispatcher
        self._events = events
        self._renew = renew
        self._shortest_lease = min((lane.visibility_timeout for lane in lanes), default=30)
        # Four beats per lease, or one a second if the shortest lease is longer than four seconds.
        self._interval = min(1.0, self._shortest_lease / 4)
        self._clock = clock
        self._lock = threading.Lock()
        self._busy_lanes: set[str] = set()
        self._ending = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._extenders: list[threading.Thread] = []
        self.requests = 0

    def start(self) -> None:
        """Start the thread that checks the leases."""
        if self._thread is None:
            self._ending = False
            thread = threading.Thread(target=self._work, name="sqsw-heartbeat", daemon=True)
            thread.start()
            self._thread = thread  # after the start: a thread that never started cannot be joined

    def stop(self, deadline: float) -> None:
        """End the threads; wait for them until ``deadline``, in seconds of its clock."""
        self._ending = True
        self._wake.set()
        thread, self._thread = self._thread, None
        for ending in [thread, *self._extenders] if thread is not None else []:
            ending.join(max(0.0, deadline - self._clock()))

    def is_alive(self) -> bool:
        """Return whether leases are being checked."""
        return self._thread is not None and self._thread.is_alive()

    def note_receive(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Check the leases now if these are half over: their answer was late."""
        if messages:  # the leases of one receive end together
            left = messages[0].lease.expires_at - self._clock()
            if left <= lane.visibility_timeout / 2:
                self._wake.set()

    def renew(self, lane: Lane, messages: Sequence[Message]) -> list[Message]:
        """Extend the leases that another process left; return the messages that SQS still hides."""
        held: list[Message] = []
        rest = iter(messages)
        while batch := list(islice(rest, MAX_BATCH_ENTRIES)):
            now = self._clock()
            changes = [(each, within_limit(each, lane.visibility_timeout, now)) for each in batch]
            self.requests += 1
            try:
                failures = lane.client.change_visibility_batch(changes)
            except Exception:  # their leases end, and SQS moves them
                logger.debug("leases of %s could not be taken over", lane.name, exc_info=True)
                continue
            failed = {failure.index for failure in failures}
            for index, (message, seconds) in enumerate(changes):
                if index not in failed:
                    message.lease.renew(now + seconds)
                    held.append(message)
        return held

    def beat(self) -> None:
        """Check all leases once, and extend those that are half over."""
        for deliveries in self._check():
            self._extend_all(deliveries)

    def _check(self) -> list[list[Delivery]]:
        """Report ended leases; return those to extend, by lane, without lanes that extend now."""
        over, due = self._in_flight.take_due_leases(self._renew)
        for delivery in over:
            self._dispatcher.lose(delivery, "its visibility timeout ended")
        with self._lock:
            free = [each for each in due if each[0].run.lane.name not in self._busy_lanes]
            self._busy_lanes |= {each[0].run.lane.name for each in free}
        return free

    def _extend_all(self, deliveries: Sequence[Delivery]) -> None:
        lane, rest = deliveries[0].run.lane, iter(deliveries)
        try:
            while batch := list(islice(rest, MAX_BATCH_ENTRIES)):
                self._extend(lane, batch)
        except BaseException:  # the next beat tries again
            logger.exception("leases of %s could not be extended", lane.name)
        finally:
            with self._lock:
                self._busy_lanes.discard(lane.name)

    def _extend(self, lane: Lane, deliveries: Sequence[Delivery]) -> None:
        now = self._clock()
        changes = self._in_flight.begin_extension(deliveries)
        if not changes:
            return
        try:
            failures = lane.client.change_visibility_batch(
                [(delivery.message, seconds) for delivery, seconds in changes]
            )
        except Exception as error:  # noqa: BLE001  # after any error, the next beat tries again
            self._note_error(lane, text_of(error) or type(error).__name__)
            return
        finally:
            self.requests += 1
            self._in_flight.end_extension([delivery for delivery, _ in changes])
        failed = {failure.index: failure for failure in failures}
        repeatable = [f"{f.reason} [{f.code}]" for f in failures if not is_final(f)]
        self._note_error(lane, repeatable[0] if repeatable else None)
        answered_at = self._clock()
        for index, (delivery, seconds) in enumerate(changes):
            if index not in failed:
                if delivery.message.lease.expires_at <= answered_at:
                    self._note_late(delivery)
                delivery.message.lease.renew(now + seconds)
            elif is_final(failed[index]):
                self._dispatcher.lose(delivery, failed[index].reason)
        if len(failed) < len(changes):
            self._events.publish(VisibilityExtended(lane.name, len(changes) - len(failed)))

    def _note_late(self, delivery: Delivery) -> None:
        match delivery.state:
            case "received" | "waiting" if not delivery.run.lane.is_last_receive(delivery.message):
                self._dispatcher.lose(delivery, _LATE)
            case "received" | "waiting" | "running" | "settling":
                self._events.publish(AckFailed(delivery.message, "extend", _LATE))

    def _note_error(self, lane: Lane, error: str | None) -> None:
        """Remember why leases can be lost soon; publish it once until an extension succeeds."""
        if self._in_flight.note_extension_error(lane, error) and error is not None:
            self._events.publish(ExtensionFailed(lane.name, error))

    def _work(self) -> None:
        while True:
            expected = self._clock() + self._interval
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._ending:
                return
            try:
                self._report_late_beat(self._clock() - expected)
                for deliveries in self._check():
                    self._extend_in_thread(deliveries)
            except BaseException:  # without this thread every long job would run twice
                logger.exception("a beat failed")

    def _report_late_beat(self, late_seconds: float) -> None:
        if late_seconds > self._shortest_lease / 4:
            bound = self._shortest_lease / 2 - self._interval
            self._events.publish(BeatLate(late_seconds, bound))

    def _extend_in_thread(self, deliveries: Sequence[Delivery]) -> None:
        name = f"sqsw-heartbeat-{deliveries[0].run.lane.name}"
        thread = threading.Thread(
            target=self._extend_all, args=(deliveries,), name=name, daemon=True
        )
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # the system cannot start a thread
            self._extend_all(deliveries)
        else:
            self._extenders = [*(t for t in self._extenders if t.is_alive()), thread]
