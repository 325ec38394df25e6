"""The supervisor: child processes that are watched.

1. start      (a child for each of some arguments, by fork or by spawn)
2. watch      (one that ends without being asked to is replaced, after a while)
3. forward    (SIGTERM and SIGINT mean: all of them drain; a second one: stop now)
4. wait       (until all have ended)

The thread that calls ``run`` does all of it.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from sqsw.core.contracts import Clock
from sqsw.core.events import ChildExited, EventBus
from sqsw.worker.signals import VERBS, Notice, SignalInbox

logger = logging.getLogger(__name__)

#: seconds before a child is replaced, at first and at most
_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS = 1.0, 30.0

#: seconds: a child that lived this long begins anew with the first of those
_SOUND_SECONDS = 60.0

#: seconds that children have after their drain, and after the second signal, until they are killed
_LAST_SECONDS = 10.0


#: what a child is told, whatever signal it came by
_FORWARDED: dict[str, signal.Signals] = {
    "drain": signal.SIGTERM,
    "slots": signal.SIGUSR1,
    "quiet": signal.SIGUSR2,
}


@dataclass(slots=True, eq=False)
class _Child:
    arguments: tuple[Any, ...]
    process: BaseProcess | None = None
    started_at: float = 0.0
    restart_at: float | None = 0.0  # None: it runs, or has ended for good
    failures: int = 0


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """How children ended.

    Attributes
    ----------
    stopped_by :
        ``done`` where all of them returned by themselves; else the last signal, or what was given
        to ``stop``.
    forced :
        True where a second signal ended the drain.
    restarts :
        Children that ended unexpectedly and were replaced.
    """

    stopped_by: str
    forced: bool
    restarts: int


class Supervisor:
    """Runs a function in child processes until all of them are done.

    A child that returns is done. One that ends otherwise, without having been asked to, is
    replaced.

    Parameters
    ----------
    target :
        What a child runs.
    arguments :
        The arguments of ``target``, for one child after the other.
    processes :
        Children for each of the arguments.
    method :
        ``fork`` keeps what lives in this process, which must have no threads then; with ``spawn``
        target and arguments are pickled.
    drain_seconds :
        How long the children take for their drain at most; then they are killed.
    """

    def __init__(
        self,
        target: Callable[..., object],
        arguments: Sequence[tuple[Any, ...]],
        processes: int = 1,
        *,
        method: Literal["fork", "spawn"] = "fork",
        drain_seconds: float = 25.0,
        events: EventBus | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._target = target
        self._children = [_Child(args) for args in arguments for _ in range(processes)]
        self._context: Any = multiprocessing.get_context(method)
        self._method = method
        self._drain_seconds = drain_seconds
        self._events = events or EventBus()
        self._clock = clock
        self._inbox = SignalInbox()
        self._signals = 0
        self._restarts = 0
        self._kill_at = float("inf")

    def run(self) -> SupervisorReport:
        """Start the children and wait until all have ended."""
        stopped_by = "done"
        reader, writer = self._context.Pipe(duplex=False)
        with self._inbox, reader, writer:
            try:
                self._start_due(reader, writer)
                while self._awaited():
                    stopped_by = self._step() or stopped_by
                    self._start_due(reader, writer)
            except BaseException:
                # The children are well: what they have begun they may finish.
                self._forward(Notice("drain", "error"))
                while self._awaited():
                    self._step()
                raise
            finally:
                self._kill_at = 0.0
                self._kill_all()
                self._reap()
        return SupervisorReport(stopped_by, self._signals > 1, self._restarts)

    def stop(self, reason: str = "stop") -> None:
        """Let all children drain; may be called from any thread."""
        self._inbox.post("drain", reason)

    def _step(self) -> str | None:
        """Wait for something to happen and see to it; the reason, if it ends the work."""
        stopped_by = None
        sentinels = [process.sentinel for process in self._alive()]
        wait([self._inbox.fileno(), *sentinels], self._seconds_to_wait())
        for notice in self._inbox.wait(0):
            if self._forward(notice):
                stopped_by = notice.reason
        self._reap()
        if self._clock() >= self._kill_at:
            self._kill_all()
        return stopped_by

    def _alive(self) -> list[BaseProcess]:
        return [child.process for child in self._children if child.process is not None]

    def _awaited(self) -> bool:
        return bool(self._alive()) or any(child.restart_at is not None for child in self._children)

    def _seconds_to_wait(self) -> float | None:
        moments = [c.restart_at for c in self._children if c.restart_at is not None]
        if self._alive():
            moments.append(self._kill_at)
        soonest = min(moments, default=float("inf"))
        return None if soonest == float("inf") else max(0.0, soonest - self._clock())

    def _start_due(self, reader: Connection, writer: Connection) -> None:
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= self._clock():
                child.restart_at = None
                child.started_at = self._clock()
                # Only a forked child has inherited the writer, and only it has to close it.
                door = writer if self._method == "fork" else None
                try:
                    child.process = self._start((self._target, child.arguments, reader, door))
                except OSError as error:  # no memory or no process to be had just now
                    logger.error("cannot start a worker process: %s", error)
                    self._start_later(child)

    def _start(self, arguments: tuple[Any, ...]) -> BaseProcess:
        process: BaseProcess = self._context.Process(target=_child_main, args=arguments)
        # A signal between the fork and the first lines of the child would be taken by the handlers
        # of this process, in the child, where nobody reads what they leave.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, VERBS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        return process

    def _start_later(self, child: _Child) -> None:
        now = self._clock()
        child.failures = 1 if now - child.started_at >= _SOUND_SECONDS else child.failures + 1
        seconds = _FIRST_RESTART_SECONDS * 2 ** min(child.failures - 1, 10)
        child.restart_at = now + min(_LAST_RESTART_SECONDS, seconds)

    def _reap(self) -> None:
        for child in self._children:
            process = child.process
            if process is None or process.is_alive():
                continue
            child.process = None
            exit_code, pid = process.exitcode, process.pid or 0
            process.close()
            if exit_code == 0 or self._kill_at < float("inf"):
                continue
            self._events.publish(ChildExited(pid, exit_code))
            self._start_later(child)
            self._restarts += 1

    def _forward(self, notice: Notice) -> bool:
        """Pass a notice on to the children; whether it ends them."""
        number = _FORWARDED.get(notice.verb)
        if number is None:
            return False
        if notice.verb == "drain":
            self._signals += notice.is_signal
            patience = 0.0 if self._signals > 1 else self._drain_seconds
            self._kill_at = self._clock() + patience + _LAST_SECONDS
            for child in self._children:
                child.restart_at = None
        for process in self._alive():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)
        return notice.verb == "drain"

    def _kill_all(self) -> None:
        for process in self._alive():
            process.kill()
            process.join()


def _child_main(
    target: Callable[..., object],
    arguments: tuple[Any, ...],
    reader: Connection,
    writer: Connection | None,
) -> None:
    # What was inherited belongs to the parent: its handlers, its inbox and its end of the pipe.
    signal.set_wakeup_fd(-1)
    for number in VERBS:
        # A terminal's Ctrl-C reaches every process, and one press is to be one drain: the
        # supervisor speaks for it. The others would end a child that has no worker yet.
        ends = number == signal.SIGTERM
        signal.signal(number, signal.SIG_DFL if ends else signal.SIG_IGN)
    if writer is not None:
        writer.close()
    threading.Thread(target=_end_with_parent, args=(reader,), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, VERBS)
    target(*arguments)


def _end_with_parent(reader: Connection) -> None:
    # Nobody writes: what ends this wait is the end of the parent, whatever it died of.
    try:
        reader.recv_bytes()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
