"""A child process: its start, its main function and its events."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from sqsw.core.contracts import Clock
from sqsw.core.delivery import end_delivery_threads, handing_over
from sqsw.core.errors import SQSError
from sqsw.core.events import Event, Pulse, WorkerFailed
from sqsw.core.process_end import end_process
from sqsw.core.reports import Ending
from sqsw.core.safe_logger import SafeLogger
from sqsw.supervisor.event_pipe import Reporter, Reports
from sqsw.worker.crash_notes import (
    CrashNotes,
    NotedMessage,
    Orphan,
    RunNotes,
    use_crash_notes,
)
from sqsw.worker.health import PULSE_SECONDS
from sqsw.worker.shared_memory import SharedMemory
from sqsw.worker.signals import VERBS, become_child
from sqsw.worker.suspects import Suspects

logger = SafeLogger("sqsw.worker")

Method = Literal["fork", "spawn"]

#: The function that a child runs. It gets its arguments, a listener that sends events to the
#: supervisor and, if the number of jobs is limited, the pipe for its permits.
Target = Callable[..., "Ending | None"]


class Child:
    """A worker process, from its start to its end.

    Attributes
    ----------
    pulse, heard_at :
        The last pulse and its arrival time; None before the first.
    is_up :
        Whether the child has started to receive, and was still alive afterwards.
    asked :
        Whether the supervisor has asked the child to end, so its exit is expected.
    failed_by :
        The error that the child reported before it ended.
    kill_at, why_killed :
        When to kill the child, and why it was killed.
    ran :
        The messages whose jobs ran when the child ended. Empty if it was killed at its deadline.
    orphans :
        The messages that the child must take over. Empty once it is up.
    """

    def __init__(self, started_at: float, orphans: Sequence[Orphan] = ()) -> None:
        self.started_at = started_at
        self.orphans = orphans
        self.pulse: Pulse | None = None
        self.heard_at: float | None = None
        self.is_up = False
        self.asked = False
        self.failed_by: BaseException | None = None
        self.kill_at = float("inf")
        self.why_killed: str | None = None
        self.ran: list[NotedMessage] = []
        self._is_late = False
        self._notes: RunNotes | None = None
        self._process: BaseProcess | None = None
        self._reports: Reports | None = None
        self._permits: Connection | None = None

    def start(
        self,
        target: Target,
        arguments: tuple[Any, ...],
        method: Method,
        parent_alive: Connection,
        write_end: Connection,
        suspects: Suspects,
        *,
        with_permits: bool = False,
    ) -> None:
        """Start the process.

        Parameters
        ----------
        parent_alive, write_end :
            A pipe that is closed when the parent ends, which tells the children. It carries no
            data.
        suspects :
            Messages that the child must run alone.
        with_permits :
            Whether the child needs a permit for each job; ``target`` then also gets the pipe for
            permits.

        Raises
        ------
        OSError
            The system is out of memory or processes.
        """
        context: Any = multiprocessing.get_context(method)
        reader, writer = context.Pipe(duplex=False)
        permits, self._permits = context.Pipe(duplex=False) if with_permits else (None, None)
        # Only a forked child inherits the write end, so only a forked child must close it.
        inherited = write_end if method == "fork" else None
        self._notes = RunNotes(SharedMemory(RunNotes.SIZE))
        self._notes.hand_over(self.orphans)
        notes = CrashNotes(self._notes, suspects)
        process: BaseProcess = context.Process(
            target=_child_main,
            args=(target, arguments, parent_alive, writer, inherited, permits, notes),
        )
        # Otherwise, a signal between the fork and the first lines of the child would go to the
        # handlers inherited from this process, and the child would miss it.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, VERBS)
        if method == "fork":
            end_delivery_threads()
        try:
            process.start()
        except BaseException:
            _close(reader, self._permits)
            self._notes.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
            # Only the child has these ends from now on, so its pipes close when it ends.
            _close(writer, permits)
        self._process, self._reports = process, Reports(reader)

    @property
    def pid(self) -> int:
        return (self._process.pid if self._process is not None else None) or 0

    def handles(self) -> list[int]:
        """Return the handles that signal the child's exit and its events."""
        if self._process is None or self._reports is None:
            return []
        told = [] if self._reports.is_closed else [self._reports.fileno()]
        return [self._process.sentinel, *told]

    def read(self, clock: Clock) -> Iterator[Event]:
        for event in self._reports.read() if self._reports is not None else ():
            if isinstance(event, Pulse):
                self.is_up = self.pulse is not None
                self.orphans = () if self.is_up else self.orphans
                self.pulse, self.heard_at = event, clock()
            yield event

    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if the child is alive."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def give_permits(self, count: int) -> None:
        """Let the child start this many more jobs."""
        if self._permits is not None:
            with suppress(BrokenPipeError):  # the child has just ended
                os.write(self._permits.fileno(), bytes(count))

    def kill(self, reason: str) -> None:
        if self.is_alive():
            self.why_killed = self.why_killed or reason
            self.signal(signal.SIGKILL)

    def kill_late(self, reason: str) -> None:
        """Kill the child at a deadline, so its jobs are slow but not suspect."""
        self._is_late = self._is_late or self.why_killed is None
        self.kill(reason)

    def excuse(self, now: float, seconds: float) -> None:
        """Restart the measurement of silence, and extend the deadline by this many seconds."""
        self.kill_at += seconds
        if self.heard_at is not None:
            self.heard_at = now

    def kill_if_due(self, now: float) -> None:
        """Kill the child if its leases have expired since its last pulse, or at its deadline."""
        if self.pulse is not None and self.heard_at is not None:
            silent = now - self.heard_at
            if silent > max(self.pulse.lease_seconds, 2 * PULSE_SECONDS):
                self.kill(f"no sign of life for {silent:.0f} seconds")
        if now >= self.kill_at:
            self.kill_late("it did not end in time")

    def reap(self) -> int | None:
        """Release an exited process; return its exit code."""
        if self._process is None or self._reports is None:
            return None
        self._process.join()
        exit_code = self._process.exitcode
        self._process.close()
        self._reports.close()
        _close(self._permits)
        if self._notes is not None:
            self.ran = [] if self._is_late else self._notes.read()
            self._notes.close()
        return exit_code


def _close(*connections: Connection | None) -> None:
    for connection in connections:
        if connection is not None:
            connection.close()


def _child_main(
    target: Target,
    arguments: tuple[Any, ...],
    parent_alive: Connection,
    writer: Connection,
    write_end: Connection | None,
    permits: Connection | None,
    notes: CrashNotes,
) -> None:
    # The inherited signal handlers, inbox and write end of the pipe belong to the parent.
    signal.set_wakeup_fd(-1)
    become_child()
    use_crash_notes(notes)
    if write_end is not None:
        write_end.close()
    threading.Thread(
        target=_end_with_parent, args=(parent_alive,), name="sqsw-parent", daemon=True
    ).start()
    tell = Reporter(writer)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, VERBS)
    try:
        extra = () if permits is None else (permits,)
        ending = target(*arguments, tell, *extra) or Ending()
    except SystemExit as error:
        ending = Ending(error.code if isinstance(error.code, int) else int(error.code is not None))
    except BaseException as error:  # reported to the supervisor
        tell(WorkerFailed(os.getpid(), error))
        if not isinstance(error, SQSError):
            with handing_over():  # a hanging log must not keep this process alive
                logger.exception("a worker process failed")
        ending = Ending(1)
    tell.close()
    end_process(ending.exit_code, at_once=ending.at_once, is_forked=write_end is not None)


def _end_with_parent(parent_alive: Connection) -> None:
    # No data is ever written, so this wait ends only when the parent ends, in whatever way.
    try:
        parent_alive.recv_bytes()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
