"""The acknowledger: tells SQS how jobs ended.

1. collect   (deletes and returns, up to ten of a lane, for ``linger_seconds`` at most)
2. send      (one call for them; what fails is tried again while the lease lives)
3. tell      (the dispatcher: out of hand; the listeners; who asked for the batches)

Started after the heartbeat and stopped before it by ``Worker``; a few sender threads, all alike.
``flush`` does the same in the thread of its caller.
"""

import heapq
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Clock
from sqsw.core.errors import QueueNotFound
from sqsw.core.events import AckFailed, BatchFinished, EventBus, MessageDeleted, MessageReturned
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.worker.lane import Lane, is_final

logger = logging.getLogger(__name__)

#: seconds before a failed call is repeated, at first and at most
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.2, 5.0

#: seconds to wait for an extension under way, which would undo the return of its message
_FORGET_SECONDS = 3.0


@dataclass(slots=True, eq=False)
class _Ack:
    lane: Lane
    message: Message
    hidden_seconds: int | None  # None: delete it
    started: bool
    due: float
    attempts: int = 0


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
    senders :
        Threads that send.
    """

    def __init__(
        self,
        *,
        events: EventBus,
        forget: Callable[[Sequence[Message], float], None],
        on_acknowledged: Callable[[Lane, Sequence[Message], bool], None],
        on_batch: Callable[[Lane, BatchProcessingResult], None],
        linger_seconds: float = 0.0,
        senders: int = 2,
        clock: Clock = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._events = events
        self._forget = forget
        self._on_acknowledged = on_acknowledged
        self._on_batch = on_batch
        self._linger = linger_seconds
        self._senders = senders
        self._clock = clock
        self._jitter = jitter
        self._changed = threading.Condition()
        self._lines: dict[tuple[str, bool], deque[_Ack]] = {}
        self._later: list[tuple[float, int, _Ack]] = []
        self._numbers = count()
        self._held: set[str] = set()
        self._hurry = False
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self.requests = 0

    def start(self) -> None:
        """Begin to send."""
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._work, name=f"sqsw-ack-{n + 1}", daemon=True)
                for n in range(self._senders)
            ]
            for thread in self._threads:
                thread.start()

    def quiet(self) -> None:
        """Send at once from now on."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()

    def stop(self, deadline: float) -> None:
        """Send all there is, until ``deadline``; what comes later is sent by who brings it."""
        self.quiet()
        threads, self._threads = self._threads, []
        if threads:
            # The senders do it: a call that hangs must not hold up who stops.
            with self._changed:
                while self._held and (seconds := deadline - self._clock()) > 0:
                    self._changed.wait(seconds)
        else:
            self.flush(deadline)
        with self._changed:
            self._stopped = True
            left = self._take_rest()
            self._changed.notify_all()
        self._give_up(left)
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock()))

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
        due = self._clock() + (0.0 if urgent else self._linger)
        with self._changed:
            line = self._lines.setdefault((lane.name, hidden_seconds is None), deque())
            for message in messages:
                self._held.add(message.receipt_handle)
                line.append(_Ack(lane, message, hidden_seconds, started, due))
            # Somebody has to look anew: at once, or because the time of the first one counts now.
            if urgent or len(line) <= len(messages) or len(line) >= MAX_BATCH_ENTRIES:
                self._changed.notify()
            stopped = self._stopped
        if stopped:
            self.flush()

    # Duty 2.

    def flush(self, deadline: float | None = None) -> None:
        """Send all there is, in this thread.

        Without a deadline, what fails is left for later. With one (monotonic seconds) it is tried
        again until then, what other threads are sending is waited for, and the rest has failed.
        """
        while True:
            with self._changed:
                now = self._clock()
                batch = self._take(now, everything=True)
                if batch is None:
                    if deadline is None or not self._held:
                        return
                    if now >= deadline:
                        left = self._take_rest()
                        break
                    self._changed.wait(min(deadline, self._next_due()) - now)
                    continue
            self._send(batch)
        self._give_up(left)

    def _take_rest(self) -> list[_Ack]:
        left, self._later = [ack for _, _, ack in self._later], []
        for line in self._lines.values():
            left += line
            line.clear()
        return left

    def _give_up(self, left: Sequence[_Ack]) -> None:
        for ack in left:
            reason = "the worker stopped before SQS could be told"
            self._finish(ack.lane, ack.hidden_seconds is None, [], [(ack, reason)])

    def _work(self) -> None:
        while True:
            with self._changed:
                while (batch := self._take(self._clock(), everything=self._hurry)) is None:
                    if self._stopped:
                        return
                    wait = self._next_due() - self._clock()
                    self._changed.wait(None if wait == float("inf") else max(0.0, wait))
            try:
                self._send(batch)
            except BaseException:  # without these threads everything would run twice
                logger.exception("an acknowledgement failed")

    def _take(self, now: float, *, everything: bool) -> list[_Ack] | None:
        while self._later and self._later[0][0] <= now:
            _, _, ack = heapq.heappop(self._later)
            self._lines[ack.lane.name, ack.hidden_seconds is None].appendleft(ack)
        chosen: deque[_Ack] | None = None
        for line in self._lines.values():
            if (
                line
                and (everything or len(line) >= MAX_BATCH_ENTRIES or line[0].due <= now)
                and (chosen is None or line[0].due < chosen[0].due)
            ):
                chosen = line
        if chosen is None:
            return None
        return [chosen.popleft() for _ in range(min(MAX_BATCH_ENTRIES, len(chosen)))]

    def _next_due(self) -> float:
        dues = [line[0].due for line in self._lines.values() if line]
        if self._later:
            dues.append(self._later[0][0])
        return min(dues, default=float("inf"))

    def _send(self, batch: Sequence[_Ack]) -> None:
        lane, deleting = batch[0].lane, batch[0].hidden_seconds is None
        messages = [ack.message for ack in batch]
        if not deleting:
            self._forget(messages, _FORGET_SECONDS)
        refused: dict[int, tuple[str, bool]] = {}
        try:
            if deleting:
                failures = lane.client.delete_batch(messages)
            else:
                failures = lane.client.change_visibility_batch(
                    [(ack.message, ack.hidden_seconds or 0) for ack in batch]
                )
            refused = {f.index: (f"{f.reason} [{f.code}]", is_final(f)) for f in failures}
        except Exception as error:  # noqa: BLE001  # whatever it was, the messages must not be forgotten
            # Without the queue there is nothing to tell; all else may pass, as when credentials
            # have expired and new ones are on their way.
            final = isinstance(error, QueueNotFound)
            refused = dict.fromkeys(range(len(batch)), (str(error), final))
        done, failed = [], []
        for index, ack in enumerate(batch):
            reason, final = refused.get(index, ("", False))
            if index not in refused:
                done.append(ack)
            elif final or not self._try_later(ack):
                failed.append((ack, reason))
        with self._changed:
            self.requests += 1
        self._finish(lane, deleting, done, failed)

    def _try_later(self, ack: _Ack) -> bool:
        seconds = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2**ack.attempts)
        when = self._clock() + seconds * (0.5 + self._jitter() / 2)
        if when >= ack.message.lease.expires_at:
            return False
        ack.attempts += 1
        ack.due = when
        with self._changed:
            heapq.heappush(self._later, (when, next(self._numbers), ack))
            self._changed.notify()
        return True

    # Duty 3.

    def _finish(
        self,
        lane: Lane,
        deleting: bool,
        done: Sequence[_Ack],
        failed: Sequence[tuple[_Ack, str]],
    ) -> None:
        succeeded = [ack.message for ack in done]
        given_up = [ack.message for ack, _ in failed]
        if deleting:
            self._forget(succeeded + given_up, 0.0)
        for ack in done:
            if ack.hidden_seconds is None:
                self._events.publish(MessageDeleted(ack.message))
            else:
                event = MessageReturned(ack.message, ack.hidden_seconds, ack.started)
                self._events.publish(event)
        for ack, reason in failed:
            action = "delete" if deleting else "return"
            self._events.publish(AckFailed(ack.message, action, reason))
        with self._changed:
            self._held.difference_update(m.receipt_handle for m in succeeded + given_up)
            if self._hurry:
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
