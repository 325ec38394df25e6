"""Makes calls that may hang in threads of their own.

A log handler or an event listener can wait forever: for a pipe that nobody reads, or for a server
that does not answer. While a worker runs, such calls go through a :class:`Delivery`, a bounded
queue with one thread. If the thread hangs, jobs, deletes and signals still work.

Elsewhere, for example in ``process_batch``, there are no such threads: the caller makes the call.
"""

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from typing import Any, NamedTuple
from weakref import WeakSet

from sqsw.core.contracts import Clock

#: bounds of one queue: calls, characters that they carry, and exceptions, because an exception
#: keeps the frames of a failed job alive
_MOST_CALLS, _MOST_CHARACTERS, _MOST_ERRORS = 5_000, 16_000_000, 20

#: A full queue has room again only when it is down to this part of its bounds. So producers wait
#: for hundreds of calls at a time, and meanwhile the thread has the interpreter for itself.
_ROOM = 0.9

#: seconds that a producer waits for room if the thread is slow but does not hang
_PATIENCE_SECONDS = 0.5

#: seconds without a call until the thread ends
_IDLE_SECONDS = 10.0

#: seconds that a flush waits for a call that hangs, and for all calls
_HANG_SECONDS, _FLUSH_SECONDS = 1.0, 2.0

#: seconds for the handlers that do not hang to write what they hold, at the end of the process
_SHUTDOWN_SECONDS = 0.2

#: seconds that one call can take before the worker counts as unhealthy
STUCK_SECONDS = 60.0


class _Mode:
    """State of this process: whether calls are handed over."""

    lock = threading.Lock()
    depth = 0
    has_ended = False
    is_registered = False


_deliveries: "WeakSet[Delivery]" = WeakSet()


class _Entry(NamedTuple):
    number: int
    call: Callable[..., object]
    arguments: tuple[Any, ...]
    context: Context | None
    size: int
    has_error: bool


class Delivery:
    """A bounded queue of calls, made in order by one thread.

    If the queue is full, :meth:`put` waits for at most half a second, and not at all while the
    thread hangs. Then the call is dropped and counted. An urgent call displaces the oldest call
    that is not urgent.

    Parameters
    ----------
    name :
        The name in messages, such as ``the log``.
    after :
        Called by the thread whenever the queue is empty.
    on_dropped :
        Called by the thread with the number of dropped calls, once there is room again.
    """

    def __init__(
        self,
        name: str,
        *,
        after: Callable[[], object] = lambda: None,
        on_dropped: Callable[[int], object] = lambda count: None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.name = name
        self.after = after
        self._on_dropped = on_dropped
        self._clock = clock
        self._reset()
        with _Mode.lock:
            _deliveries.add(self)

    def _reset(self) -> None:
        # Reentrant: the handler of a signal can log while this thread puts something.
        lock = threading.RLock()
        self._lock = lock
        self._filled, self._room = threading.Condition(lock), threading.Condition(lock)
        self._urgent: deque[_Entry] = deque()
        self._others: deque[_Entry] = deque()
        self._number = self._size = self._errors = 0
        self._thread: threading.Thread | None = None
        self._since: float | None = None
        self._hangs = self._is_ending = False
        self.dropped = 0

    def put(
        self,
        call: Callable[..., object],
        *arguments: Any,
        size: int = 0,
        urgent: bool = False,
        has_error: bool = False,
        in_context: bool = True,
        counted: bool = True,
    ) -> bool:
        """Have the thread make a call. The call must not raise.

        Parameters
        ----------
        size :
            Characters of what the arguments carry.
        urgent :
            Whether the call can displace others.
        has_error :
            Whether the arguments keep an exception alive.
        in_context :
            Whether the call sees the context variables of this moment.
        counted :
            Whether the call counts as dropped if it is dropped.

        Returns
        -------
        bool
            False if the call was dropped.
        """
        with self._lock:
            if not _Mode.has_ended and (self._thread is not None or self._start()):
                if not self._has_room(size, has_error):
                    if urgent:
                        self._displace(size)
                    if not (self.is_own_thread() or self._wait_for_room(size, has_error)):
                        self.dropped += counted
                        return False
                self._number += 1
                context = copy_context() if in_context else None
                entry = _Entry(self._number, call, arguments, context, size, has_error)
                (self._urgent if urgent else self._others).append(entry)
                self._size += size
                self._errors += has_error
                if self._since is None:
                    self._filled.notify()
                return True
            if self._hangs:
                return False
        call(*arguments)  # at the end of the interpreter, or if no thread can be started
        return True

    def flush(self, seconds: float = _FLUSH_SECONDS) -> bool:
        """Wait until all calls have been made; for a call that hangs, one second at most.

        Returns
        -------
        bool
            False if some calls have not been made.
        """
        end = self._clock() + seconds
        with self._lock:
            if self.is_own_thread():
                return True
            while self._thread is not None and (self._since is not None or self._waiting()):
                now = self._clock()
                begin = now if self._since is None else self._since
                left = min(end, begin + _HANG_SECONDS) - now
                if left <= 0:
                    return False
                self._room.wait(left)
        return True

    def end_thread(self) -> None:
        """Make all calls and end the thread, if it does not hang. The next call starts another."""
        self.flush()
        with self._lock:
            thread, self._is_ending = self._thread, True
            self._filled.notify()
        if thread is not None:
            thread.join(_PATIENCE_SECONDS)
        with self._lock:
            self._is_ending = False

    def is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def stuck_seconds(self) -> float:
        since = self._since
        return 0.0 if since is None else self._clock() - since

    # Under the lock.

    def _waiting(self) -> int:
        return len(self._urgent) + len(self._others)

    def _has_room(self, size: int, has_error: bool, part: float = 1.0) -> bool:
        return (
            self._waiting() < _MOST_CALLS * part
            and self._size + size <= max(size, _MOST_CHARACTERS * part)
            and (not has_error or self._errors < _MOST_ERRORS)
        )

    def _displace(self, size: int) -> None:
        while self._others and not self._has_room(size, has_error=False):
            self._forget(self._others.popleft())
            self.dropped += 1

    def _wait_for_room(self, size: int, has_error: bool) -> bool:
        end = self._clock() + _PATIENCE_SECONDS
        while not self._has_room(size, has_error):
            left = end - self._clock()
            if left <= 0 and not self._hangs:
                self._hangs = True  # the next producers do not wait until there is room
                self._room.notify_all()
            if self._hangs:
                return False
            self._room.wait(left)
        return True

    def _forget(self, entry: _Entry) -> None:
        self._size -= entry.size
        self._errors -= entry.has_error

    def _start(self) -> bool:
        if _Mode.has_ended:
            return False
        if not _Mode.is_registered:
            _Mode.is_registered = True
            atexit.register(_end)  # after logging.shutdown was registered, so it runs before
        thread = threading.Thread(target=self._work, name="sqsw-delivery", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # the system has no more threads
            return False
        self._thread = thread
        return True

    # The thread.

    def _work(self) -> None:
        while self._wait():
            while (entry := self._take()) is not None:
                with suppress(BaseException):  # if a call raises after all, the thread goes on
                    if entry.context is None:
                        entry.call(*entry.arguments)
                    else:
                        entry.context.run(entry.call, *entry.arguments)
                del entry  # it may hold the last reference to objects of a job
            with suppress(BaseException):
                self.after()

    def _wait(self) -> bool:
        """Wait for the next call; return False if the thread must end."""
        with self._lock:
            self._since = None
            self._room.notify_all()
            while not self._waiting():
                if self._is_ending or not self._filled.wait(_IDLE_SECONDS):
                    self._thread = None
                    return False
            self._since = self._clock()
            return True

    def _take(self) -> _Entry | None:
        dropped = 0
        with self._lock:
            self._since = self._clock()
            line = self._urgent or self._others
            if self._urgent and self._others and self._others[0].number < self._urgent[0].number:
                line = self._others
            entry = line.popleft() if line else None
            if entry is not None:
                self._forget(entry)
            if self._has_room(0, has_error=False, part=_ROOM):
                self._hangs = False
                dropped, self.dropped = self.dropped, 0
                self._room.notify_all()
        if dropped:
            with suppress(BaseException):
                self._on_dropped(dropped)
        return entry


def is_handing_over() -> bool:
    """Whether calls that may hang go through deliveries."""
    return _Mode.depth > 0


@contextmanager
def handing_over() -> Iterator[None]:
    """Hand over calls that may hang inside the block; wait for them at its end, but not forever."""
    with _Mode.lock:
        _Mode.depth += 1
    try:
        yield
    finally:
        flush_deliveries()
        with _Mode.lock:
            _Mode.depth = max(0, _Mode.depth - 1)  # 0 already in a process that was forked inside


def flush_deliveries() -> bool:
    """Wait until all calls have been made: two seconds at most, one for a call that hangs.

    Returns
    -------
    bool
        False if some calls have not been made.
    """
    end = time.monotonic() + _FLUSH_SECONDS
    flushed = [each.flush(max(0.0, end - time.monotonic())) for each in _all_deliveries()]
    return all(flushed)


def _all_deliveries() -> list[Delivery]:
    with _Mode.lock:  # a set must not grow while it is listed
        return list(_deliveries)


def end_delivery_threads() -> None:
    """End the threads before a fork: threads do not survive it, but locks that they hold do."""
    for delivery in _all_deliveries():
        delivery.end_thread()


def stuck_delivery() -> str | None:
    """Return in words what has hung for a minute; None if nothing has."""
    for delivery in _all_deliveries():
        seconds = delivery.stuck_seconds()
        if seconds > STUCK_SECONDS:
            lost = f", {delivery.dropped} dropped" if delivery.dropped else ""
            return f"{delivery.name} has been stuck for {seconds:.0f} seconds{lost}"
    return None


def _end() -> None:
    """Make the waiting calls before the interpreter ends and stops the threads."""
    for delivery in _all_deliveries():
        # Later records are written at once, or lost if that would hang.
        delivery._hangs = not delivery.flush()
        if delivery._hangs:
            _shut_down_logging()
    _Mode.has_ended = True


def _shut_down_logging() -> None:
    """Shut down logging in bounded time: it would wait for the lock of a hanging handler."""
    atexit.unregister(logging.shutdown)
    thread = threading.Thread(target=logging.shutdown, name="sqsw-shutdown", daemon=True)
    with suppress(RuntimeError):  # from Python 3.12 on no thread can be started here
        thread.start()
        thread.join(_SHUTDOWN_SECONDS)


def _after_fork() -> None:
    _Mode.lock, _Mode.depth = threading.Lock(), 0
    for delivery in _all_deliveries():
        delivery._reset()


os.register_at_fork(after_in_child=_after_fork)
