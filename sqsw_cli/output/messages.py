"""How messages look in the three faces."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqsw.core.wording import shortened
from sqsw_cli.json_text import json_text
from sqsw_cli.output.format import ago, rfc3339, thousands
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_manage.message_view import Failure, MessageView
    from sqsw.sqs_manage.outgoing import OutgoingMessage

#: characters of one value, of a message id, of a job name and of all arguments, on a terminal
_VALUE, _ID, _NAME, _ARGUMENTS = 32, 8, 24, 1_000


def show_message(printer: Printer, view: "MessageView") -> None:
    """One message for a program or a pipe."""
    if printer.as_json:
        printer.json("message", values_of(view))
    else:
        sent = rfc3339(view.sent_at)
        printer.plain(
            "message", view.id, view.job, sent, view.receives, payload(view, shorten=False)
        )


def show_handled(printer: Printer, view: "MessageView") -> None:
    """What became of one message, for a program, a pipe or a person."""
    if printer.as_json:
        printer.json("message", values_of(view))
    elif printer.terminal:
        action = (view.action or "").replace("_", " ")
        job = _short(view.job or "-")
        printer.tell(f"{action}  {view.id[:_ID]}  {job}  {payload(view, shorten=True)}")
    else:
        printer.plain("handled", view.action, view.id, view.job, payload(view, shorten=False))


def show_failure(printer: Printer, failure: "Failure") -> None:
    """A message to which it could not be done."""
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


def show_unsent(printer: Printer, queue: str, message: "OutgoingMessage") -> None:
    """A message that a dry run would have sent."""
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
        }
        printer.json("message", values)
        return
    shorten = printer.terminal
    text = _short(message.body or "") if printer.terminal else message.body or ""
    if message.args is not None:
        text = arguments(message.args) if shorten else json_text(message.args)
    if shorten:
        printer.tell(f"would send  {_short(message.job or '-')}  {text}")
    else:
        printer.plain("unsent", message.job, text)


def message_table(printer: Printer, views: "Iterable[MessageView]") -> None:
    columns = [
        Column("id"),
        Column("job", least=_NAME),
        Column("sent"),
        Column("receives", right=True),
        Column("arguments", cut=True),
    ]
    rows = [
        [
            view.id[:_ID],
            view.job or "-",
            ago(view.sent_at),
            thousands(view.receives),
            payload(view, shorten=True),
        ]
        for view in views
    ]
    printer.table(columns, rows)


def payload(view: "MessageView", *, shorten: bool) -> str:
    """The arguments of a job, or the body where there are none to be read."""
    if view.args is None:
        return _short(view.body) if shorten else view.body
    if not shorten:
        return json_text(view.args)
    return arguments(view.args)


def arguments(args: Mapping[str, Any]) -> str:
    """``to="user@example.com" count=3``, long values shortened."""
    text = " ".join(f"{_short(key)}={_short(json_text(value))}" for key, value in args.items())
    return shortened(text, _ARGUMENTS)


def _short(text: str) -> str:
    # In the middle: long values often differ at their ends alone, paths for one.
    text = " ".join(text.split())
    if len(text) <= _VALUE:
        return text
    head = _VALUE // 3
    return f"{text[:head]}…{text[head + 1 - _VALUE :]}"
