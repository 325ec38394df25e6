"""The server's log: one record for each request and each error."""

import logging
from collections.abc import Mapping
from contextlib import suppress

logger = logging.getLogger("sqsw.serve")


def log_request(
    operation: str, path: str, status: int, client: tuple[str, int] | None, seconds: float
) -> None:
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
    _log(level, "request", values)


def log_error(event: str, raised: BaseException | None = None, /, **values: object) -> None:
    """Log an event, with the traceback of ``raised``."""
    if logger.isEnabledFor(logging.ERROR):
        _log(logging.ERROR, event, values, raised)


def _log(
    level: int, event: str, values: Mapping[str, object], error: BaseException | None = None
) -> None:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(logger.name, level, __file__, 0, event, (), exc_info)
    # Not with ``extra``, which raises if the app's record factory has set the same attribute.
    vars(record).update(values)
    with suppress(Exception):  # a request must not fail because of the app's filters or handlers
        logger.handle(record)
