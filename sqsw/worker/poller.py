"""The poller: brings messages in.

1. take credit   (none left: wait; closed: end)
2. receive       (a long poll of one lane)
3. hand over     (``accept``, then the credit goes back)

Started last and quieted first by ``Worker``; one thread a lane.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from sqsw.core.contracts import Clock
from sqsw.core.errors import AccessDenied, QueueNotFound, SettingsError
from sqsw.core.events import EventBus, ReceiveDone, ReceiveError
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.worker.credits import Credits
from sqsw.worker.lane import Lane, Poll, receive

logger = logging.getLogger(__name__)

#: seconds before a failed receive is repeated, at first and at most
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 25.0

#: seconds; a closed lane is told at once, so this is for nothing but safety
_CREDIT_SECONDS = 5.0


class Poller:
    """Receives for one lane, within its credit.

    Parameters
    ----------
    accept :
        Takes over what a receive brought.
    poll_begins, poll_ended :
        Methods of the shutdown watch.
    on_fatal :
        Called where the very first receive shows that there is nothing to receive from.
    """

    def __init__(
        self,
        lane: Lane,
        credits: Credits,
        *,
        accept: Callable[[Lane, Sequence[Message]], None],
        poll_begins: Callable[[Lane], Poll],
        poll_ended: Callable[[Lane, Poll, int], None],
        on_fatal: Callable[[BaseException], None],
        events: EventBus,
        clock: Clock = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.lane = lane
        self._credits = credits
        self._accept = accept
        self._poll_begins, self._poll_ended = poll_begins, poll_ended
        self._on_fatal = on_fatal
        self._events = events
        self._clock = clock
        self._jitter = jitter
        self._quiet = threading.Event()
        self._thread: threading.Thread | None = None
        self._receiving = False
        self._answered = False
        self._errors = 0
        self.requests = 0

    def start(self) -> None:
        """Begin to receive."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name=f"sqsw-poll-{self.lane.name}", daemon=True
            )
            self._thread.start()

    def quiet(self) -> None:
        """No receive any more after the one under way."""
        self._quiet.set()
        self._credits.close(self.lane.name)

    def end_poll(self) -> None:
        """Ask the other side to answer the receive that waits now, where it can do that."""
        if self._receiving:
            try:
                self.lane.client.end_polls()
            except Exception:  # then the poll ends by itself
                logger.debug("could not end the poll of %s", self.lane.name, exc_info=True)

    def is_alive(self) -> bool:
        """Whether a receive may still bring something."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self, deadline: float) -> None:
        """Wait for the receive under way. One that lasts longer puts back what it brings."""
        self.quiet()
        while self._thread is not None and self.is_alive():
            self.end_poll()
            self._thread.join(0.02)
            if self._clock() >= deadline:
                return

    def step(self) -> int:
        """One receive; the number of messages that it brought."""
        lane = self.lane
        # A lane that hands out lists has one credit for a whole list.
        want = 1 if lane.batch_size > 1 else MAX_BATCH_ENTRIES
        count = self._credits.take(lane.name, want, _CREDIT_SECONDS)
        if count == 0:
            return 0
        try:
            answer = self._poll(count * lane.batch_size)
        finally:
            self._credits.give_back(lane.name, count)
        if isinstance(answer, Exception):
            self._failed(answer)
            return 0
        poll, arrived = answer
        self._events.publish(ReceiveDone(lane.name, arrived))
        self._poll_ended(lane, poll, arrived)
        return arrived

    def _poll(self, wanted: int) -> tuple[Poll, int] | Exception:
        """Receive and hand over; what was polled and how many came, or the error instead."""
        poll = self._poll_begins(self.lane)
        self._receiving = True
        try:
            messages, requests = receive(self.lane, wanted, poll.wait_seconds)
        except Exception as error:  # noqa: BLE001  # never the end of a worker, whatever it is
            self.requests += 1
            return error
        finally:
            self._receiving = False
        self.requests += requests
        self._answered = True
        self._errors = 0
        self._accept(self.lane, messages)
        return poll, len(messages)

    def _failed(self, error: Exception) -> None:
        fatal = isinstance(error, QueueNotFound | AccessDenied | SettingsError)
        if fatal and not self._answered:
            self.quiet()
            self._on_fatal(error)
            return
        most = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(self._errors, 10))
        self._errors += 1
        seconds = most * (0.5 + self._jitter() / 2)
        self._events.publish(ReceiveError(self.lane.name, error, seconds))
        self._quiet.wait(seconds)

    def _work(self) -> None:
        while not self._quiet.is_set():
            try:
                self.step()
            except BaseException:  # a lane whose thread is gone would stand still unseen
                logger.exception("the poller of %s failed", self.lane.name)
                self._quiet.wait(1.0)
