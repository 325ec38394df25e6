"""The health of workers, judged by their pulses, and a file that shows it."""

import os
import stat
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from sqsw.core.contracts import Clock
from sqsw.core.delivery import stuck_delivery
from sqsw.core.errors import SettingsError
from sqsw.core.events import (
    ChildEnded,
    ChildExited,
    Event,
    EventBus,
    Pulse,
    ReceiveDone,
    ReceiveError,
)
from sqsw.core.files import distrust, open_descriptor
from sqsw.core.safe_logger import SafeLogger

logger = SafeLogger(__name__)

#: maximum seconds without a pulse; the supervisor can kill a process earlier or later
_SILENT_SECONDS = 60.0

#: seconds after which a pulse does not show the current state
_FRESH_SECONDS = 5.0

#: seconds between two touches of the health file
_TOUCH_SECONDS = 5.0


Reason = Literal[
    "not_started", "ended", "silent", "quiet", "draining", "failing", "stuck", "halted"
]


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason why workers are not healthy, or do not receive.

    Attributes
    ----------
    reason :
        ``not_started``, ``ended`` or ``silent``: no process sends pulses. ``quiet`` or
        ``draining``: on request. ``failing``: SQS is not reachable, or the heartbeat has ended.
        ``stuck``: the log or a listener has been stuck for a minute, although jobs run. ``halted``:
        the heartbeat or the event loop of a worker has stopped.
    text :
        The reason in words.
    code :
        The error code of the last receive, if receives fail.
    """

    reason: Reason
    text: str
    code: str | None = None


class Health:
    """A listener that derives health from the pulses of one or more processes.

    A worker is healthy if it can receive, however long its jobs take.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began_at = clock()
        self._lock = threading.Lock()
        self._pulses: dict[int, tuple[float, Pulse]] = {}
        self._has_begun = False
        self._codes: dict[str, str] = {}

    def subscribe_to(self, events: EventBus) -> None:
        kinds = (Pulse, ChildExited, ChildEnded, ReceiveDone, ReceiveError)
        events.subscribe(self, *kinds, quick=True)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ReceiveDone):
            self._codes.pop(event.queue_name, None)
            return
        with self._lock:
            if isinstance(event, Pulse):
                self._pulses[event.pid] = (self._clock(), event)
                self._has_begun = True
            elif isinstance(event, ChildExited | ChildEnded):
                self._pulses.pop(event.pid, None)
            elif isinstance(event, ReceiveError):
                code = getattr(event.error, "code", None)
                self._codes[event.queue_name] = code or type(event.error).__name__

    def pulses(self) -> Mapping[int, Pulse]:
        """The last pulse of each process, if it is recent."""
        now = self._clock()
        with self._lock:
            known = dict(self._pulses)
        return {pid: pulse for pid, (at, pulse) in known.items() if now - at <= _FRESH_SECONDS}

    def problem(self) -> str | None:
        found = self.why_unhealthy()
        return None if found is None else found.text

    def why_unhealthy(self) -> Problem | None:
        """Return the problem, or None if all workers are healthy."""
        now = self._clock()
        with self._lock:
            known = list(self._pulses.values())
        if not known and now - self._began_at > _SILENT_SECONDS:
            return Problem("ended" if self._has_begun else "not_started", "no worker is running")
        for at, pulse in known:
            if now - at > _SILENT_SECONDS:
                return _silent(pulse, now - at)
            if pulse.problem is not None:
                return Problem("failing", pulse.problem)
        stuck = [stuck_delivery(), *(pulse.stuck for _, pulse in known)]
        return next((Problem("stuck", text) for text in stuck if text is not None), None)

    def why_not_live(self) -> Problem | None:
        """Return why a restart would help, or None if any worker process is alive.

        A process that is loading its app, or cannot reach SQS, is live. The supervisor itself
        replaces a halted process among several.
        """
        now = self._clock()
        with self._lock:
            known = list(self._pulses.values())
        problems = []
        for at, pulse in known:
            if now - at > _SILENT_SECONDS:
                problems.append(_silent(pulse, now - at))
            elif pulse.halted is not None:
                problems.append(Problem("halted", f"process {pulse.pid}: {pulse.halted}"))
            else:
                return None
        return problems[0] if problems else None

    def why_not_ready(self) -> Problem | None:
        """Return why no worker receives, or None if one does."""
        pulses = self.pulses().values()
        if any(pulse.ready and pulse.problem is None for pulse in pulses):
            return None
        for pulse in pulses:
            if pulse.problem is not None:
                return self._failing("failing", pulse.problem)
        states = {pulse.state for pulse in pulses}
        if "quiet" in states:
            return Problem("quiet", "stopped receiving because of SIGUSR2 or SIGTSTP")
        if states:
            return Problem("draining", "the worker is shutting down")
        return self._nobody()

    def _nobody(self) -> Problem:
        if not self._has_begun:
            return self._failing("not_started", "no worker has started yet")
        with self._lock:
            if self._pulses:
                return Problem("silent", "no sign of life from any worker")
        return Problem("ended", "no worker is running")

    def _failing(self, reason: Reason, text: str) -> Problem:
        code = next(iter(dict(self._codes).values()), None)
        return Problem(reason, f"{text}; the last error was {code}" if code else text, code)


def _silent(pulse: Pulse, seconds: float) -> Problem:
    text = f"no sign of life from process {pulse.pid} for {seconds:.0f} seconds"
    return Problem("silent", text)


class HealthFile:
    """A context manager that touches a file while workers are healthy.

    Parameters
    ----------
    path :
        The file. It is created, and removed at the end. It can exist if it is empty.
    health :
        The health of the workers.

    Raises
    ------
    SettingsError
        When the ``with`` block begins: the file cannot be written or is not empty; it belongs to
        another user, and this is root; or another user made a symbolic link in its path.
    """

    def __init__(self, path: str, health: Health) -> None:
        self._path = Path(path)
        self._health = health
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sqsw-health-file", daemon=True)

    def __enter__(self) -> None:
        try:
            reason = self._touch()
        except OSError as error:
            raise SettingsError(f"cannot write {self._path}", why=error.strerror) from error
        if reason is not None:
            logger.warning("another user can touch the health file %s: %s", self._path, reason)
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join(_TOUCH_SECONDS)
        with suppress(OSError):  # its directory is gone
            self._path.unlink(missing_ok=True)

    def _touch(self) -> str | None:
        """Set the file's time to now; return why another user could also do so, or None."""
        # Path.touch() would follow a link that another user has just created.
        descriptor = open_descriptor(self._path, os.O_WRONLY | os.O_CREAT)
        try:
            status = os.fstat(descriptor)
            # A killed worker leaves an empty file behind.
            if not stat.S_ISREG(status.st_mode) or status.st_size:
                raise SettingsError(
                    f"cannot use {self._path} as the health file",
                    why="it is not an empty file, and the worker would delete it at the end",
                    next="use another file",
                )
            reason = distrust(self._path, status)
            os.utime(descriptor)
        finally:
            os.close(descriptor)
        return reason

    def _work(self) -> None:
        while not self._ending.wait(_TOUCH_SECONDS):
            if self._health.problem() is None:
                try:
                    self._touch()
                except (OSError, SettingsError) as error:  # the probe will notice the old time
                    logger.warning("cannot touch %s: %s", self._path, error)
