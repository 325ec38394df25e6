"""Long polling: receives that wait, and how they are woken.

Each queue has a line of waiting receives. Each message that becomes available wakes one of them.
The first one also watches the clock for the next deadline of its queue. A receive that leaves, with
or without a message, wakes the next one, so neither a wake-up nor the watch is lost.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, Protocol

from sqsw.local.store.clock import Clock, real_monotonic
from sqsw.local.store.wake_sockets import WakeSockets


class Wake(NamedTuple):
    """Messages of a queue have become available, or its next deadline has moved."""

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
        Called from any thread when the receive should look again; must not block.
    """

    def __init__(self, queue_id: int, wake: Callable[[], None]) -> None:
        self.queue_id = queue_id
        self._wake = wake
        #: woken, but has not looked yet; the next message wakes the next receive in line
        self.is_woken = False
        #: must answer at once, without another look
        self.is_ended = False

    def wake(self) -> None:
        self.is_woken = True
        self._wake()


class Waiters:
    """The receives of this process that wait on one engine.

    Parameters
    ----------
    path :
        The file that other processes share; None if there are none.
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
        """Join the line. Look again afterwards: earlier messages have not woken this receive."""
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
        """Wake receives here and in other processes; call this after the commit."""
        for queue_id, count in wakes:
            self._wake_line(queue_id, count)
            if self._sockets:
                self._sockets.send(queue_id, count)

    def wake_first(self) -> None:
        """Wake the first receive of every line: time has moved, or another process has written."""
        with self._lock:
            first = [next(iter(line)) for line in self._lines.values() if line]
        for waiter in first:
            waiter.wake()

    def wake_all(self) -> None:
        """Wake all receives: the clock was moved, so their wait times can be over."""
        for waiter in self._everybody():
            waiter.wake()

    def end_all(self) -> None:
        """End all waiting receives with empty answers."""
        for waiter in self._everybody():
            waiter.is_ended = True
            waiter.wake()

    def close(self) -> None:
        self.end_all()
        if self._sockets:
            self._sockets.close()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other threads out while the process forks."""
        with self._lock, self._sockets.lock if self._sockets else nullcontext():
            yield

    def forget(self) -> None:
        """Forget the receives in a forked child: their threads belong to the parent."""
        self._lines.clear()

    def renew(self) -> None:
        """Do the same if another thread of the parent held a lock."""
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
    """A receive that can wait."""

    queue_id: int
    #: the longest wait, in seconds
    wait_seconds: int

    def look(self) -> dict[str, Any] | None:
        """Return the answer; None if there is nothing yet."""

    def seconds_to_deadline(self) -> float | None:
        """Return the seconds until a delay or timeout ends; None if there is none."""


def wait_for(poll: Poll, waiters: Waiters, clock: Clock) -> dict[str, Any]:
    """Block the calling thread until there is an answer or the time is over.

    The engine's clock or real time ends the wait, whichever comes first: tests move the engine's
    clock, or stop it.
    """
    event = threading.Event()
    ends, ends_real = clock() + poll.wait_seconds, real_monotonic() + poll.wait_seconds
    waiter = waiters.join(poll.queue_id, event.set)
    try:
        while True:
            event.clear()  # before looking: anything that arrives later sets it again
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
