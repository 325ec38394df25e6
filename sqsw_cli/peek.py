"""Show the messages of a queue, after a warning about what that costs."""

import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqsw.core.dead_record import DeadRecord
from sqsw.core.wording import counted
from sqsw_cli.environment import is_local
from sqsw_cli.output.confirm import yes_or_no
from sqsw_cli.output.format import ago, rfc3339, thousands
from sqsw_cli.output.messages import message_table, show_message, whole_message
from sqsw_cli.output.notices import notices_to
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.output.queues import show_reasons
from sqsw_cli.output.records import json_line

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.message_view import MessageView
    from sqsw.sqs_manage.selection import Selection


def show_messages(
    printer: Printer, env: "SQSEnv", queue: str, limit: int, selection: "Selection", *, yes: bool
) -> None:
    with _peeked(printer, env, queue, limit, selection, yes=yes) as views:
        if not printer.terminal:
            for view in views:
                show_message(printer, view)
            return
        found = list(views)
        if found:
            message_table(printer, found)
    if not found:
        printer.note(_why_empty(env, queue, selection))
    elif twins := sum(one.twin_of is not None for one in found):
        printer.note(
            f"{counted(twins, 'message')} carr{'ies' if twins == 1 else 'y'} the same job as "
            "another one, because a worker crashed; to move one of them and delete the other: "
            f"sqsw redrive {shlex.quote(queue)} --limit 1000"
        )


def show_whole_message(
    printer: Printer, env: "SQSEnv", queue: str, wanted_id: str, *, yes: bool
) -> None:
    """Show one message in full.

    Raises
    ------
    Failure
        No message has the id, or ``wanted_id`` is part of several ids.
    """
    from sqsw.sqs_manage.peek import find_message

    if not is_local(env):
        _warn_of_cost(printer, env, queue, yes=yes)
    view = find_message(env, queue, wanted_id, on_notice=notices_to(printer, queue))
    assert view is not None  # otherwise the notice raised Failure
    if printer.terminal:
        whole_message(printer, view)
    else:
        show_message(printer, view)


def count_messages(
    printer: Printer,
    env: "SQSEnv",
    queue: str,
    limit: int,
    selection: "Selection",
    *,
    yes: bool,
    path: str,
) -> None:
    """Count the messages by their value at a path, the most frequent value first."""
    from sqsw.sqs_manage.reasons import ReasonTally, reason_error

    groups: dict[str, _Group] = {}
    tally = ReasonTally()
    name = queue
    with _peeked(printer, env, queue, limit, selection, yes=yes) as views:
        for view in views:
            name = view.queue
            record = DeadRecord.from_json(view.error)
            tally.add(record, view.sent_at)
            value = same = view.value_at(path)
            if path == "error" and record is not None:
                same = {"error": reason_error(record), "fingerprint": record.fingerprint}
                value = {**same, "where": record.where}
            # Lists and objects are not hashable. Their JSON is, and no string has the same JSON.
            group = groups.setdefault(json_line({"": same}), _Group(value))
            group.key = value  # the last frame's line number can differ: show the newest
            group.add(view.sent_at)
    if not groups and printer.terminal:
        printer.note(_why_empty(env, queue, selection))
        return
    if path == "error" and not printer.as_json:
        show_reasons(printer, tally.reasons())
        return
    ordered = sorted(groups.values(), key=lambda group: -group.count)
    if printer.terminal:
        columns = [
            Column(path, least=24),
            Column("count", right=True),
            Column("oldest"),
            Column("newest"),
        ]
        rows = [
            [_text(group.key), thousands(group.count), ago(group.oldest), ago(group.newest)]
            for group in ordered
        ]
        printer.table(columns, rows)
        return
    for group in ordered:
        if printer.as_json:
            values = {
                "queue": name,
                "key": group.key,
                "count": group.count,
                "oldest_sent_at": group.oldest,
                "newest_sent_at": group.newest,
            }
            printer.json("group", values)
        else:
            times = (rfc3339(group.oldest), rfc3339(group.newest))
            printer.plain("group", _text(group.key), group.count, *times)


def _why_empty(env: "SQSEnv", queue: str, selection: "Selection") -> str:
    """Return why no message is shown; messages in flight or delayed are hidden for now."""
    from sqsw.sqs_manage.depth import DepthReader

    depth = DepthReader(env).read(queue)
    hidden = [
        f"{thousands(count)} {state}"
        for count, state in ((depth.in_flight, "in flight"), (depth.delayed, "delayed"))
        if count
    ]
    if selection and depth.ready:
        text = "no message matches the selection"
    else:
        text = "no ready messages" if hidden else "no messages"
    return f"{text}; hidden for now: {', '.join(hidden)}" if hidden else text


@dataclass
class _Group:
    key: object
    count: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, sent_at: datetime | None) -> None:
        self.count += 1
        if sent_at is not None:
            self.oldest = min(self.oldest or sent_at, sent_at)
            self.newest = max(self.newest or sent_at, sent_at)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json_line({"": value})[5:-1]


@contextmanager
def _peeked(
    printer: Printer, env: "SQSEnv", queue: str, limit: int, selection: "Selection", *, yes: bool
) -> "Iterator[Iterator[MessageView]]":
    from sqsw.sqs_manage.peek import peek_messages

    if not is_local(env):  # peeking in the embedded SQS is not a receive
        _warn_of_cost(printer, env, queue, yes=yes)
    views = peek_messages(
        env,
        queue,
        limit,
        selection=selection or None,
        on_notice=notices_to(printer, queue),
    )
    # However this ends, return the messages.
    with closing(views):
        yield views


def _warn_of_cost(printer: Printer, env: "SQSEnv", queue: str, *, yes: bool) -> None:
    from sqsw.sqs_manage.describe import describe_queue

    report = describe_queue(env, queue)
    why = "SQS has no peek, so sqsw receives messages for 10 seconds and returns them"
    if report.fifo:
        why += "; their message groups are blocked until then"
    if report.dlq is None:
        if report.fifo:
            printer.warn("peeking counts as a receive", why=why)
        return
    printer.warn(
        f"peeking counts as a receive; after its last receive, a message goes to {report.dlq}",
        why=why,
        next="peeking a dead-letter queue is harmless",
    )
    if not yes:
        yes_or_no(
            f"Peek {report.name}?",
            f"peeking can use up the last receive of messages in {report.name!r} "
            "and needs confirmation",
        )
