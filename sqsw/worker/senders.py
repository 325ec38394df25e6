"""The threads that tell SQS how jobs ended: how many there are, and which one looks when."""

import threading
from collections.abc import Callable, Sequence

from sqsw.core.contracts import Clock
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.ack_lines import NEVER, Ack, AckLines
from sqsw.worker.pace import Pace

logger = SafeLogger(__name__)

#: seconds until another thread is tried after one could not be started
_NO_THREAD_SECONDS = 5.0


class Senders:
    """One thread, and up to ``most`` while calls wait; all alike.

    Parameters
    ----------
    lines :
        What is to be sent.
    changed :
        The condition whose lock guards the lines.
    send :
        Sends a batch; it never raises.
    pace :
        Whether calls wait.
    """

    def __init__(
        self,
        lines: AckLines,
        changed: threading.Condition,
        send: Callable[[Sequence[Ack]], None],
        *,
        most: int,
        pace: Pace,
        clock: Clock,
    ) -> None:
        self._lines = lines
        self._changed = changed
        self._send = send
        self._most = most
        self._pace = pace
        self._clock = clock
        self._idle = 0
        self._next_look = self._last_due = NEVER
        self._add_again_at = -NEVER
        self._hurry = False
        self._stopped = False
        self._threads: list[threading.Thread] = []

    @property
    def are_running(self) -> bool:
        """Whether there are any."""
        return bool(self._threads)

    def add(self) -> None:
        """Start one more, unless there are enough by now; those that run can do without.

        Raises
        ------
        RuntimeError, MemoryError
            There is no thread to be had, and none runs.
        """
        with self._changed:
            error = self._add()
        if error is not None:
            logger.warning("no more threads to tell SQS how jobs ended: %s", error)

    def _add(self) -> Exception | None:
        """Under the lock: two that add at once must not add too many."""
        if self._stopped or len(self._threads) >= self._most:
            return None
        name = f"sqsw-ack-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            if not self._threads:
                raise
            self._add_again_at = self._clock() + _NO_THREAD_SECONDS
            return error
        self._threads.append(thread)
        return None

    def hurry(self) -> None:
        """Send at once from now on; called under the lock."""
        self._hurry = True
        self._changed.notify_all()

    def end(self) -> None:
        """End those that are idle; called under the lock."""
        self._stopped = True
        self._changed.notify_all()

    def join(self, deadline: float) -> None:
        """Wait for them, until ``deadline``."""
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock()))

    def note(self, length: int, due: float, *, urgent: bool) -> bool:
        """There is more in a line, which holds ``length`` now; whether one more is needed.

        Called under the lock.
        """
        self._last_due = due
        # Somebody has to look anew, unless one who waits will look in time anyway.
        if not (urgent or length >= self._enough() or due < self._next_look):
            return False
        self._changed.notify()
        return (
            self._pace.calls_wait
            and not self._idle
            and 0 < len(self._threads) < self._most
            and self._clock() >= self._add_again_at
        )

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._send(batch)

    def _next_batch(self) -> list[Ack] | None:
        """What this thread is to send; None once there will be nothing any more."""
        with self._changed:
            while (batch := self._lines.take(self._clock(), self._enough())) is None:
                if self._stopped:
                    return None
                due = self._next_due()
                # One looks when it is time; the others wait until somebody has something for them.
                looks = due < self._next_look
                if looks:
                    self._next_look = due
                self._idle += 1
                self._changed.wait(max(0.0, due - self._clock()) if looks else None)
                self._idle -= 1
                if looks:
                    self._next_look = NEVER
            if self._idle and self._lines.next_due() < self._next_look:
                self._changed.notify()  # another one has to look while this one sends
            return batch

    def _next_due(self) -> float:
        due = self._lines.next_due()
        if due == NEVER and self._clock() < self._last_due < NEVER:
            # A poller has sent them. More will come, and who looks then need not be woken for it.
            return self._last_due
        return due

    def _enough(self) -> int:
        """How many of a lane make a thread begin."""
        if self._hurry:
            return 1
        # Where a poller sends ten after each receive, these only take what it leaves.
        return MAX_BATCH_ENTRIES if self._pace.calls_wait else 2 * MAX_BATCH_ENTRIES
