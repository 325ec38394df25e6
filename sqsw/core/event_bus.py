"""The bus that tells what happened to whoever listens.

The working code says what happened, once; whether that becomes a log line, a number or a moving
bar is decided by the listeners. A listener that raises is logged once and stops nothing. Events of
a worker are in :mod:`sqsw.core.events`: whoever only sends has no use for them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqsw.core.process_lock import ProcessLock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events."""


@dataclass(frozen=True, slots=True)
class RequestSent(Event):
    """A request goes to SQS; each repetition is one more."""

    action: str


Listener = Callable[[Any], None]


class EventBus:
    """Hands each event to the listeners of its kind, in the thread that publishes it."""

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._listeners: list[tuple[Listener, tuple[type[Event], ...]]] = []
        self._listening: dict[type[Event], list[Listener]] = {}
        self._broken: set[int] = set()

    def subscribe(self, listener: Listener, *kinds: type[Event]) -> None:
        """Call ``listener(event)`` for each event of these kinds; of all if none is named."""
        with self._lock.here:
            self._listeners = [*self._listeners, (listener, kinds or (Event,))]
            self._listening = {}

    def has_listener(self, kind: type) -> bool:
        """Whether a listener of this class has subscribed."""
        return any(isinstance(listener, kind) for listener, _ in self._listeners)

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens to this kind: else there is no need to make the event."""
        return bool(self._listening_to(kind))

    def publish(self, event: Event) -> None:
        """Tell all who listen for this kind of event."""
        for listener in self._listening_to(type(event)):
            try:
                listener(event)
            except KeyboardInterrupt:
                raise  # from the keyboard, and meant for who called
            except BaseException:  # a listener is not ours, and must not stop a job or a role
                if id(listener) not in self._broken:
                    self._broken.add(id(listener))
                    logger.exception("a listener failed; its next failures are not logged")

    def _listening_to(self, kind: type[Event]) -> list[Listener]:
        listening = self._listening.get(kind)
        if listening is None:
            # Found once for each kind: most jobs tell things that nobody listens to.
            with self._lock.here:
                listening = [
                    listener for listener, kinds in self._listeners if issubclass(kind, kinds)
                ]
                self._listening[kind] = listening
        return listening
