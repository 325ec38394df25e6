"""What a worker process tells its supervisor: events as plain data, over a pipe.

1. collect   (in the process: an event costs an append)
2. send      (ten times a second, many at once)
3. read      (in the supervisor: what there is, without waiting, so that no child can hold it up)

Made by the supervisor for each child; the thread that sends is the child's.
"""

import os
import pickle
import struct
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any

from sqsw.core import errors
from sqsw.core.errors import SQSError
from sqsw.core.events import BatchFinished, Event, MessageEvent
from sqsw.core.message import Message
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import described

logger = SafeLogger("sqsw.worker")

#: seconds between two sends
_SEND_SECONDS = 0.1

#: events that are kept while the supervisor does not read; what comes beyond them is not told
_MAX_EVENTS = 100_000

_LENGTH = struct.Struct("!I")


class OtherError(Exception):
    """Stands for an error of a child that need not exist here: its type and text."""


class Reporter:
    """Takes the events of this process, as a listener, and sends them to the supervisor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._events: deque[Event] = deque()
        self._ending = threading.Event()
        self._is_full = False
        self._thread = threading.Thread(target=self._work, name="sqsw-report", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Tell an event."""
        if isinstance(event, BatchFinished):
            return  # the messages in it have been told one by one
        if len(self._events) < _MAX_EVENTS:
            self._events.append(event)
        elif not self._is_full:
            self._is_full = True
            logger.warning("the supervisor does not listen: its counts will be too small")

    def close(self, timeout: float = 2.0) -> None:
        """Send what there is, within ``timeout`` seconds."""
        self._ending.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ending.wait(_SEND_SECONDS)
            events = [self._events.popleft() for _ in range(len(self._events))]
            if events:
                try:
                    _write(self._connection.fileno(), _packed(events))
                except OSError:
                    return  # the supervisor is gone, and this process ends with it
                except Exception:  # without signs of life from here the process would be killed
                    logger.exception("some events cannot be told to the supervisor")

    def __reduce__(self) -> Any:
        raise TypeError("a reporter belongs to one process")


class Reports:
    """The other end: what one child has told."""

    def __init__(self, connection: Connection) -> None:
        os.set_blocking(connection.fileno(), False)
        self._connection = connection
        self._data = bytearray()
        self.is_closed = False

    def fileno(self) -> int:
        """What to wait for."""
        return self._connection.fileno()

    def read(self) -> Iterator[Event]:
        """The events that have arrived whole; a child that died in the middle leaves a rest."""
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
        """Read no more."""
        self.is_closed = True
        self._connection.close()


#: An event on its way: its class and its values. A dataclass by itself is pickled field by field in
#: Python, which costs more than all else that is done for an event.
_Values = tuple[type[Event], list[Any]]


_kept_names: dict[type[Event], tuple[str, ...]] = {}


def _names(kind: type[Event]) -> tuple[str, ...]:
    if kind not in _kept_names:
        _kept_names[kind] = tuple(field.name for field in fields(kind))
    return _kept_names[kind]


def _packed(events: Sequence[Event]) -> bytes:
    """One frame. Events of one message share it, so that it travels once."""
    bare: dict[int, tuple[Any, ...]] = {}
    plain = [_plain(event, bare) for event in events]
    try:
        data = pickle.dumps(plain, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001  # one of them it is, which is told below
        data = pickle.dumps([values for values in plain if _can_be_told(values)])
    return _LENGTH.pack(len(data)) + data


def _can_be_told(values: _Values) -> bool:
    try:
        pickle.dumps(values)
    except Exception:
        logger.exception("an event of %s cannot be told to the supervisor", values[0].__name__)
        return False
    return True


def _plain(event: Event, bare: dict[int, tuple[Any, ...]]) -> _Values:
    kind = type(event)
    values = [getattr(event, name) for name in _names(kind)]
    for index, value in enumerate(values):
        if isinstance(value, Message):
            key = id(value)
            if key not in bare:
                bare[key] = (value.message_id, dict(value.attributes), value.queue_name)
            values[index] = bare[key]
        elif isinstance(value, BaseException):
            values[index] = _told(value)
    return kind, values


def _events(frame: bytes) -> Iterator[Event]:
    messages: dict[int, Message] = {}
    try:
        told = pickle.loads(frame)  # noqa: S301  # written by our own child, on its own pipe
    except Exception:  # the next frame may be well, and the child has done its work
        logger.exception("what a worker process told cannot be read")
        return
    for kind, values in told:
        if issubclass(kind, MessageEvent):
            key = id(values[0])
            if key not in messages:
                message_id, attributes, queue_name = values[0]
                messages[key] = Message(
                    message_id, "", "", attributes=attributes, queue_name=queue_name
                )
            values[0] = messages[key]
        yield kind(**dict(zip(_names(kind), values, strict=True)))


def _told(error: BaseException) -> BaseException:
    # Only our own errors are sure to exist in the supervisor. A job may raise one with anything in
    # it, which the supervisor could not read, or would load the app for: so only texts travel.
    kind, state = type(error), dict(vars(error))
    state.pop("__notes__", None)  # those of ours are made again
    texts = (*error.args, *state, *state.values())
    are_plain = all(text is None or type(text) is str for text in texts)
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
