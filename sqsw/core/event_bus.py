"""The event bus: passes each event to the listeners of its kind.

The code that does the work publishes an event once. Listeners turn it into a log line, a number or
a moving bar. A listener that raises or hangs stops nothing. The events of a worker are in
:mod:`sqsw.core.events`, which a program that only sends does not need.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from sqsw.core.delivery import Delivery, is_handing_over
from sqsw.core.process_lock import ProcessLock
from sqsw.core.record import record
from sqsw.core.safe_logger import SafeLogger

logger = SafeLogger(__name__)


@record(repr=False, eq=False)
class Event:
    """The root of all events.

    It defines the methods that ``dataclass`` would otherwise generate for each event, because that
    takes 9 ms of a worker's start.
    """

    def _compared(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in fields(self) if field.compare)

    def __repr__(self) -> str:
        values = ", ".join(
            f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.repr
        )
        return f"{type(self).__qualname__}({values})"

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())


@record(repr=False, eq=False)
class RequestSent(Event):
    """A request goes to SQS; each repetition is one more."""

    action: str


Listener = Callable[[Any], None]

#: Whether a listener does something with events of a kind at this moment; None: always.
Wants = Callable[[], bool] | None

#: characters of the name of a listener in a log line
_NAME_LENGTH = 100


class EventBus:
    """Passes each event to the listeners of its kind, in the order of publication.

    While a worker runs, each listener has a thread of its own (see ``sqsw.core.delivery``), so a
    listener that hangs holds up nothing else. Otherwise, and always for a listener that subscribed
    as ``quick``, the call is made in the thread that publishes.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._listeners: list[
            tuple[Listener, tuple[type[Event], ...], Delivery | None, Callable[[Any], Wants]]
        ] = []
        self._listening: dict[type[Event], list[tuple[Listener, Delivery | None, Wants]]] = {}
        self._failed: set[tuple[int, type[Event]]] = set()

    def subscribe(
        self,
        listener: Listener,
        *kinds: type[Event],
        quick: bool = False,
        wants: Callable[[type[Event]], Wants] = lambda kind: None,
    ) -> None:
        """Call ``listener(event)`` for each event of these kinds, or for all events without kinds.

        Parameters
        ----------
        quick :
            Whether the listener never waits for anything. It is then called in the publishing
            thread, so it delays a job.
        wants :
            Called once for each kind; returns a function that tells whether the listener does
            something with such an event at this moment, or None if it always does.
        """
        delivery = None if quick else _delivery_to(listener)
        with self._lock.here:
            self._listeners = [*self._listeners, (listener, kinds or (Event,), delivery, wants)]
            self._listening = {}

    def has_listener(self, kind: type) -> bool:
        return any(isinstance(listener, kind) for listener, *_ in self._listeners)

    def wants(self, kind: type[Event]) -> bool:
        """Return whether a listener wants this kind; if not, the event need not be created."""
        listening = self._listening.get(kind)
        for _, _, wants in self._listening_to(kind) if listening is None else listening:
            if wants is None or wants():
                return True
        return False

    def publish(self, event: Event) -> None:
        for listener, delivery, _ in self._listening_to(type(event)):
            if delivery is None or not is_handing_over():
                self._call(listener, event)
            else:
                body = getattr(getattr(event, "message", None), "body", "")
                has_error = getattr(event, "error", None) is not None
                delivery.put(self._call, listener, event, size=len(body), has_error=has_error)

    def _call(self, listener: Listener, event: Event) -> None:
        try:
            listener(event)
        except KeyboardInterrupt:
            raise  # Ctrl-C is for the caller
        except BaseException:  # a foreign listener must not stop a job or a worker thread
            failure = (id(listener), type(event))
            if failure not in self._failed:
                self._failed.add(failure)
                logger.exception(
                    "the listener %s failed on %s; its next failures on such events are not logged",
                    *(_name_of(listener), type(event).__name__),
                )

    def _listening_to(self, kind: type[Event]) -> list[tuple[Listener, Delivery | None, Wants]]:
        listening = self._listening.get(kind)
        if listening is None:
            # Found once for each kind: most events have no listener.
            with self._lock.here:
                listening = [
                    (listener, delivery, wants(kind))
                    for listener, kinds, delivery, wants in self._listeners
                    if issubclass(kind, kinds)
                ]
                self._listening[kind] = listening
        return listening


def _delivery_to(listener: Listener) -> Delivery:
    name = _name_of(listener)

    def log_dropped(count: int) -> None:
        logger.warning("%d events did not reach the listener %s, which was stuck", count, name)

    return Delivery(f"the listener {name}", on_dropped=log_dropped)


def _name_of(listener: Listener) -> str:
    """The function or the class, as one would import it."""
    named: Any = listener if hasattr(listener, "__qualname__") else type(listener)
    return f"{named.__module__}.{named.__qualname__}"[-_NAME_LENGTH:]
