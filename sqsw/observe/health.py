"""Whether workers do what they are there for, by their signs of life; and a file that says so."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from sqsw.core.contracts import Clock
from sqsw.core.errors import SettingsError
from sqsw.core.events import ChildEnded, ChildExited, Event, EventBus, Pulse

logger = logging.getLogger(__name__)

#: seconds that a process may be silent; the supervisor may kill it before or after that
_SILENT_SECONDS = 60.0

#: seconds: an older sign of life says nothing about now
_FRESH_SECONDS = 5.0

#: seconds between two touches of the health file
_TOUCH_SECONDS = 5.0


class Health:
    """Listens to the pulses of one process or many.

    Healthy is who receives: how long jobs take says nothing.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began_at = clock()
        self._lock = threading.Lock()
        self._pulses: dict[int, tuple[float, Pulse]] = {}

    def subscribe_to(self, events: EventBus) -> None:
        """Listen to the events that matter."""
        events.subscribe(self, Pulse, ChildExited, ChildEnded)

    def __call__(self, event: Event) -> None:
        """Take note of a sign of life, or of an end."""
        with self._lock:
            if isinstance(event, Pulse):
                self._pulses[event.pid] = (self._clock(), event)
            elif isinstance(event, ChildExited | ChildEnded):
                self._pulses.pop(event.pid, None)

    def pulses(self) -> Mapping[int, Pulse]:
        """The last sign of life of each process, where it is not old."""
        now = self._clock()
        with self._lock:
            known = dict(self._pulses)
        return {pid: pulse for pid, (at, pulse) in known.items() if now - at <= _FRESH_SECONDS}

    def problem(self) -> str | None:
        """What is wrong; None: all are healthy."""
        now = self._clock()
        with self._lock:
            known = list(self._pulses.values())
        if not known and now - self._began_at > _SILENT_SECONDS:
            return "no worker is running"
        for at, pulse in known:
            if now - at > _SILENT_SECONDS:
                return f"no sign of life of process {pulse.pid} for {now - at:.0f} seconds"
            if pulse.problem is not None:
                return pulse.problem
        return None

    def is_ready(self) -> bool:
        """Whether somebody receives."""
        return any(p.ready and p.problem is None for p in self.pulses().values())


class HealthFile:
    """A file that is touched while workers are healthy, from ``with`` to its end.

    Parameters
    ----------
    path :
        The file; it is made, and removed at the end.
    health :
        Who is asked.
    """

    def __init__(self, path: str, health: Health) -> None:
        self._path = Path(path)
        self._health = health
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sqsw-health-file", daemon=True)

    def __enter__(self) -> None:
        try:
            self._path.touch()
        except OSError as error:
            raise SettingsError(f"cannot write {self._path}", why=error.strerror) from error
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

    def _work(self) -> None:
        while not self._ending.wait(_TOUCH_SECONDS):
            if self._health.problem() is None:
                try:
                    self._path.touch()
                except OSError as error:  # who looks at the file will notice
                    logger.warning("cannot touch %s: %s", self._path, error)
