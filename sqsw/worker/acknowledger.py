"""The acknowledger: tells SQS how jobs ended.

1. collect   (deletes and returns, up to ten of a lane, for ``linger_seconds`` at most)
2. send      (one call for them; what fails is tried again while the lease lives)
3. tell      (the dispatcher: out of hand; the listeners; who asked for the batches)

Started after the heartbeat and stopped before it by ``Worker``. Where calls do not wait for the
network, a poller sends ten deletes after each receive (``after_receive``) and one sender thread all
else; where they do, up to four senders, all alike. ``flush`` does it in the thread of its caller.
"""

import random
import threading
from collections.abc import Callable, Sequence

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Clock
from sqsw.core.errors import QueueNotFound
from sqsw.core.events import AckFailed, BatchFinished, EventBus, MessageDeleted, MessageReturned
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import text_of
from sqsw.worker.ack_lines import Ack, AckLines
from sqsw.worker.lane import Lane, is_final
from sqsw.worker.pace import Pace, now
from sqsw.worker.senders import Senders

logger = SafeLogger(__name__)

#: seconds before a failed call is repeated, at first and at most
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.2, 5.0

#: seconds to wait for an extension under way, which would undo the return of its message
_FORGET_SECONDS = 3.0


class Acknowledger:
    """Batched deletes and visibility changes.

    Parameters
    ----------
    forget :
        Called with messages before they are returned, and after they were deleted; and with how
        many seconds to wait for extensions of them that are under way.
    on_acknowledged :
        Called with messages that are out of hand, and whether they were deleted.
    on_batch :
        Called with what became of the jobs of each call to SQS.
    linger_seconds :
        How long a message waits for others of its lane; FIFO queues do not wait at all.
    most_senders :
        Threads that send, at most; the second is started when calls wait and the first is busy.
    pace :
        Whether calls wait.
    """

    def __init__(
        self,
        *,
        events: EventBus,
        forget: Callable[[Sequence[Message], float], None],
        on_acknowledged: Callable[[Lane, Sequence[Message], bool], None],
        on_batch: Callable[[Lane, BatchProcessingResult], None],
        linger_seconds: float = 0.0,
        most_senders: int = 4,
        pace: Pace | None = None,
        clock: Clock = lease_time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._events = events
        self._forget = forget
        self._on_acknowledged = on_acknowledged
        self._on_batch = on_batch
        self._linger = linger_seconds
        self._pace = pace or Pace()
        self._clock = clock
        self._jitter = jitter
        self._changed = threading.Condition()
        self._lines = AckLines()
        self._held: set[str] = set()
        self._stopping = self._stopped = False
        self._senders = Senders(
            self._lines,
            self._changed,
            self._send_whatever_comes,
            most=most_senders,
            pace=self._pace,
            clock=clock,
        )
        self.requests = 0

    def start(self) -> None:
        """Begin to send."""
        if not self._senders.are_running:
            self._senders.add()

    def quiet(self) -> None:
        """Send at once from now on."""
        with self._changed:
            self._senders.hurry()

    def stop(self, deadline: float) -> None:
        """Send all there is, until ``deadline``; what comes later is sent by who brings it."""
        self._stopping = True
        self.quiet()
        if self._senders.are_running:
            # The senders do it: a call that hangs must not hold up who stops.
            with self._changed:
                while self._held and (seconds := deadline - self._clock()) > 0:
                    self._changed.wait(seconds)
        else:
            self.flush(deadline)
        with self._changed:
            self._stopped = True
            left = self._lines.take_all()
            self._senders.end()
        self._give_up(left)
        self._senders.join(deadline)

    # Duty 1.

    def put(self, lane: Lane, message: Message, hidden_seconds: int | None) -> None:
        """A job ended: delete its message, or hide it for so many seconds where there are any."""
        self._add(lane, [message], hidden_seconds, started=True, urgent=lane.is_fifo)

    def put_back(
        self, lane: Lane, messages: Sequence[Message], hidden_seconds: int, started: bool = False
    ) -> None:
        """Let others have these messages, after so many seconds."""
        self._add(lane, messages, hidden_seconds, started=started, urgent=True)

    def holds(self, message: Message) -> bool:
        """Whether this message is on its way out."""
        return message.receipt_handle in self._held

    def _add(
        self,
        lane: Lane,
        messages: Sequence[Message],
        hidden_seconds: int | None,
        *,
        started: bool,
        urgent: bool,
    ) -> None:
        if not messages:
            return
        due = self._clock() + (0.0 if urgent else self._linger)
        acks = [Ack(lane, message, hidden_seconds, started, due) for message in messages]
        with self._changed:
            for message in messages:
                self._held.add(message.receipt_handle)
            more = self._senders.note(self._lines.add(acks), due, urgent=urgent)
            stopped = self._stopped
        if stopped:
            self.flush()
        elif more:
            self._senders.add()

    # Duty 2.

    def after_receive(self, lane: Lane) -> None:
        """Send ten deletes of a lane in this thread, where there are as many and calls are quick.

        Two threads that make quick calls at the same time take the interpreter from each other.
        """
        if self._pace.calls_wait:
            return
        with self._changed:
            batch = self._lines.take_full(lane.name)
        if batch is not None:
            self._send_whatever_comes(batch)

    def flush(self, deadline: float | None = None) -> None:
        """Send all there is, in this thread.

        Without a deadline, failed calls are left for later. With a deadline (seconds of its clock),
        they are repeated until then, calls of other threads are waited for, and the rest has
        failed.
        """
        while True:
            with self._changed:
                now = self._clock()
                batch = self._lines.take(now, 1)
                if batch is None:
                    if deadline is None or not self._held:
                        return
                    if now >= deadline:
                        left = self._lines.take_all()
                        break
                    self._changed.wait(min(deadline, self._lines.next_due()) - now)
                    continue
            self._send(batch)
        self._give_up(left)

    def _give_up(self, left: Sequence[Ack]) -> None:
        for ack in left:
            reason = "the worker stopped before SQS could be told"
            self._finish(ack.lane, ack.hidden_seconds is None, [], [(ack, reason)])

    def _send_whatever_comes(self, batch: Sequence[Ack]) -> None:
        try:
            self._send(batch)
        except BaseException:  # without these threads everything would run twice
            logger.exception("an acknowledgement failed")

    def _send(self, batch: Sequence[Ack]) -> None:
        lane, deleting = batch[0].lane, batch[0].hidden_seconds is None
        messages = [ack.message for ack in batch]
        with self._changed:
            self.requests += 1
        if not deleting:
            self._forget(messages, _FORGET_SECONDS)
        refused: dict[int, tuple[str, bool]] = {}
        try:
            if deleting:
                begin = now()
                failures = lane.client.delete_batch(messages)
                self._pace.note_since(begin)
            else:
                failures = lane.client.change_visibility_batch(
                    [(ack.message, ack.hidden_seconds or 0) for ack in batch]
                )
            refused = {f.index: (f"{f.reason} [{f.code}]", is_final(f)) for f in failures}
        except Exception as error:  # noqa: BLE001  # whatever it was, the messages must not be forgotten
            # Without the queue there is nothing to tell; all else may pass, as when credentials
            # have expired and new ones are on their way.
            final = isinstance(error, QueueNotFound)
            refused = dict.fromkeys(range(len(batch)), (text_of(error), final))
        done, failed = [], []
        for index, ack in enumerate(batch):
            reason, final = refused.get(index, ("", False))
            if index not in refused:
                done.append(ack)
            elif final or not self._try_later(ack):
                failed.append((ack, reason))
        self._finish(lane, deleting, done, failed)

    def _try_later(self, ack: Ack) -> bool:
        seconds = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2**ack.attempts)
        when = self._clock() + seconds * (0.5 + self._jitter() / 2)
        if when >= ack.message.lease.expires_at:
            return False
        ack.attempts += 1
        ack.due = when
        with self._changed:
            self._lines.add_later(ack)
            self._changed.notify()
        return True

    # Duty 3.

    def _finish(
        self,
        lane: Lane,
        deleting: bool,
        done: Sequence[Ack],
        failed: Sequence[tuple[Ack, str]],
    ) -> None:
        succeeded = [ack.message for ack in done]
        given_up = [ack.message for ack, _ in failed]
        if deleting:
            self._forget(succeeded + given_up, 0.0)
        for ack in done:
            if ack.hidden_seconds is None:
                if self._events.wants(MessageDeleted):
                    self._events.publish(MessageDeleted(ack.message))
            else:
                event = MessageReturned(ack.message, ack.hidden_seconds, ack.started)
                self._events.publish(event)
        for ack, reason in failed:
            action = "delete" if deleting else "return"
            self._events.publish(AckFailed(ack.message, action, reason))
        with self._changed:
            self._held.difference_update(m.receipt_handle for m in succeeded + given_up)
            if self._stopping and not self._held:
                self._changed.notify_all()
        if succeeded:
            self._on_acknowledged(lane, succeeded, deleting)
        if given_up:
            self._on_acknowledged(lane, given_up, False)
        result = BatchProcessingResult(lane.name)
        result.update((ack.message for ack in done if ack.started), success=deleting)
        result.update((ack.message for ack, _ in failed if ack.started), success=False)
        if result.total_count():
            self._events.publish(BatchFinished(result))
            self._on_batch(lane, result)
