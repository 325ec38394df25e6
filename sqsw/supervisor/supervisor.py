"""The supervisor: start child processes and monitor them.

1. start      (fork or spawn children for each tuple of arguments)
2. monitor    (restart a child that ends unexpectedly after a delay; kill one that sends no pulse
              for the time of its leases; the jobs that ran in it become suspects)
3. replace    (a child that reached a limit, or all on SIGHUP: start the new child first, then drain
              the old one)
4. reload     (when source files change: drain all children, and start new ones at once)
5. forward    (on SIGTERM or SIGINT, drain all children; on a second one, stop them now)
6. wait       (until all have ended)

The thread that calls ``run`` does all of this and never runs a job.
"""

import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing.connection import Connection, wait
from typing import Any

from sqsw.core.contracts import Clock
from sqsw.core.errors import (
    AccessDenied,
    AppLoadError,
    QueueNotFound,
    SettingsError,
    SQSError,
    TaskAlreadyRegistered,
    TaskNotFound,
)
from sqsw.core.events import (
    ChildEnded,
    ChildExited,
    ChildReplaced,
    Event,
    EventBus,
    Pulse,
    ReceiveDone,
    Reloading,
    SourcesLoaded,
    WorkerFailed,
)
from sqsw.core.hidden_modules import hiding_advice
from sqsw.core.reports import SupervisorReport
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import text_of
from sqsw.supervisor.child import Child, Method, Target
from sqsw.supervisor.permits import JobPermits
from sqsw.supervisor.policies import JOB_ENDS
from sqsw.supervisor.recycle import RecyclePolicy
from sqsw.supervisor.reload import SourceWatch
from sqsw.supervisor.slots import ProcessSlot, SlotTable
from sqsw.worker.crash_notes import Orphan, report_death
from sqsw.worker.shared_memory import SharedMemory
from sqsw.worker.signals import FORCE, InboxNotice, SignalCounter, SignalInbox
from sqsw.worker.suspects import Suspects

logger = SafeLogger("sqsw.worker")

#: seconds between the end of the drain time, or the second signal, and the kill
_LAST_SECONDS = 10.0

#: failed starts in a row, in every slot, after which the supervisor gives up: before any child was
#: ready, and after that (about three minutes, which leaves time for a fix)
_FIRST_TRIES, _LATER_TRIES = 4, 10

#: seconds between two checks of the children
_LOOK_SECONDS = 1.0

#: the signal that forwards each verb to a child
_FORWARDED: dict[str, signal.Signals] = {
    "slots": signal.SIGUSR1,
    "quiet": signal.SIGUSR2,
}

#: startup errors that only a change to the app can fix
_OF_THE_APP = (SettingsError, AppLoadError, TaskNotFound, TaskAlreadyRegistered)

#: startup errors that waiting does not fix
_FINAL = (*_OF_THE_APP, QueueNotFound, AccessDenied)


class Supervisor:
    """A supervisor that runs a function in child processes until all of them are done.

    A child is done when its function returns. A child that ends otherwise, without a request, is
    restarted.

    Parameters
    ----------
    target :
        The function that a child runs, called with its arguments and a listener that sends events
        to the supervisor.
    arguments :
        The arguments of ``target``, one tuple for each kind of child.
    processes :
        The number of children for each tuple of arguments.
    method :
        With ``fork``, children share the objects of this process, which must have no other threads.
        With ``spawn``, the target and its arguments are pickled.
    drain_seconds :
        Maximum time for children to drain before they are killed.
    recycle :
        Limits at which a child is replaced; None for no limits.
    permits :
        Limits the total number of jobs; ``target`` then also gets the pipe for its permits. None
        for no limit.
    sources :
        The source files of the app. After a change, new children load the app again. If it is
        broken, the supervisor waits for the next change. None disables reloading.
    events :
        The bus for events about the children.
    relay :
        Called with each event that a child sends.
    """

    def __init__(
        self,
        target: Target,
        arguments: Sequence[tuple[Any, ...]],
        processes: int = 1,
        *,
        method: Method = "fork",
        drain_seconds: float = 25.0,
        recycle: RecyclePolicy | None = None,
        permits: JobPermits | None = None,
        sources: SourceWatch | None = None,
        events: EventBus | None = None,
        relay: Callable[[Event], object] = lambda event: None,
        clock: Clock = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._target = target
        self._slots = SlotTable(
            [
                ProcessSlot(args, recycle, clock, chance)
                for args in arguments
                for _ in range(processes)
            ]
        )
        self._method: Method = method
        self._drain_seconds = drain_seconds
        self._permits = permits
        self._sources = sources
        self._events = events or EventBus()
        self._relay = relay
        self._clock = clock
        self._inbox = SignalInbox()
        self._signal_counter = SignalCounter(clock)
        self._looked_at = clock()
        self._restarts = 0
        self._ending = False
        self._was_up = False
        self._fatal: SQSError | None = None
        self._suspects = Suspects()

    def run(self) -> SupervisorReport:
        """Start the children and wait until all have ended.

        Raises
        ------
        SQSError
            No child became ready for a reason that waiting cannot fix, or several children in a row
            ended before they were ready.
        """
        stopped_by = "done"
        parent_alive, write_end = multiprocessing.Pipe(duplex=False)
        memory = SharedMemory(Suspects.SIZE)
        self._suspects = Suspects(memory)
        with self._inbox, parent_alive, write_end, closing(memory):
            try:
                self._start_due(parent_alive, write_end)
                while self._awaited():
                    stopped_by = self._step() or stopped_by
                    self._start_due(parent_alive, write_end)
            except BaseException:
                # The children did not cause the error, so let them finish their jobs.
                self._forward(InboxNotice("drain", "error"))
                while self._awaited():
                    self._step()
                raise
            finally:
                self._ending = True
                for child in self._children():
                    child.kill_late("the supervisor ends")
                    self._hear(child)
                    child.reap()
        if self._fatal is not None:
            raise self._fatal
        return SupervisorReport(stopped_by, self._signal_counter.has_second, self._restarts)

    def stop(self, reason: str = "stop") -> None:
        """Drain all children. Can be called from any thread."""
        self._inbox.post("drain", reason)

    def _step(self) -> str | None:
        """Wait for the next events and handle them; return the reason if the work must end."""
        stopped_by = None
        handles = [handle for child in self._children() for handle in child.handles()]
        wait([self._inbox.fileno(), *handles], self._seconds_to_wait())
        self._excuse()
        for notice in self._inbox.wait(0):
            if self._forward(notice):
                stopped_by = notice.reason
        for child in self._children():
            self._hear(child)
            child.kill_if_due(self._clock())
        for child in self._children():
            if not child.is_alive():
                self._reap(child)
        if not self._ending:
            for child, why in self._slots.replace_ready():
                self._events.publish(ChildReplaced(child.pid, why))
                self._ask_to_end(child)
            self._reload()
            if self._permits is not None:
                self._permits.hand_out([child for child in self._children() if not child.asked])
        return stopped_by

    def _excuse(self) -> None:
        """Do not count the time that this process was suspended as silence of its children."""
        now = self._clock()
        passed, self._looked_at = now - self._looked_at, now
        if passed > 2 * _LOOK_SECONDS:
            for child in self._children():
                child.excuse(now, passed)

    def _children(self) -> list[Child]:
        return self._slots.children()

    def _awaited(self) -> bool:
        if self._children():
            return True
        # A quiet supervisor runs until a signal ends it, even without children.
        goes_on = self._slots.is_quiet or self._sources is not None
        return not self._ending and (goes_on or self._slots.next_start() is not None)

    def _seconds_to_wait(self) -> float:
        moments = [child.kill_at for child in self._children()]
        start_at = self._slots.next_start()
        if start_at is not None and not self._slots.is_quiet:
            moments.append(start_at)
        if self._sources is not None:
            moments.append(self._sources.look_at)
        return max(0.0, min(_LOOK_SECONDS, min(moments, default=float("inf")) - self._clock()))

    # Duties 1 and 2.

    def _start_due(self, parent_alive: Connection, write_end: Connection) -> None:
        for slot in self._slots.due():
            child = Child(self._clock(), slot.orphans)
            try:
                child.start(
                    *(self._target, slot.arguments, self._method, parent_alive, write_end),
                    self._suspects,
                    with_permits=self._permits is not None,
                )
            except OSError as error:  # out of memory or processes, perhaps only for a moment
                logger.error("cannot start a worker process: %s", error)
                slot.start_later(child)
                self._end_if_hopeless(
                    child.pid, SQSError("cannot start worker processes", why=str(error))
                )
            else:
                slot.take_in(child)

    def _hear(self, child: Child) -> None:
        for event in child.read(self._clock):
            if isinstance(event, ReceiveDone):
                self._was_up = True
            elif isinstance(event, Pulse) and event.ready and self._slots.is_quiet:
                child.signal(_FORWARDED["quiet"])  # it started after the others got the signal
            elif isinstance(event, WorkerFailed):
                child.failed_by = event.error
                self._end_for(event.error, child)
            elif self._sources is not None and isinstance(event, SourcesLoaded):
                self._sources.add(event.directories)
            elif self._permits is not None and isinstance(event, JOB_ENDS):
                self._permits.used(child)
            self._relay(event)

    def _end_for(self, error: BaseException, child: Child) -> None:
        if self._sources is not None:
            return
        others_work = any(other.is_up for other in self._children() if other is not child)
        hopeless = isinstance(error, _FINAL) and not (self._was_up or others_work)
        if hopeless and isinstance(error, SQSError) and not self._ending:
            self._fatal = error
            self._forward(InboxNotice("drain", "error"))

    def _reap(self, child: Child) -> None:
        pid = child.pid
        exit_code, orphans = self._report_end(child)
        # The child returned without a request, and no job ended it.
        is_done = exit_code == 0 and not (child.asked or child.ran)
        # The app is broken, and only a change to its files can fix it.
        waits = self._sources is not None and isinstance(child.failed_by, _OF_THE_APP)
        self._slots.retire(child, is_done=is_done or waits, orphans=orphans)
        if not (is_done or waits):
            self._end_if_hopeless(pid, _not_ready(child.failed_by, exit_code))

    def _end_if_hopeless(self, pid: int, error: SQSError) -> None:
        is_reloading = self._sources is not None
        tries = _LATER_TRIES if self._was_up and not is_reloading else _FIRST_TRIES
        if self._ending or self._slots.is_quiet or not self._slots.is_hopeless(tries):
            return
        if is_reloading:  # the next change can fix it
            self._slots.wait_for_change()
            self._relay(WorkerFailed(pid, error))
        else:
            self._fatal = error
            self._forward(InboxNotice("drain", "error"))

    def _report_end(self, child: Child) -> tuple[int | None, list[Orphan]]:
        """Report the end of a child; return its exit code and the messages it leaves."""
        self._hear(child)  # its last events
        pid, exit_code = child.pid, child.reap()
        if self._permits is not None:
            self._permits.settle(child)
        memory_bytes = None if child.pulse is None else child.pulse.memory_bytes
        orphans = report_death(child.ran, self._suspects, self._events, exit_code, memory_bytes)
        # If it died early, it did not take over the messages that it was started with.
        left = {each.message.receipt_handle: each for each in [*child.orphans, *orphans]}
        expected = (child.asked or self._ending or exit_code == 0) and not child.ran
        # With reload, report an app error as such, not as a crash of the process.
        expected = expected or (self._sources is not None and child.failed_by is not None)
        if child.why_killed or not expected:
            self._restarts += 1
            self._events.publish(ChildExited(pid, exit_code, child.why_killed))
        else:
            self._events.publish(ChildEnded(pid))
        return exit_code, list(left.values())

    # Duty 4.

    def _reload(self) -> None:
        if self._sources is None or self._slots.is_quiet:
            return  # new children could not start while starts are suspended
        changed = self._sources.changes()
        if changed:
            for child in self._slots.restart_all():
                if not child.asked:
                    self._ask_to_end(child)
            self._events.publish(Reloading(tuple(changed)))

    # Duty 5.

    def _forward(self, notice: InboxNotice) -> bool:
        """Forward a notice to the children; return whether it ends them."""
        if notice.verb == "reload":
            self._slots.replace_all()
        elif notice.verb == "drain":
            self._ending = True
            self._signal_counter.note(notice)
            self._slots.close()
            for child in self._children():
                if notice.reason == signal.SIGHUP.name:
                    # The terminal was closed. The system signals only this process, so forward it.
                    child.signal(signal.SIGHUP)
                self._ask_to_end(child)
        elif notice.verb in _FORWARDED:
            self._slots.is_quiet = self._slots.is_quiet or notice.verb == "quiet"
            for child in self._children():
                child.signal(_FORWARDED[notice.verb])
        return notice.verb == "drain"

    def _ask_to_end(self, child: Child) -> None:
        at_once = self._signal_counter.has_second
        child.asked = True
        child.kill_at = self._clock() + (0.0 if at_once else self._drain_seconds) + _LAST_SECONDS
        child.signal(FORCE if at_once else signal.SIGTERM)


def _not_ready(error: BaseException | None, exit_code: int | None) -> SQSError:
    """Return the error for children that repeatedly end before they are ready."""
    if isinstance(error, SQSError):
        return error
    # Such a process often has no time to report its error, and writes it to stderr.
    why = f"the last one ended with exit code {exit_code}"
    if error is not None:
        why = f"the last one raised {text_of(error)}"
    next_step = "fix the app; the processes can have written the cause to stderr"
    if (hidden := hiding_advice()) is not None:
        why, next_step = f"{why}; {hidden[0]}", hidden[1]
    # A signal, such as from the out-of-memory killer, does not mean that the app is broken.
    kind = AppLoadError if (exit_code or 0) >= 0 else SQSError
    return kind("worker processes end before they are ready", why=why, next=next_step)
