"""Write the log to stderr, as console lines or as JSON.

The library and the jobs log through the standard library or structlog. Importing structlog takes
110 ms, a quarter of a worker's start, because it imports rich and asyncio. So it is used only if
the app has imported it.
"""

import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import cached_property
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from sqsw.context import current_job
from sqsw.core.wording import (
    described,
    shortened,
    text_of,
    traceback_of,
    without_credentials,
    without_known_secrets,
    without_password,
)
from sqsw_cli.invocation import Invocation
from sqsw_cli.json_text import json_text
from sqsw_cli.terminal import columns_of, is_terminal, set_in_view

if TYPE_CHECKING:
    from sqsw_cli.errors.failures import Failure

EventDict = MutableMapping[str, Any]
#: a processor of structlog: takes the logger, the name of the level and the values of a line
Processor = Callable[[Any, str, EventDict], EventDict]

#: Loggers of the libraries that sqsw uses, which log every request.
_BELOW = ("boto3", "botocore", "urllib3", "s3transfer")

#: maximum characters of a message, of each other value of a line, and of a key
_MESSAGE_LENGTH, _VALUE_LENGTH, _KEY_LENGTH = 32_768, 4_096, 100

#: characters of a JSON line; if a line is longer, its values are shortened
_LINE_LENGTH = 65_536


#: logger methods whose names are not levels, with their levels
_LEVELS = {"warn": "warning", "exception": "error"}

#: attributes that every record has
_RECORD_KEYS = vars(logging.makeLogRecord({})).keys()

#: nesting depth up to which _plain() converts a value
_DEPTH = 20


class _Formatter(logging.Formatter):
    """Formats a record with the processors that also handle lines from structlog."""

    def __init__(self, add_time: Processor, make_render: Callable[[], Callable[..., str]]) -> None:
        super().__init__()
        self._add_time = add_time
        self._make_render = make_render

    @cached_property
    def _processors(self) -> list[Processor]:
        return _processors()

    @cached_property
    def _render(self) -> Callable[..., str]:
        return self._make_render()

    def prepare(self) -> None:
        """Import the modules for lines now, so the first line of a worker is not delayed."""
        _ = self._render

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = self._text(record)
        except Exception as error:  # noqa: BLE001  # a job can log anything, and its line must not be lost
            text = self._text(_unformatted(record, error))
        text = without_known_secrets(text)
        return without_password(text) if record.name.startswith((*_BELOW, "sqsw")) else text

    def _text(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        event: EventDict
        if isinstance(record.msg, dict) and hasattr(record, "_logger"):
            event = {**record.msg, "_record": record}  # from structlog, already processed
        else:
            event = {"event": record.getMessage(), "_record": record}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            if record.stack_info:
                event["stack_info"] = record.stack_info
            for process in self._processors:
                event = process(None, level, event)
        event = self._add_time(None, level, event)
        del event["_record"]
        return self._render(None, level, _bound(None, level, event))


def _unformatted(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    text, place = "a log record cannot be formatted", (record.pathname, record.lineno)
    made = logging.LogRecord(record.name, record.levelno, *place, text, None, None)
    made.created = record.created
    made.reason = described(error)
    made.message_logged = text_of(record.msg)
    made.logged_at = f"{record.pathname}:{record.lineno}"
    return made


def configure_logs(
    invocation: Invocation, *, daemon: bool = False, runs_apps: bool = False
) -> None:
    """Send all logs to stderr, in the format and from the level that the options set.

    Parameters
    ----------
    daemon :
        Whether the format ``auto`` means JSON if stderr is not a terminal.
    runs_apps :
        Whether this process runs apps.
    """
    # True in a child process of a worker with a live view.
    set_in_view(invocation.has_view and not is_terminal(sys.stderr))
    handler: logging.Handler
    formatter = _formatter(invocation, daemon=daemon)
    if daemon:
        from sqsw_cli.working.log_writer import LogWriter

        formatter.prepare()
        _write_whole_lines()
        handler = LogWriter(sys.stderr)
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    if not invocation.verbose and not logs_as_json(invocation, daemon=daemon):
        handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(invocation.level.upper())
    for name in _BELOW:
        # Off unless -vv is given: every poll would log a page.
        quiet = logging.CRITICAL if invocation.verbose < 2 else logging.NOTSET
        logging.getLogger(name).setLevel(quiet)
    invocation.has_log = True
    if runs_apps:
        configure_structlog()
        if daemon:
            _log_what_python_prints()


def _write_whole_lines() -> None:
    """Write what jobs print line by line, each line in one piece.

    Without this, a container shows it only when a buffer is full. If ``PYTHONUNBUFFERED`` is set,
    the text and the end of a line are two writes, and a line of the log can come between them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(write_through=False, line_buffering=True)


def log_failure(invocation: Invocation, failure: "Failure", error: BaseException) -> None:
    if not invocation.has_log:
        configure_logs(invocation, daemon=True)
    extra = {
        "code": failure.code,
        "exit_code": failure.exit_code,
        "error": failure.message,
        "why": failure.why,
        "next": failure.next,
    }
    logging.getLogger("sqsw").error(
        "command_failed", extra=extra, exc_info=error if invocation.verbose >= 2 else None
    )


def _log_what_python_prints() -> None:
    """Log warnings, and errors that end a thread, because Python would print them unescaped."""
    logging.captureWarnings(True)
    if threading.excepthook is threading.__excepthook__:  # otherwise the app has set its own
        threading.excepthook = _log_thread_failed


def _log_thread_failed(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or isinstance(args.exc_value, SystemExit):
        return
    extra = {"thread_name": None if args.thread is None else args.thread.name}
    logging.getLogger("threading").error("thread_failed", extra=extra, exc_info=args.exc_value)


def _formatter(invocation: Invocation, *, daemon: bool) -> _Formatter:
    if logs_as_json(invocation, daemon=daemon):
        return _Formatter(_add_utc, lambda: _json_line)
    return _Formatter(_add_local_time, lambda: _console_line(invocation))


def configure_structlog() -> None:
    """Send structlog's lines to the log, if it is imported and no app has configured it.

    By default it prints on stdout, which is for data.
    """
    if "structlog" not in sys.modules:
        return
    import structlog

    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                *_processors(),
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )


def _processors() -> list[Processor]:
    # A child process is one of several that write to the same log.
    multiprocessing = sys.modules.get("multiprocessing")
    is_child = multiprocessing is not None and multiprocessing.parent_process() is not None
    of_several = [_add_pid] if is_child else []
    return [*of_several, _add_structlog_context, _add_level_and_logger, _add_job, _mask_secrets]


def logs_as_json(invocation: Invocation, *, daemon: bool) -> bool:
    """Return whether to log as JSON: by an option, or for a daemon without a terminal."""
    if invocation.as_json or invocation.log_format == "json":
        return True
    return daemon and invocation.log_format == "auto" and not is_terminal(sys.stderr)


def _json_line(logger: Any, level: str, event: EventDict) -> str:
    line = _json(event)
    if len(line) <= _LINE_LENGTH:
        return line
    return _json(
        {shortened(str(key), _KEY_LENGTH): _within(key, value) for key, value in event.items()}
    )


def _within(key: str, value: Any) -> Any:
    """Shorten a value of a line that is too long, unless its length is already limited."""
    is_text = isinstance(value, str)
    if is_text and key in ("event", "exception"):
        return value
    text = value if is_text else _json(value)
    return value if len(text) <= _VALUE_LENGTH else shortened(text, _VALUE_LENGTH)


def _json(value: Any) -> str:
    try:
        return json_text(value, default=_text_of)
    except Exception:  # noqa: BLE001  # NaN, a key that is not a str, a value that contains itself
        return json_text(_plain(value))


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value in which text replaces everything that JSON cannot represent."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else json.dumps(value)
    if depth < _DEPTH and isinstance(value, Mapping):
        return {str(key): _plain(one, depth + 1) for key, one in value.items()}
    if depth < _DEPTH and isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    return _text_of(value)


def _text_of(value: object) -> str:
    return shortened(str(value), _VALUE_LENGTH)


def _console_line(invocation: Invocation) -> Callable[..., str]:
    from sqsw_cli.working.console_line import ConsoleLine

    return ConsoleLine(
        lambda: columns_of(sys.stderr),
        is_colored=invocation.color_on_stderr,
        is_verbose=invocation.verbose > 0,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether to show a record to people.

    ``job_dead`` and ``job_parked`` repeat the line of the failed job.
    """
    return vars(record).get("event") not in ("job_dead", "job_parked")


def _add_structlog_context(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    contextvars = sys.modules.get("structlog.contextvars")
    if contextvars is not None:
        event_dict = contextvars.merge_contextvars(logger, method, event_dict)
    return event_dict


def _add_level_and_logger(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Add the level, the name of the logger and the extra attributes of a record."""
    record = event_dict.get("_record")
    event_dict["level"] = _LEVELS.get(method, method)
    event_dict["logger"] = logger.name if record is None else record.name
    if record is not None:
        for key, value in vars(record).items():
            if key not in _RECORD_KEYS:
                event_dict[key] = value
    return event_dict


def _add_job(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Add the job in which a line was logged, and how long the job has been running."""
    job = current_job()
    if job is not None:
        event_dict.setdefault("queue", job.queue_name)
        event_dict.setdefault("job", job.job_name)
        event_dict.setdefault("id", job.id)
        event_dict.setdefault("job_id", job.job_id)
        event_dict.setdefault("group", job.message.group_id)
        event_dict.setdefault("attempt", job.attempt)
        event_dict.setdefault("seconds_s", round(time.monotonic() - job.started_at, 6))
        event_dict.setdefault("context", dict(job.context))
    return event_dict


def _add_pid(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    event_dict.setdefault("pid", os.getpid())
    return event_dict


def _add_utc(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    at = datetime.fromtimestamp(event_dict["_record"].created, UTC)
    event_dict["timestamp"] = at.isoformat().replace("+00:00", "Z")
    return event_dict


def _add_local_time(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    at = time.localtime(event_dict["_record"].created)
    event_dict["timestamp"] = time.strftime("%H:%M:%S", at)
    return event_dict


def _bound(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Shorten the message, and replace the exception with its traceback as text."""
    for key in ("event", "stack", "exception"):  # jobs can set all of them
        value = event_dict.get(key)
        if isinstance(value, str):
            event_dict[key] = shortened(value, _MESSAGE_LENGTH)
    error = _raised(event_dict.pop("exc_info", None))
    if error is not None:
        text = traceback_of(error).rstrip("\n")
        is_below = str(event_dict.get("logger", "")).startswith(_BELOW)
        event_dict["exception"] = without_credentials(text) if is_below else text
    return event_dict


def _raised(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    if isinstance(exc_info, BaseException):
        return exc_info
    return sys.exc_info()[1] if exc_info else None


def _mask_secrets(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Mask credentials in lines from the libraries that sqsw uses."""
    if str(event_dict.get("logger", "")).startswith(_BELOW):
        event_dict["event"] = without_credentials(str(event_dict["event"]))
    return event_dict
