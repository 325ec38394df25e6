"""Logs on stderr: what the library and the jobs log through the standard library, formatted by
structlog, as lines for a person or as JSON for a collector."""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqsw.context import current_job
from sqsw.core.wording import without_password
from sqsw_cli.invocation import Invocation
from sqsw_cli.terminal import is_terminal, safe

if TYPE_CHECKING:
    from structlog.typing import Processor

EventDict = MutableMapping[str, Any]

#: Loggers of the libraries below, which tell every request.
_BELOW = ("boto3", "botocore", "urllib3", "s3transfer")

# What botocore writes at -vv that opens doors: headers of requests, answers of STS and SSO.
_SECRETS = re.compile(
    r"""(?ix)
    (authorization | x-amz-security-token | (?:secret_?access_?key) | session_?token
     | access_?token | refresh_?token | client_?secret)
    (["']? \s* [:=>] \s* b?["']?)
    ([^"'\n<&}]+)
    """
)


class _MadeAtFirstUse(logging.Formatter):
    """Most commands log nothing, and structlog takes longer to import than they take to run."""

    def __init__(self, make: Callable[[], logging.Formatter]) -> None:
        super().__init__()
        self._make = make

    @cached_property
    def _made(self) -> logging.Formatter:
        return self._make()

    def format(self, record: logging.LogRecord) -> str:
        text = self._made.format(record)
        return without_password(text) if record.name.startswith((*_BELOW, "sqsw")) else text


def configure_logs(
    invocation: Invocation, *, daemon: bool = False, runs_apps: bool = False
) -> None:
    """Send all logs to stderr, in the format and from the level that the options say.

    Parameters
    ----------
    daemon :
        Whether ``auto`` means JSON where stderr is no terminal.
    runs_apps :
        Whether code of others runs in this process, which may log by structlog itself.
    """
    handler: logging.Handler
    if daemon:
        from sqsw_cli.log_writer import LogWriter

        handler = LogWriter(sys.stderr)
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_MadeAtFirstUse(lambda: _formatter(invocation, daemon=daemon)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(invocation.level.upper())
    for name in _BELOW:
        # Off, but for -vv: every poll would write a page.
        quiet = logging.CRITICAL if invocation.verbose < 2 else logging.NOTSET
        logging.getLogger(name).setLevel(quiet)
    if runs_apps:
        _configure_structlog()


def _formatter(invocation: Invocation, *, daemon: bool) -> logging.Formatter:
    import structlog

    as_json = logs_as_json(invocation, daemon=daemon)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            _add_utc if as_json else _add_local_time,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_json_tail() if as_json else _console_tail(invocation)),
        ],
    )


def _configure_structlog() -> None:
    """A job that logs by structlog would print on stdout, which is for data."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                *_shared(),
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )


def _shared() -> "list[Processor]":
    """Rank, name and time first, then whatever the record carries."""
    from multiprocessing import parent_process

    import structlog

    # In a worker process or one of its pool: there are several then, and one log.
    of_several = [] if parent_process() is None else [_add_pid]
    return [
        *of_several,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _add_job,
        _mask_secrets,
    ]


def logs_as_json(invocation: Invocation, *, daemon: bool) -> bool:
    """Whether a program reads the log: said so, or ``--json``, or no terminal to see it on."""
    if invocation.as_json or invocation.log_format == "json":
        return True
    return daemon and invocation.log_format == "auto" and not is_terminal(sys.stderr)


def _json_tail() -> "list[Processor]":
    import structlog

    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(_dumps, ensure_ascii=False, default=str),
    ]


def _dumps(event: EventDict, **options: Any) -> str:
    """JSON; NaN and Infinity, which a job's context may hold, as texts."""
    try:
        return json.dumps(event, allow_nan=False, **options)
    except ValueError:
        return json.dumps(json.loads(json.dumps(event, **options), parse_constant=str), **options)


def _console_tail(invocation: Invocation) -> "list[Processor]":
    import structlog

    return [
        _for_people,
        structlog.dev.ConsoleRenderer(
            colors=invocation.color_on_stderr,
            # The default one shows local variables, which may hold what a job must not tell.
            exception_formatter=structlog.dev.plain_traceback,
            sort_keys=False,
        ),
    ]


def _add_job(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Say in which job a line was logged, and how long that has been running."""
    job = current_job()
    if job is not None:
        event_dict.setdefault("queue", job.queue_name)
        event_dict.setdefault("job", job.job_name)
        event_dict.setdefault("id", job.id)
        event_dict.setdefault("group", job.message.group_id)
        event_dict.setdefault("attempt", job.receive_count)
        event_dict.setdefault("seconds_s", round(time.monotonic() - job.started_at, 6))
        event_dict.setdefault("context", dict(job.context))
    return event_dict


def _add_pid(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Say which process logged a line, under the key that the supervisor has for it."""
    event_dict.setdefault("pid", os.getpid())
    return event_dict


def _add_utc(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Say when it was logged, which may be a moment before it is written."""
    at = datetime.fromtimestamp(event_dict["_record"].created, UTC)
    event_dict["timestamp"] = at.isoformat().replace("+00:00", "Z")
    return event_dict


def _add_local_time(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    at = time.localtime(event_dict["_record"].created)
    event_dict["timestamp"] = time.strftime("%H:%M:%S", at)
    return event_dict


def _for_people(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Leave out what only a program asks for: empty values, and our own loggers' names.

    What our own loggers name may come from whoever can send; what a job itself logs is its own.
    """
    is_ours = str(event_dict.get("logger", "")).startswith("sqsw.")
    if is_ours:
        del event_dict["logger"]
    return {
        key: safe(value)
        if isinstance(value, str) and (is_ours or key in ("job", "group"))
        else value
        for key, value in event_dict.items()
        if value not in (None, {})
    }


def _mask_secrets(logger: Any, method: str, event_dict: EventDict) -> EventDict:
    """Cross out credentials in what the libraries below log."""
    if str(event_dict.get("logger", "")).startswith(_BELOW):
        event_dict["event"] = _SECRETS.sub(r"\1\2***", str(event_dict["event"]))
    return event_dict
