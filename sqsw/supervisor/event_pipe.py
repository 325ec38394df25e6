"""Send a worker process's events to the supervisor as plain data over a pipe.

1. collect   (in the worker process; an event costs one append)
2. send      (ten times a second, many events at once)
3. read      (in the supervisor, without waiting, so no child can block it)

The supervisor creates a pipe for each child. A thread in the child sends.
"""

import os
import pickle
import struct
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import fields
from multiprocessing.connection import Connection
from types import NoneType
from typing import Any

from sqsw.core import errors
from sqsw.core.errors import SQSError
from sqsw.core.events import BatchFinished, Event, MessageEvent, Pulse
from sqsw.core.job_metadata import MAX_METADATA_BYTES, SQSW
from sqsw.core.message import Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import described

logger = SafeLogger("sqsw.worker")

#: seconds between two sends
_SEND_SECONDS = 0.1

#: maximum number of events to keep while the supervisor does not read; further ones are dropped
_MAX_EVENTS = 100_000

_LENGTH = struct.Struct("!I")


class OtherError(Exception):
    """A replacement for a child's error whose class can be missing here, with its type and text."""


class Reporter:
    """A listener that sends this process's events to the supervisor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._events: deque[Event] = deque()
        self._ending = threading.Event()
        self._sending = threading.Lock()
        self._has_pulse = self._is_full = False
        self._thread = threading.Thread(target=self._work, name="sqsw-report", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        if isinstance(event, BatchFinished):
            return  # its messages were already reported one by one
        if len(self._events) < _MAX_EVENTS:
            self._events.append(event)
        elif not self._is_full:
            self._is_full = True
            logger.warning("the supervisor is not reading events: its counts will be too low")
        if isinstance(event, Pulse) and not self._has_pulse:
            # Start before the first job: a job that holds the GIL also stops this thread, and the
            # supervisor expects pulses only after the first one.
            self._has_pulse = True
            self._send()

    def close(self, timeout: float = 2.0) -> None:
        """Send the remaining events, within ``timeout`` seconds."""
        self._ending.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ending.wait(_SEND_SECONDS)
            if not self._send():
                return  # the supervisor has ended, and this process ends with it

    def _send(self) -> bool:
        with self._sending:
            events = [self._events.popleft() for _ in range(len(self._events))]
            try:
                if events:
                    _write(self._connection.fileno(), _packed(events))
            except OSError:
                return False
            except Exception:  # without further pulses, this process would be killed
                logger.exception("cannot send some events to the supervisor")
        return True

    def __reduce__(self) -> Any:
        raise TypeError("a Reporter cannot be passed to another process")


class Reports:
    def __init__(self, connection: Connection) -> None:
        os.set_blocking(connection.fileno(), False)
        self._connection = connection
        self._data = bytearray()
        self.is_closed = False

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> Iterator[Event]:
        while not self.is_closed:
            try:
                part = os.read(self._connection.fileno(), 1 << 20)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            self._data += part
            self.is_closed = not part
        while len(self._data) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                break
            frame = bytes(self._data[_LENGTH.size : end])
            del self._data[:end]
            yield from _events(frame)

    def close(self) -> None:
        """Stop reading."""
        self.is_closed = True
        self._connection.close()


#: An event in the pipe, as its class and values. Python pickles a dataclass field by field, which
#: would take longer than everything else that is done for an event.
_Values = tuple[type[Event], list[Any]]


_kept_names: dict[type[Event], tuple[str, ...]] = {}


def _names(kind: type[Event]) -> tuple[str, ...]:
    if kind not in _kept_names:
        _kept_names[kind] = tuple(field.name for field in fields(kind))
    return _kept_names[kind]


def _packed(events: Sequence[Event]) -> bytes:
    """Return one frame. Events of the same message share the message, so it is sent once."""
    bare: dict[int, tuple[Any, ...]] = {}
    plain = [_plain(event, bare) for event in events]
    try:
        data = pickle.dumps(plain, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001  # the next line logs the event that fails
        data = pickle.dumps([values for values in plain if _can_be_told(values)])
    return _LENGTH.pack(len(data)) + data


def _can_be_told(values: _Values) -> bool:
    try:
        pickle.dumps(values)
    except Exception:
        logger.exception("cannot send a %s event to the supervisor", values[0].__name__)
        return False
    return True


def _plain(event: Event, bare: dict[int, tuple[Any, ...]]) -> _Values:
    kind = type(event)
    values = [getattr(event, name) for name in _names(kind)]
    for index, value in enumerate(values):
        if isinstance(value, Message):
            key = id(value)
            if key not in bare:
                text = value.string_attribute(SQSW)
                if text is not None and len(text) > MAX_METADATA_BYTES:
                    text = None  # not written by us, and could fill the pipe
                bare[key] = (value.message_id, dict(value.attributes), value.queue_name, text)
            values[index] = bare[key]
        elif isinstance(value, BaseException):
            values[index] = _told(value)
    return kind, values


def _events(frame: bytes) -> Iterator[Event]:
    messages: dict[int, Message] = {}
    try:
        told = pickle.loads(frame)  # noqa: S301  # from our own child's pipe
    except Exception:  # the next frame can be valid
        logger.exception("cannot read events of a worker process")
        return
    for kind, values in told:
        if issubclass(kind, MessageEvent):
            key = id(values[0])
            if key not in messages:
                message_id, attributes, queue_name, text = values[0]
                kept = {} if text is None else {SQSW: {"StringValue": text}}
                messages[key] = Message(message_id, "", "", attributes, kept, queue_name)
            values[0] = messages[key]
        yield kind(**dict(zip(_names(kind), values, strict=True)))


def _told(error: BaseException) -> BaseException:
    # Send only texts and numbers, and only our own error classes: a job's error can hold any
    # object, and the supervisor might have to load the app to read it.
    kind, state = type(error), dict(vars(error))
    state.pop("__notes__", None)  # our errors recreate their notes
    texts = (*error.args, *state, *state.values())
    are_plain = all(type(text) in (str, int, float, NoneType) for text in texts)
    is_known = vars(errors).get(kind.__name__) is kind
    if not (isinstance(error, SQSError) and is_known and are_plain):
        return OtherError(described(error))
    told = type(error).__new__(type(error))
    words = {word: state.get(word) for word in ("why", "next", "code")}
    SQSError.__init__(told, str(error), **words)
    vars(told).update(state)
    return told


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
