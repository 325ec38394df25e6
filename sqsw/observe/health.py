"""Whether workers do what they are there for, by their signs of life; and a file that says so."""

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

#: seconds that a process may be silent; the supervisor may kill it before or after that
_SILENT_SECONDS = 60.0

#: seconds: an older sign of life says nothing about now
_FRESH_SECONDS = 5.0

#: seconds between two touches of the health file
_TOUCH_SECONDS = 5.0


Reason = Literal[
    "not_started", "ended", "silent", "quiet", "draining", "failing", "stuck", "halted"
]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why workers are not healthy, or do not receive.

    Attributes
    ----------
    reason :
        ``not_started``, ``ended`` or ``silent``: there is no process to tell; ``quiet`` and
        ``draining``: as asked; ``failing``: SQS is not reached, or the heartbeat has ended;
        ``stuck``: the log or a listener has been stuck for a minute, although jobs run;
        ``halted``: the heartbeat or the event loop of a worker no longer moves.
    text :
        The same in words.
    code :
        The code of the last error of a receive, where receives fail.
    """

    reason: Reason
    text: str
    code: str | None = None


class Health:
    """Listens to the pulses of one process or many.

    Healthy is who receives: how long jobs take says nothing.
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
        """The last sign of life of each process, where it is not old."""
        now = self._clock()
        with self._lock:
            known = dict(self._pulses)
        return {pid: pulse for pid, (at, pulse) in known.items() if now - at <= _FRESH_SECONDS}

    def problem(self) -> str | None:
        found = self.why_unhealthy()
        return None if found is None else found.text

    def why_unhealthy(self) -> Problem | None:
        """Return the problem; None if all workers are healthy."""
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
        """Return why a restart would help: no worker process moves. None if one does.

        A process that still loads its app is live, and so is one that cannot reach SQS. The
        supervisor replaces one of several processes that no longer moves.
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
        """Why nobody receives; None: somebody does."""
        pulses = self.pulses().values()
        if any(pulse.ready and pulse.problem is None for pulse in pulses):
            return None
        for pulse in pulses:
            if pulse.problem is not None:
                return self._failing("failing", pulse.problem)
        states = {pulse.state for pulse in pulses}
        if "quiet" in states:
            return Problem("quiet", "told by SIGUSR2 or SIGTSTP to receive no more")
        if states:
            return Problem("draining", "the worker ends: it receives no more")
        return self._nobody()

    def _nobody(self) -> Problem:
        if not self._has_begun:
            return self._failing("not_started", "no worker has begun yet")
        with self._lock:
            if self._pulses:
                return Problem("silent", "no sign of life of any worker")
        return Problem("ended", "no worker is running")

    def _failing(self, reason: Reason, text: str) -> Problem:
        code = next(iter(dict(self._codes).values()), None)
        return Problem(reason, f"{text}; the last error was {code}" if code else text, code)


def _silent(pulse: Pulse, seconds: float) -> Problem:
    text = f"no sign of life of process {pulse.pid} for {seconds:.0f} seconds"
    return Problem("silent", text)


class HealthFile:
    """A file that is touched while workers are healthy, from ``with`` to its end.

    Parameters
    ----------
    path :
        The file; it is made, and removed at the end. An empty one may be there.
    health :
        Who is asked.

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
        with suppress(OSError):  # somebody else has removed it, or its directory
            self._path.unlink(missing_ok=True)

    def _touch(self) -> str | None:
        """Set the file's time to now; return why another user can do so too, or None."""
        # Not Path.touch(), which follows a link that another user puts there meanwhile.
        descriptor = open_descriptor(self._path, os.O_WRONLY | os.O_CREAT)
        try:
            status = os.fstat(descriptor)
            # A killed worker leaves an empty file behind.
            if not stat.S_ISREG(status.st_mode) or status.st_size:
                raise SettingsError(
                    f"{self._path} cannot be the health file",
                    why="it is not an empty file, and the worker deletes it at the end",
                    next="name another file",
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
                except (OSError, SettingsError) as error:  # the probe of the file will notice
                    logger.warning("cannot touch %s: %s", self._path, error)
