"""Print messages for people, for pipes and as JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqsw.core.job_metadata import SQSW
from sqsw.core.wording import counted, shortened
from sqsw_cli.json_text import json_text
from sqsw_cli.output.format import ago, local_time, rfc3339, size, thousands
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_manage.message_view import Failure, MessageView
    from sqsw.sqs_manage.outgoing import OutgoingMessage

#: maximum characters of a value, a message id, a job name and all arguments, on a terminal
_VALUE, _ID, _NAME, _ARGUMENTS = 32, 8, 24, 1_000

#: Keys of a message that was read but not selected. The others are null, because there can be many
#: such messages. Without a job, `send --from` rejects these lines.
_KEYS_OF_SKIPPED = (
    *("queue", "id", "job_id", "raw", "group", "sent_at", "receives", "size", "source", "action"),
)


def show_message(printer: Printer, view: "MessageView") -> None:
    if printer.as_json:
        printer.json("message", values_of(view))
    else:
        sent = rfc3339(view.sent_at)
        printer.plain(
            "message", view.id, view.job, sent, view.receives, payload(view, shorten=False)
        )


def show_handled(printer: Printer, view: "MessageView") -> None:
    if printer.as_json:
        values = values_of(view)
        if view.action == "skipped":
            values = {key: values[key] for key in _KEYS_OF_SKIPPED}
        printer.json("message", values)
    elif printer.terminal:
        action = (view.action or "").replace("_", " ")
        job = _short(view.job or "-")
        printer.tell(f"{action}  {view.id[:_ID]}  {job}  {payload(view, shorten=True)}")
    else:
        printer.plain("handled", view.action, view.id, view.job, payload(view, shorten=False))


def show_failure(printer: Printer, failure: "Failure") -> None:
    if printer.as_json:
        printer.json("failed", values_of(failure))
    elif printer.terminal:
        printer.tell(
            f"✗ {failure.id or f'line {failure.line}'}  {shortened(failure.message)} "
            f"[{failure.code}]"
        )
    else:
        where = failure.line if failure.id is None else failure.id
        printer.plain("failed", "failed", where, failure.code, failure.message)


def show_unsent(
    printer: Printer, queue: str, message: "OutgoingMessage", due: datetime | None = None
) -> None:
    """Print a message that was not sent. If it would be parked, ``due`` is when it would run."""
    # A body and attributes from a command's output already say the content type and context.
    is_copied = message.job is not None and message.body is not None
    is_written_here = message.job is not None and "JobName" not in message.attributes
    if printer.as_json:
        values = {
            "queue": queue,
            "job_id": message.job_id,
            "job": message.job,
            "args": message.args,
            "context": message.context or (None if is_copied else {}),
            "content_type": message.content_type or ("json" if is_written_here else None),
            "body": message.body,
            "raw": message.job is None,
            "group": message.group,
            "dedup_id": message.dedup_id,
            "attributes": message.all_attributes() or None,
            "attribute_types": dict(message.attribute_types) or None,
            "trace_header": message.trace_header,
            "due": due,
            "to": queue if due is not None else None,
        }
        printer.json("message", values)
        return
    shorten = printer.terminal
    text = _short(message.body or "") if printer.terminal else message.body or ""
    if message.args is not None:
        text = arguments(message.args) if shorten else json_text(message.args)
    if shorten:
        verb = "would send" if due is None else f"would park until {local_time(due)}"
        printer.tell(f"{verb}  {_short(message.job or '-')}  {text}")
    else:
        printer.plain("unsent", message.job, text)


def message_table(printer: Printer, views: "Sequence[MessageView]") -> None:
    columns = [
        Column("id"),
        Column("job", least=_NAME),
        Column("sent"),
        Column("receives", right=True),
        Column("error", least=_NAME),
        Column("twin of"),
        Column("queue", least=_NAME),
        Column("due"),
        Column("arguments", cut=True),
    ]
    rows = [
        [
            view.id[:_ID],
            view.job or "-",
            ago(view.sent_at),
            thousands(view.receives),
            view.error["type"] or view.error["verdict"] if view.error else "",
            (view.twin_of or "")[:_ID],
            view.to or "",
            "" if view.due is None else local_time(view.due),
            payload(view, shorten=True),
        ]
        for view in views
    ]
    # Most messages have neither an error nor a twin, and are not parked.
    used = [
        index
        for index, column in enumerate(columns)
        if column.title not in ("error", "twin of", "queue", "due")
        or any(row[index] for row in rows)
    ]
    printer.table([columns[index] for index in used], [[row[i] for i in used] for row in rows])


def whole_message(printer: Printer, view: "MessageView") -> None:
    """Print one message in full, for a person."""
    printer.say(f"{view.id}     {view.job or 'no job'} · {view.queue}")
    for line in _facts(view):
        printer.tell(f"  {line}")
    parts: dict[str, list[str]] = {}
    for title, values in (("arguments", view.args), ("context", view.context)):
        if values:
            parts[title] = [f"{key} = {json_text(value)}" for key, value in values.items()]
    if view.error is not None:
        parts["error"] = _reason(view.error)
        parts["traceback"] = (view.error["trace"] or "").splitlines()
    parts["attributes"] = [
        f"{name} ({view.attribute_types[name]}) = {text}"
        for name, text in view.attributes.items()
        if name != SQSW or view.error is None  # otherwise it is shown above
    ]
    if view.args is None:
        parts["body"] = view.body.splitlines()
    for title, lines in parts.items():
        if lines:
            printer.say()
            printer.say(title)
            for line in lines:
                printer.say(f"  {line}")  # not wrapped, so it can be copied


def _facts(view: "MessageView") -> list[str]:
    facts = [f"sent {_moment(view.sent_at)}"]
    if view.first_received_at is not None:
        facts.append(f"first received {_moment(view.first_received_at)}")
    facts += [counted(view.receives, "receive"), size(view.size)]
    lines = [" · ".join(facts)]
    if view.job_id != view.id:
        lines.append(f"job id {view.job_id}")
    if view.due is not None:
        lines.append(f"parked until {local_time(view.due)}, then sent to {view.to or '?'}")
    if view.source is not None:
        lines.append(f"a dead letter of {view.source}")
    if view.group is not None:
        lines.append(f"message group {view.group}")
    if view.dedup_id is not None:
        lines.append(f"deduplication id {view.dedup_id}")
    if view.trace_header is not None:
        lines.append(f"trace header {view.trace_header}")
    return lines


def _moment(moment: datetime | None) -> str:
    return "at an unknown time" if moment is None else f"{rfc3339(moment)} ({ago(moment)})"


_VERDICTS = {
    "last_attempt": "it failed on its last attempt",
    "gave_up": "the job gave up",
    "unreadable": "it cannot be decoded",
    "killed_process": "it killed its process each time",
}


def _reason(record: Mapping[str, Any]) -> list[str]:
    verdict = _VERDICTS.get(record["verdict"], record["verdict"])
    # The text of an error can have several lines.
    text = ": ".join(filter(None, (record["type"], record["message"])))
    first = f", first received at {record['first_at']}" if record["first_at"] else ""
    return [
        *text.splitlines(),
        *([f"in {record['where']}"] if record["where"] else []),
        f"{verdict}, at {record['at']}",
        f"{counted(record['attempts'], 'attempt')}, {counted(record['receives'], 'receive')}"
        f"{first}",
        f"given up {counted(record['deaths'], 'time')}, most recently in {record['queue']} "
        f"by {record['worker']}",
        f"fingerprint {record['fingerprint']}",
    ]


def payload(view: "MessageView", *, shorten: bool) -> str:
    """Return the arguments of a job, or the body if they cannot be read."""
    if view.args is None:
        return _short(view.body) if shorten else view.body
    if not shorten:
        return json_text(view.args)
    return arguments(view.args)


def arguments(args: Mapping[str, Any]) -> str:
    """Return ``to="user@example.com" count=3``, with long values shortened."""
    text = " ".join(f"{_short(key)}={_short(json_text(value))}" for key, value in args.items())
    return shortened(text, _ARGUMENTS)


def _short(text: str) -> str:
    # Cut in the middle: long values, such as paths, often differ only at their ends.
    text = " ".join(text.split())
    if len(text) <= _VALUE:
        return text
    head = _VALUE // 3
    return f"{text[:head]}…{text[head + 1 - _VALUE :]}"
