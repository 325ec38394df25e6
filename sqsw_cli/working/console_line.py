"""Log lines for people: one line for what happened to a job, ``text  key=value`` for all others.

Only a new record starts at the beginning of a line. Further lines of a message and all lines of a
traceback are indented, so a record cannot forge another one.
"""

import re
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

import click

from sqsw.core.job_metadata import is_uuid
from sqsw.core.wording import format_duration, safe, shortened, text_of, without_secrets
from sqsw_cli.output.format import size
from sqsw_cli.output.printer import cut_middle
from sqsw_cli.terminal import wrapped

EventDict = MutableMapping[str, Any]

#: columns of the time and the mark, of a duration, and of an id
_HEAD, _DURATION, _ID = 11, 6, 8

#: columns of queue and job: in a terminal of 80 columns, and at least
_NAMES, _LEAST_NAMES = 26, 22

#: widths of the terminal below which the id is left out, and from which lines get no longer
_NARROW, _WIDE = 72, 100

#: prefix of the second and further lines of a message, and of a traceback
_MARGIN = "  | "

#: characters of a value and of a key, at most
_VALUE_LENGTH, _KEY_LENGTH = 4_096, 100

#: keys of text that is printed below a line, unchanged
_TRACES = ("stack", "exception")

#: marks of levels, with their colors
_MARKS = {
    "debug": ("·", None),
    "info": (" ", None),
    "warning": ("!", "yellow"),
    "error": ("✗", "red"),
    "critical": ("✗", "red"),
}

#: keys whose values have a place in every line, and in lines about jobs or from jobs
_PLACED = ("event", "level", "logger", "timestamp", *_TRACES)
_OF_JOB = ("queue", "job", "id", "job_id", "group", "attempt", "seconds_s")


class _News(NamedTuple):
    """What a line of the worker says; ``below`` is a line of its own."""

    mark: str
    color: str | None
    words: str
    below: object = None


class ConsoleLine:
    """Renders the values of a record as text.

    Parameters
    ----------
    columns :
        Returns the width of the terminal; None if the lines go elsewhere, where nothing is cut.
    is_verbose :
        Whether to show all values of a job, and the traceback of each attempt.
    """

    def __init__(
        self, columns: Callable[[], int | None], *, is_colored: bool, is_verbose: bool
    ) -> None:
        self._columns = columns
        self._is_colored = is_colored
        self._is_verbose = is_verbose

    def __call__(self, logger: object, level: str, event: EventDict) -> str:
        is_of_worker = str(event.get("logger", "")).startswith("sqsw.")
        news = _news_of_job(event) if is_of_worker else None
        if news is not None:
            lines = self._job(event, news)
        elif is_of_worker and (news := _news_of_worker(event)) is not None:
            lines = self._worker(event, news)
        else:
            lines = self._message(event)
        if news is not None and news.below is not None:
            lines.append(self._below(news.below))
        if news is not None and self._is_verbose:
            values = self._values(
                event, (*_PLACED, "error_type", "error", "reason", "queue", "job")
            )
            lines.append(self._dim(_MARGIN) + " ".join(values))
        if news is None or self._is_verbose or "verdict" in event:
            for key in _TRACES:
                if event.get(key) is not None:
                    text = _MARGIN + _indented(_text(event[key]))
                    lines += [self._dim(line) for line in text.split("\n")]
        return "\n".join(lines)

    def _job(self, event: EventDict, news: _News) -> list[str]:
        columns = self._columns()
        wide = _WIDE if columns is None else min(columns, _WIDE)
        is_narrow = wide < _NARROW
        names = [safe(_text(event[key])) for key in ("queue", "job") if event.get(key) is not None]
        words, short_id = news.words, _short_id(event)
        rest = wide - _HEAD - 1 - _DURATION
        if is_narrow:
            padded = room = max(rest, _LEAST_NAMES)
        else:
            rest -= 2 + 2 + _ID
            if columns is not None:
                words = cut_middle(words, rest - _LEAST_NAMES)
            room = rest - len(words) if columns is not None else 1_000
            padded = min(_NAMES + max(0, wide - 80) // 2, room)
        group = event.get("group")
        if group is not None and len(" ".join(names)) + len(_text(group)) < padded:
            names.append(safe(_text(group)))
        seconds = event.get("seconds_s")
        duration = "" if seconds is None else _seconds(seconds)
        line = f"{_fitted(names, room):<{padded}} {duration:>{_DURATION}}"
        head = self._head(event, news.mark, news.color)
        if is_narrow:
            words = cut_middle(words, wide - 2 - 1 - _ID)
            second = [f"  {self._paint(words, news.color)} {self._dim(short_id)}"] if words else []
            return [(head + line).rstrip(), *second]
        gap = " " * max(2, wide - _HEAD - len(line) - 2 - len(words) - _ID)
        return [f"{head}{line}  {self._paint(words, news.color)}{gap}{self._dim(short_id)}"]

    def _worker(self, event: EventDict, news: _News) -> list[str]:
        process = f"process {event['pid']} " if "pid" in event else ""
        text = f"{'':.<{_HEAD}}{process}{safe(news.words)}"
        first, *rest = wrapped(text, self._columns(), hanging=2).split("\n")
        return [self._head(event, news.mark, news.color) + first[_HEAD:], *rest]

    def _below(self, text: object) -> str:
        columns = self._columns()
        indent = " " * (_HEAD if columns is None or columns >= _NARROW else 2)
        line = safe(without_secrets(_text(text)))
        if columns is not None and len(line) > columns - len(indent):
            line = line[: columns - len(indent) - 1] + "…"
        return indent + line

    def _message(self, event: EventDict) -> list[str]:
        """Return the lines of an app, of a library, or of a job."""
        mark, color = _MARKS.get(str(event.get("level")), (" ", None))
        text = _text(event["event"])
        name = safe(_text(event.get("logger", "")))
        if name.startswith("sqsw."):
            name = ""
            if re.fullmatch("[a-z_]+", text):
                text = text.replace("_", " ")  # the name of an event
        parts = [self._dim(f"[{name}]")] if name else []
        is_in_job = event.get("id") is not None and event.get("queue") is not None
        parts += self._values(event, (*_PLACED, *(_OF_JOB if is_in_job else ())))
        first, *rest = _indented(text.rstrip()).split("\n")
        line = f"{self._head(event, mark, color)}{first}  {' '.join(parts)}".rstrip()
        if is_in_job:
            names = [safe(_text(event[key])) for key in ("queue", "job") if event.get(key)]
            columns = self._columns() or 1_000
            room = columns - len(click.unstyle(line)) - 2 - _ID
            of_job = f"{_fitted(names, _NAMES)} " if room > _NAMES else ""
            line += self._dim(f" {of_job}{_short_id(event)}")
        return [line, *rest]

    def _head(self, event: EventDict, mark: str, color: str | None) -> str:
        return f"{self._dim(event['timestamp'])} {self._paint(mark, color)} "

    def _values(self, event: EventDict, placed: tuple[str, ...]) -> list[str]:
        return [
            self._dim(f"{safe(shortened(str(key), _KEY_LENGTH))}=") + _shown(value)
            for key, value in event.items()
            if key not in placed and value is not None and value != {}
        ]

    def _paint(self, text: str, color: str | None) -> str:
        return click.style(text, fg=color) if color and text and self._is_colored else text

    def _dim(self, text: str) -> str:
        return click.style(text, dim=True) if text and self._is_colored else text


def _news_of_job(event: EventDict) -> _News | None:
    """Return what a line says about a job or its message; None if it is about neither."""
    match event["event"]:
        case "job_started":
            return _News("·", None, _attempt(event))
        case "job_done":
            return _News("✓", "green", _attempt(event) if event["attempt"] > 1 else "")
        case "job_failed" | "job_retry":
            error = f"{event['error_type']}: {event['error']}" if "error_type" in event else None
            if "verdict" in event:
                what = "gave up" if event["verdict"] == "gave_up" else _attempt(event)
                return _News("✗", "red", what + _end(event), error)
            return _News("↻", "yellow", f"{_attempt(event)}, again {_after(event)}", error)
        case "job_unknown":
            return _News("!", "yellow", f"no processor, again {_after(event)}")
        case "job_unrun":
            return _News("✗", "red", f"not run{_end(event)}", event["reason"])
        case "job_dead":
            crashed = "crashed" if event["verdict"] == "killed_process" else ""
            return _News("✗", "red", f"{crashed} → {event['dead_letter_queue']}".strip())
        case "job_killed_process":
            return _News("✗", "red", _death_of_process(event), _around_death(event))
        case "job_stuck":
            return _News("✗", "red", "over its time limit")
        case "lease_lost":
            return _News("!", "yellow", "visibility timeout lost", event["reason"])
        case "tick_skipped":
            return _News("·", None, "skipped, a newer tick is due")
        case "ack_failed":
            return _News("✗", "red", f"{event['action']} failed", event["reason"])
    return None


def _news_of_worker(event: EventDict) -> _News | None:
    """Return what a line says about the worker, in words; None for the words of the event."""
    reason = event.get("reason")
    why = {"SIGINT": "Ctrl-C", "SIGTSTP": "Ctrl-Z"}.get(str(reason), str(reason).replace("_", " "))
    match event["event"]:
        case "worker_started":
            return _News("■", None, "started")
        case "worker_failed":
            return _News("✗", "red", "failed", reason)
        case "reloading":
            return _News("■", None, f"reloading: {reason}")
        case "http_started":
            return _News("■", None, f"health and metrics on port {event['port']}")
        case "child_exited":
            return _News("✗", "red", f"ended with exit code {event['exit_code']}", reason)
        case "child_replaced":
            return _News("■", None, f"is replaced ({why})")
        case "drain_started":
            most = format_duration(event["drain_s"])
            words = f"{event['running']} running, {event['waiting']} returned, up to {most}"
            return _News("■", None, f"draining ({why}): {words}")
        case "worker_stopped":
            left = f", {event['unfinished']} unfinished" if event["unfinished"] else ""
            return _News("■", None, f"stopped ({why}){left}")
        case "quiet_started":
            words = f"quiet ({why}): {event['running']} running, no more receives"
            return _News("■", "yellow", words, event["hint"])
        case "receive_error":
            again = f"again in {event['retry_s']:.0f}s"
            return _News("!", "yellow", f"{event['queue']}: receive failed, {again}", reason)
        case "receive_recovered":
            return _News("✓", "green", f"{event['queue']}: received again")
        case "extension_failed":
            words = f"{event['queue']}: visibility timeouts were not renewed"
            return _News("!", "yellow", words, reason)
        case "tick_sent":
            return _News("·", None, f"{event['schedule']}: sent the tick of {event['at']}")
        case "tick_missed":
            return _missed_ticks(event)
        case "depth_unknown":
            words = f"{event['queue']}: the number of messages is unknown"
            return _News("!", "yellow", words, reason)
    return None


def _missed_ticks(event: EventDict) -> _News:
    words = f"did not send the tick of {event['first_at']}"
    if event["count"] > 1:
        times = f"{event['first_at']} to {event['last_at']}"
        words = f"did not send {event['count']:,} ticks, {times}"
    words = f"{event['schedule']}: {words}"
    match event["reason"]:
        case "started":
            below = "it was due before this worker started; another worker may have sent it"
            return _News("·", None, words, below)
        case "late":
            return _News("!", "yellow", words, "this worker was suspended, or its clock jumped")
        case _:
            return _News("!", "yellow", words, event.get("error"))


def _attempt(event: EventDict) -> str:
    attempt = event["attempt"]
    is_last = event.get("verdict") in ("last_attempt", "unreadable")
    return f"attempt {attempt} of {attempt}" if is_last else f"attempt {attempt}"


def _short_id(event: EventDict) -> str:
    """Return 8 characters of an id that ``inspect`` finds, also in the dead-letter queue.

    A job id stays the same there, and its last characters are random. Only parts of UUIDs are
    found, so other job ids give way to the message id.
    """
    job_id = _text(event.get("job_id") or "")
    return safe(job_id[-_ID:] if is_uuid(job_id) else _text(event["id"])[:_ID])


def _end(event: EventDict) -> str:
    """Return what becomes of the message of a job that is not tried again."""
    queue = event.get("dead_letter_queue")
    return ", no DLQ" if queue is None else f" → {safe(_text(queue))}"


def _death_of_process(event: EventDict) -> str:
    why = event.get("signal") or f"exit code {event['exit_code']}"
    return f"{'killed its process' if event['suspects'] == 1 else 'process died'} ({why})"


def _around_death(event: EventDict) -> str | None:
    facts = []
    if event["suspects"] > 1:
        facts.append(f"one of {event['suspects']} jobs that ran in it")
    if event.get("memory_bytes"):
        facts.append(f"it had {size(event['memory_bytes'])} of memory shortly before")
    return "; ".join(facts) or None


def _after(event: EventDict) -> str:
    return f"in {format_duration(event['hidden_s'])}" if event["hidden_s"] else "now"


def _seconds(seconds: float) -> str:
    if seconds >= 60:
        return format_duration(seconds)
    return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.1f}s"


def _fitted(names: list[str], room: int) -> str:
    """Return the names with a space between them, cut if they need more room."""
    text = " ".join(names)
    if len(text) <= room or len(names) < 2:
        return cut_middle(text, room)
    queue, job = names
    queue = cut_middle(queue, max(room // 2, room - 1 - len(job)))
    return f"{queue} {cut_middle(job, room - 1 - len(queue))}"


def _indented(text: str) -> str:
    if text.isprintable():
        return text
    return f"\n{_MARGIN}".join(safe(line.expandtabs(4)) for line in re.split(r"\r?\n", text))


def _text(value: object) -> str:
    return value if isinstance(value, str) else shortened(text_of(value), _VALUE_LENGTH)


def _shown(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[^\s'\"=]+", value) and value.isprintable():
        return shortened(value, _VALUE_LENGTH)
    if isinstance(value, str):
        return safe(repr(shortened(value, _VALUE_LENGTH)))
    return safe(shortened(repr(value), _VALUE_LENGTH))
