"""The acknowledger: deletes, returns, dead-letters and parks messages.

1. take      (up to ten settlements of one lane and kind, from the register)
2. send      (one call for them; repeat it for those that failed, while their leases last)
3. report    (to the register, the listeners and the shutdown policies)
4. retry     (start the failed runs whose next attempt in the worker is due)

It has one sender thread, and up to four equal ones while calls wait for the network. The senders
also do duty 4, because they already wait for the next due time. ``flush`` sends in the thread of
its caller.
"""

import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Clock
from sqsw.core.errors import ConnectionFailed, QueueNotFound
from sqsw.core.events import (
    AckFailed,
    BatchFinished,
    EventBus,
    JobDead,
    JobParked,
    MessageDeleted,
    MessageReturned,
)
from sqsw.core.lease_clock import lease_time
from sqsw.core.retry import retry_seconds
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import text_of
from sqsw.worker.dead_letters import DeadLetters
from sqsw.worker.delivery import Delivery, JobRun, tell_unrun
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane, is_final
from sqsw.worker.latency import NetworkLatency, now
from sqsw.worker.parked_retries import ParkedRetries

logger = SafeLogger(__name__)

#: seconds before a failed call is repeated, at first and at most
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.2, 5.0

#: seconds after which SQS has made a call or will not make it
_CALL_SECONDS = 10.0

#: the most sender threads
_MOST_SENDERS = 4

#: seconds to wait after a thread could not be started before trying to start one again
_NO_THREAD_SECONDS = 5.0


class Starter(Protocol):
    """Starts the runs of a group that has opened, and failed runs whose next attempt is due."""

    def start_ready(self) -> None: ...
    def start_retries(self) -> None: ...


class BatchPolicy(Protocol):
    """Takes the results of the jobs whose messages one call settled."""

    def settled(self, lane: Lane, result: BatchProcessingResult) -> None: ...


class Acknowledger:
    """Sends the settlements of the register to SQS, in batches."""

    def __init__(
        self,
        in_flight: InFlight,
        dispatcher: Starter,
        policies: BatchPolicy,
        dead_letters: DeadLetters,
        parked_retries: ParkedRetries,
        latency: NetworkLatency,
        events: EventBus,
        clock: Clock = lease_time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._in_flight = in_flight
        self._dispatcher = dispatcher
        self._policies = policies
        self._dead_letters = dead_letters
        self._parked_retries = parked_retries
        self._latency = latency
        self._events = events
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._add_again_at = float("-inf")
        self.requests = 0

    def start(self) -> None:
        """Start the first sender.

        Raises
        ------
        RuntimeError, MemoryError
            The system cannot start a thread.
        """
        if not self._threads:
            self._add_sender()

    def stop(self, deadline: float) -> None:
        """Send everything until ``deadline``, in seconds of its clock, and end the senders."""
        self._in_flight.hurry()
        if self._threads:
            # The senders send, so a call that hangs does not block this thread.
            self._in_flight.wait_until_settled(deadline)
        else:
            self.flush(deadline)
        self._give_up(self._in_flight.take_all_settlements())
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock()))

    def after_receive(self, lane: Lane) -> None:
        """Add a sender if settlements wait behind calls that wait for the network.

        After the stop, return in this thread what a last receive brought.
        """
        if self._in_flight.is_stopped:
            self.flush()
        elif self._latency.calls_wait:
            self._add_sender_if_needed()

    def flush(self, deadline: float | None = None) -> None:
        """Send everything in this thread.

        Parameters
        ----------
        deadline :
            Seconds of its clock. Failed calls are repeated until then, calls of other threads are
            awaited, and what is left counts as failed. None leaves failed calls for later.
        """
        while True:
            batch = self._in_flight.take_settlements()
            if batch is not None:
                self._send(batch)
            elif deadline is None or self._in_flight.is_settled:
                return
            elif not self._in_flight.wait_until_settled(deadline, due_too=True):
                self._give_up(self._in_flight.take_all_settlements())
                return

    # The senders.

    def _add_sender(self) -> None:
        with self._lock:
            if len(self._threads) >= _MOST_SENDERS:
                return
            name = f"sqsw-ack-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        while (batch := self._in_flight.wait_for_settlements()) is not None:
            if not batch:  # nothing to send, but the next attempt of a failed run is due
                self._dispatcher.start_retries()
                continue
            if self._latency.calls_wait:
                self._add_sender_if_needed()
            self._send_safely(batch)

    def _add_sender_if_needed(self) -> None:
        if (
            len(self._threads) >= _MOST_SENDERS
            or self._clock() < self._add_again_at
            or not self._in_flight.needs_sender()
        ):
            return
        try:
            self._add_sender()
        except (RuntimeError, MemoryError) as error:
            self._add_again_at = self._clock() + _NO_THREAD_SECONDS
            logger.warning("no further thread can be started to delete messages: %s", error)

    def _send_safely(self, batch: Sequence[Delivery]) -> None:
        try:
            self._send(batch)
        except BaseException:  # without these threads no message is deleted, so all jobs run again
            logger.exception("an acknowledgement failed")

    def _send(self, batch: Sequence[Delivery]) -> None:
        lane = batch[0].run.lane
        if batch[0].needs_copy:
            self._send_copies(lane, batch)
            return
        if not batch[0].is_delete:
            batch = self._in_time(lane, batch)
            if not batch:
                return
        refused: dict[int, tuple[str, bool]] = {}
        self.requests += 1
        called_at = self._clock()
        try:
            if batch[0].is_delete:
                begin = now()
                failures = lane.client.delete_batch([each.message for each in batch])
                self._latency.note_since(begin)
            else:
                changes = [(each.message, _hidden_seconds(each)) for each in batch]
                failures = lane.client.change_visibility_batch(changes, once=True)
            refused = {f.index: (f"{f.reason} [{f.code}]", is_final(f)) for f in failures}
        except Exception as error:  # noqa: BLE001  # after any error, these messages need an end
            # Only a missing queue is final. Any other error can pass: expired credentials, for
            # example, are replaced.
            final = isinstance(error, QueueNotFound)
            refused = dict.fromkeys(range(len(batch)), (text_of(error), final))
            if isinstance(error, ConnectionFailed) and error.reason == "no_answer":
                self._note_unanswered(batch, called_at)
        done: list[Delivery] = []
        failed: dict[Delivery, str] = {}
        for index, delivery in enumerate(batch):
            reason, final = refused.get(index, ("", False))
            if index not in refused:
                done.append(delivery)
            elif final or not self._try_later(delivery):
                failed[delivery] = reason
        self._finish(lane, done, failed)

    def _send_copies(self, lane: Lane, batch: Sequence[Delivery]) -> None:
        """Send copies to another queue or place; the next call for these messages deletes them."""
        is_parking = batch[0].record is None
        now = self._clock()
        reason = _LOST_TO_PARK if is_parking else _LOST
        failed = {each: reason for each in batch if each.message.lease.expires_at <= now}
        held = [each for each in batch if each not in failed]
        self.requests += 1
        events = {each: _copy_event(lane, each) for each in held}
        sender = self._parked_retries if is_parking else self._dead_letters
        sent, again, left = sender.send(lane, held)
        for delivery in sent:
            self._in_flight.copied(delivery)
            event = events[delivery]
            if event is not None:
                self._events.publish(event)
        for delivery in left:
            tell_unrun(self._events, self._in_flight.not_copied(delivery))
        for delivery, reason in again.items():
            if not self._try_later(delivery):
                failed[delivery] = reason
        self._finish(lane, [], failed)

    def _in_time(self, lane: Lane, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        """Drop returns whose leases have ended: other workers can have the messages."""
        now = self._clock()
        late = [each for each in batch if each.message.lease.expires_at <= now]
        self._finish(lane, [], dict.fromkeys(late, _RETURNED_BY_SQS))
        return [each for each in batch if each not in late] if late else batch

    def _note_unanswered(self, batch: Sequence[Delivery], called_at: float) -> None:
        """Note until when returns can be repeated although SQS may have made them."""
        for delivery in batch:
            settlement = delivery.settlement
            if settlement is not None and settlement.hidden_seconds is not None:
                until = called_at + settlement.hidden_seconds - _CALL_SECONDS
                settlement.repeat_until = min(settlement.repeat_until, until)

    def _try_later(self, delivery: Delivery) -> bool:
        """Repeat a failed call later; return False if another worker can have the message then."""
        calls = 0 if delivery.settlement is None else delivery.settlement.calls
        seconds = retry_seconds(calls, _FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS, self._jitter)
        return self._in_flight.settle_later(delivery, self._clock() + seconds)

    def _give_up(self, left: Sequence[Delivery]) -> None:
        reason = "the worker stopped before a request for it succeeded"
        for delivery in left:
            self._finish(delivery.run.lane, [], {delivery: reason})

    def _finish(self, lane: Lane, done: Sequence[Delivery], failed: dict[Delivery, str]) -> None:
        """Report what SQS did and what failed for good, with the reason."""
        if not (done or failed):
            return
        result = BatchProcessingResult(lane.name)
        wants_deleted = self._events.wants(MessageDeleted)
        now = self._clock()
        for delivery in done:
            settlement = delivery.settlement
            if settlement is None or settlement.hidden_seconds is None:
                is_copied = settlement is not None and settlement.is_copied
                (result.failed if is_copied else result.succeeded).append(delivery.message)
                if delivery.message.lease.expires_at <= now:
                    # SQS reports success for an old receipt handle, but need not delete.
                    self._events.publish(AckFailed(delivery.message, "delete", _LATE))
                elif wants_deleted:
                    self._events.publish(MessageDeleted(delivery.message))
                continue
            hidden, started = settlement.hidden_seconds, settlement.started
            self._events.publish(MessageReturned(delivery.message, hidden, started))
            if started:
                result.failed.append(delivery.message)
        for delivery, reason in failed.items():
            action = "delete" if delivery.is_delete else "return"
            if delivery.needs_copy:
                action = "park" if delivery.record is None else "dead-letter"
            self._events.publish(AckFailed(delivery.message, action, reason))
            if delivery.settlement is not None and delivery.settlement.started:
                result.failed.append(delivery.message)
        returned: list[JobRun] = self._in_flight.settled([*done, *failed], failed.keys())
        tell_unrun(self._events, returned)
        if lane.is_fifo or self._in_flight.isolation.is_on:
            self._dispatcher.start_ready()
        if result.succeeded or result.failed:
            if self._events.wants(BatchFinished):
                self._events.publish(BatchFinished(result))
            self._policies.settled(lane, result)


#: why a message was not sent to the dead-letter queue, or not parked
_LOST = "its visibility timeout ended before it was sent to the dead-letter queue"
_LOST_TO_PARK = "its visibility timeout ended before it was parked"

#: why a message may not be deleted although SQS reported success
_LATE = "its visibility timeout ended first, so another worker may have received it"


#: why a message was not returned
_RETURNED_BY_SQS = "its visibility timeout ended first, so SQS has returned it"


def _hidden_seconds(delivery: Delivery) -> int:
    return (delivery.settlement and delivery.settlement.hidden_seconds) or 0


def _copy_event(lane: Lane, delivery: Delivery) -> JobDead | JobParked | None:
    """Return the event to publish after the copy of a message was accepted."""
    message, job, record = delivery.message, delivery.job, delivery.record
    if record is not None and lane.dead_letter_queue is not None:
        dead_letter_queue = lane.dead_letter_queue
        return JobDead(
            *(message, job.name, dead_letter_queue, record), is_registered=job.is_registered
        )
    if delivery.park_until is None:
        return None
    due = datetime.fromtimestamp(delivery.park_until, UTC)
    return JobParked(message, job.name, due, is_registered=job.is_registered)
