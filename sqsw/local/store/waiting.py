"""Long polling: receives that wait, and who wakes them.

Waiting receives stand in line, a line a queue. One is woken for each message that was made
available; who stands first also watches the clock for the next deadline of its queue. Who leaves,
with a message or without, wakes the next one, so that neither a wake nor the watch is lost.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, Protocol

from sqsw.local.store.clock import Clock, real_monotonic
from sqsw.local.store.wake_sockets import WakeSockets


class Wake(NamedTuple):
    """So many messages of a queue have become available, or its next deadline has moved."""

    queue_id: int
    #: receives to wake: one for each message
    waiters: int


class Waiter:
    """One waiting receive.

    Parameters
    ----------
    queue_id :
        The row of its queue.
    wake :
        Called from any thread when it should look again: it must not block.
    """

    def __init__(self, queue_id: int, wake: Callable[[], None]) -> None:
        self.queue_id = queue_id
        self._wake = wake
        #: woken and not looked since; the next message wakes the next in line
        self.is_woken = False
        #: answer at once, without another look
        self.is_ended = False

    def wake(self) -> None:
        self.is_woken = True
        self._wake()


class Waiters:
    """All receives of this process that wait on one engine.

    Parameters
    ----------
    path :
        The file that is shared with other processes; None: there are no others.
    data_version :
        A number that changes when another process has written to the file.
    """

    def __init__(
        self, path: str | None = None, data_version: Callable[[], int] | None = None
    ) -> None:
        self._lock = threading.Lock()
        self._lines: dict[int, dict[Waiter, None]] = {}
        self._data_version = data_version
        self._seen_version: int | None = None
        self._sockets = WakeSockets(path, self._wake_line, self._tick) if path else None

    def join(self, queue_id: int, wake: Callable[[], None]) -> Waiter:
        """Stand in line. Look once more after it: what came before has woken nobody."""
        waiter = Waiter(queue_id, wake)
        with self._lock:
            self._lines.setdefault(queue_id, {})[waiter] = None
        if self._sockets:
            self._sockets.listen()
        return waiter

    def leave(self, waiter: Waiter) -> None:
        with self._lock:
            line = self._lines.get(waiter.queue_id, {})
            line.pop(waiter, None)
            if not line:
                self._lines.pop(waiter.queue_id, None)
        self._wake_line(waiter.queue_id, 1)

    def is_first(self, waiter: Waiter) -> bool:
        with self._lock:
            return next(iter(self._lines.get(waiter.queue_id, {})), None) is waiter

    def announce(self, wakes: Iterable[Wake]) -> None:
        """Wake here and in the other processes; call it after the commit."""
        for queue_id, count in wakes:
            self._wake_line(queue_id, count)
            if self._sockets:
                self._sockets.send(queue_id, count)

    def wake_first(self) -> None:
        """Wake the first of every line: time has moved, or another process has written."""
        with self._lock:
            first = [next(iter(line)) for line in self._lines.values() if line]
        for waiter in first:
            waiter.wake()

    def wake_all(self) -> None:
        """Wake everybody: the clock was moved, so that times to wait may be over."""
        for waiter in self._everybody():
            waiter.wake()

    def end_all(self) -> None:
        """Every receive that waits now answers at once, with nothing."""
        for waiter in self._everybody():
            waiter.is_ended = True
            waiter.wake()

    def close(self) -> None:
        self.end_all()
        if self._sockets:
            self._sockets.close()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Entered, no other thread is inside: for a fork."""
        with self._lock, self._sockets.lock if self._sockets else nullcontext():
            yield

    def forget(self) -> None:
        """In a forked child: the threads that waited are the parent's."""
        self._lines.clear()

    def renew(self) -> None:
        """The same where another thread of the parent was inside."""
        self._lock = threading.Lock()
        self.forget()
        if self._sockets:
            self._sockets.lock = threading.Lock()

    def _everybody(self) -> list[Waiter]:
        with self._lock:
            return [waiter for line in self._lines.values() for waiter in line]

    def _wake_line(self, queue_id: int, count: int) -> None:
        chosen: list[Waiter] = []
        with self._lock:
            line = self._lines.get(queue_id, {})
            for waiter in line:
                if len(chosen) == count:
                    break
                if not waiter.is_woken:
                    waiter.is_woken = True
                    chosen.append(waiter)
        for waiter in chosen:
            waiter.wake()

    def _tick(self) -> None:
        if not self._lines or self._data_version is None:
            return
        version = self._data_version()
        if version != self._seen_version:
            self._seen_version = version
            self.wake_first()


class Poll(Protocol):
    """What a waiting receive can be asked."""

    queue_id: int
    #: seconds it may wait in all
    wait_seconds: int

    def look(self) -> dict[str, Any] | None:
        """The answer, or None while there is nothing."""

    def seconds_to_deadline(self) -> float | None:
        """Seconds until something becomes available by itself; None: nothing will."""


def wait_for(poll: Poll, waiters: Waiters, clock: Clock) -> dict[str, Any]:
    """Look until there is an answer or the time is over; blocks the calling thread.

    The time ends by the engine's clock, which tests move, or by real time, since a clock in tests
    may also stand still.
    """
    event = threading.Event()
    ends, ends_real = clock() + poll.wait_seconds, real_monotonic() + poll.wait_seconds
    waiter = waiters.join(poll.queue_id, event.set)
    try:
        while True:
            event.clear()  # before all that is asked now: what comes later sets it again
            waiter.is_woken = False
            if waiter.is_ended:
                break
            answer = poll.look()
            if answer is not None:
                return answer
            left = min(ends - clock(), ends_real - real_monotonic())
            if left <= 0:
                break
            deadline = poll.seconds_to_deadline() if waiters.is_first(waiter) else None
            event.wait(left if deadline is None else min(left, deadline))
        return {}
    finally:
        waiters.leave(waiter)
