"""A line in the log for each request, written some together a moment later.

Formatting a line between two requests costs several times what it costs in a row, since it drives
all else out of the processor's caches. The time of a line is that of its answer.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

#: seconds that a line may wait for others, and how many may wait
_LINGER_SECONDS: Final = 0.05
_MOST: Final = 100

logger = logging.getLogger("sqsw.serve")


class RequestLog:
    """The lines that wait; used in the thread of one event loop."""

    def __init__(self) -> None:
        self._waiting: list[logging.LogRecord] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(
        self,
        operation: str,
        path: str,
        status: int,
        client: tuple[str, int] | None,
        seconds: float,
    ) -> None:
        """Tell of one request; at once where the fault is ours."""
        level = logging.INFO if status < 500 else logging.WARNING
        if not logger.isEnabledFor(level):
            return
        values = {
            "operation": operation or None,
            "path": path,
            "status": status,
            "seconds": round(seconds, 4),
            "client": f"{client[0]}:{client[1]}" if client else None,
        }
        self._waiting.append(_record(level, "request", values))
        if level > logging.INFO or len(self._waiting) >= _MOST:
            self.write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.write)

    def write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            _handle(record)


def log_error(event: str, raised: BaseException | None = None, /, **values: object) -> None:
    """Log an event, with the traceback of what was raised."""
    if logger.isEnabledFor(logging.ERROR):
        _handle(_record(logging.ERROR, event, values, raised))


def _record(
    level: int, event: str, values: Mapping[str, object], error: BaseException | None = None
) -> logging.LogRecord:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(logger.name, level, __file__, 0, event, (), exc_info)
    # Not with ``extra``, which raises if the app's record factory has set such an attribute.
    vars(record).update(values)
    return record


def _handle(record: logging.LogRecord) -> None:
    with suppress(Exception):  # a filter or a handler of the app must not fail a request
        logger.handle(record)
