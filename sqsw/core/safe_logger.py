"""The loggers of sqsw, which neither wait for a stuck log nor raise errors of a log.

While a worker runs, one thread hands records to the handlers (see :mod:`sqsw.core.delivery`). A
record is created where it is logged, so it has the time, thread and context of the event.
"""

import logging
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any

from sqsw.core.delivery import Delivery, is_handing_over
from sqsw.core.wording import described, text_of, without_secrets

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

#: characters of the text of an error in a message, and of a traceback in place of an exception
_ERROR_LENGTH, _TRACEBACK_LENGTH = 300, 20_000

#: words of a message between the event's name and its values
_LEADS = {"job_retry": "Retrying "}

#: characters that a record counts for, with everything that it carries
_RECORD_SIZE = 1_000


class SafeLogger:
    """A wrapper of a standard logger, with the methods that sqsw needs.

    Parameters
    ----------
    name :
        The name of the logger, usually ``__name__``.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, *arguments: object, exc_info: bool = False) -> None:
        self._log(logging.DEBUG, message, arguments, exc_info=exc_info)

    def warning(self, message: str, *arguments: object) -> None:
        self._log(logging.WARNING, message, arguments)

    def error(self, message: str, *arguments: object) -> None:
        self._log(logging.ERROR, message, arguments)

    def exception(self, message: str, *arguments: object) -> None:
        self._log(logging.ERROR, message, arguments, exc_info=True)

    def _log(
        self, level: int, message: str, arguments: tuple[object, ...], exc_info: bool = False
    ) -> None:
        logger = self._logger
        if logger.isEnabledFor(level):
            filename, line, function, _ = logger.findCaller(False, 3)
            place = (filename, line, function)
            error = sys.exc_info()[1] if exc_info else None
            log_record(logger, make_record(logger, level, message, arguments, error, place))


def make_record(
    logger: logging.Logger,
    level: int,
    message: str,
    arguments: tuple[object, ...] = (),
    error: BaseException | None = None,
    place: tuple[str, int, str | None] = (__file__, 0, None),
    attributes: Mapping[str, Any] | None = None,
) -> logging.LogRecord:
    """Return a record, even if the app's record factory sets attributes of the same names.

    Parameters
    ----------
    place :
        File, line and function that the record is from.
    attributes :
        More attributes of the record. They replace those that the factory has set, which
        ``extra=`` refuses.
    """
    filename, line, function = place
    exc_info: _ExcInfo | None = None
    if error is not None:
        exc_info = (type(error), error, error.__traceback__)
    record = logger.makeRecord(
        logger.name, level, filename, line, message, arguments, exc_info, function
    )
    vars(record).update(attributes or {})
    return record


def log_event(
    logger: logging.Logger,
    level: int,
    name: str,
    error: BaseException | None = None,
    /,
    *,
    size: int = 0,
    **values: object,
) -> None:
    """Log an event, with its values as text in the message and as attributes of the record.

    The attribute ``event`` has the name. A formatter that writes attributes needs no message.

    Parameters
    ----------
    error :
        The exception of a failed job. Its text is at the end of the message. The attributes
        ``error_type`` and ``error`` have its class and the first line of its text, up to 300
        characters.
    size :
        Characters of the values, if there can be many.
    values :
        Attributes of the record. The message leaves out ``context`` and those that are None.
    """
    if not logger.isEnabledFor(level):
        return
    shown = {
        key: _plain(value) if isinstance(value, str) else value
        for key, value in values.items()
        if value is not None and key != "context"
    }
    if error is not None:
        shown["error"] = _plain(described(error)[:_ERROR_LENGTH])
        values["error_type"] = type(error).__name__
        # Masked before it is cut: a part of a credential could not be found any more.
        text = without_secrets(text_of(error)).strip()
        values["error"] = text.partition("\n")[0][:_ERROR_LENGTH]
    # One template for each event, so tools that group records by template can do so.
    template = _template(name, tuple(shown))
    record = make_record(
        *(logger, level, template, (shown,) if shown else (), error),
        attributes={"event": name, **values},
    )
    log_record(logger, record, size)


@lru_cache(maxsize=256)
def _template(name: str, keys: tuple[str, ...]) -> str:
    pairs = " ".join(f"{key}=%({key})s" for key in keys if key != "error")
    return f"{name}: {_LEADS.get(name, '')}{pairs}" + (": %(error)s" if "error" in keys else "")


def _plain(text: str) -> str:
    """Return the text on one line: names and reasons can come from any sender."""
    return text if text.isprintable() else ascii(text)[1:-1]


def log_record(logger: logging.Logger, record: logging.LogRecord, size: int = 0) -> None:
    """Hand a record to the handlers; in a worker, by the thread of the log.

    Parameters
    ----------
    size :
        Characters that the record carries, if there can be many.
    """
    if not is_handing_over():
        _handle(logger, record)
        return
    size, urgent = size + _RECORD_SIZE, record.levelno >= logging.ERROR
    if record.exc_info is not None:
        waits = LOG.put(
            _handle, logger, record, size=size, urgent=urgent, has_error=True, counted=False
        )
        if waits:
            return
        _free(record)
    LOG.put(_handle, logger, record, size=size, urgent=urgent)


def _handle(logger: logging.Logger, record: logging.LogRecord) -> None:
    try:
        logger.handle(record)
    except KeyboardInterrupt:
        raise  # Ctrl-C is for the caller
    except BaseException:  # noqa: BLE001  # a foreign filter or handler must not stop a job
        last = logging.lastResort
        if last is not None and record.levelno >= last.level:
            last.handle(record)


def _free(record: logging.LogRecord) -> None:
    """Replace the exception by its text: waiting exceptions keep objects of their jobs alive."""
    if record.exc_info is not None:
        text = "".join(traceback.format_exception(*record.exc_info))[-_TRACEBACK_LENGTH:].rstrip()
        record.exc_text = text
        record.exc_info = None
        vars(record)["exception"] = text  # for formatters that write attributes


def _log_dropped(count: int) -> None:
    log_event(logging.getLogger("sqsw.worker"), logging.WARNING, "lines_dropped", dropped=count)


#: the thread that log lines are written by
LOG = Delivery("the log", on_dropped=_log_dropped)
