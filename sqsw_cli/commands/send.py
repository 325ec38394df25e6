"""``sqsw send``: put jobs into a queue."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from sqsw.core.errors import SettingsError
from sqsw_cli.command import Command
from sqsw_cli.completing.values import complete_queue, complete_send
from sqsw_cli.environment import has_plugins, opened
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.global_options import is_typed
from sqsw_cli.options.selection import refuse_idle_terminal
from sqsw_cli.options.shared import accepted_yes_option, app_options, dry_run_option
from sqsw_cli.options.types import DURATION, MOMENT, QUEUE
from sqsw_cli.output.format import local_time
from sqsw_cli.output.messages import show_unsent
from sqsw_cli.output.printer import Printer
from sqsw_cli.output.records import values_of
from sqsw_cli.sending.items import read_text
from sqsw_cli.sending.job_check import JobCheck, accept
from sqsw_cli.sending.job_lines import Common, items_of, object_of
from sqsw_cli.sending.lines import BulkSend

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.outgoing import OutgoingMessage

EXAMPLES = """
sqsw send emails send_email to=user@example.com subject=Hello body=@letter.txt
sqsw send reports build year:=2026 'formats:=["pdf","csv"]' --delay 5m
sqsw send reports build year:=2026 --delay 3d --parking parked
sqsw send orders.fifo ship id:=17 --group customer-4 --dedup-id order-17
sqsw send emails send_email --from recipients.jsonl --failed failed.jsonl
psql -Atc "select json_build_object('id', id) from users" | sqsw send users refresh --from -
sqsw send cron --raw '{"detail-type": "Scheduled Event"}'
sqsw send cron --raw --from events.jsonl
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("queue", type=QUEUE, shell_complete=complete_queue)
@click.argument("words", metavar="[JOB [ITEM]...]", nargs=-1, shell_complete=complete_send)
@click.option(
    "-d", "--data", metavar="JSON", help="All arguments as one JSON object; @FILE reads a file."
)
@click.option(
    "--from",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Send one job per line of a JSON Lines file: arguments of JOB, or whole messages if no "
    "JOB is given; - is stdin.",
)
@click.option(
    "--raw",
    is_flag=True,
    help="Send the word after QUEUE as the body, unchanged; @FILE and - read it.",
)
@click.option("--group", metavar="ID", help="Message group ID (on FIFO queues: default).")
@click.option(
    "--dedup-id",
    metavar="ID",
    help="FIFO: deduplication ID. SQS drops another message with the same ID within 5m.",
)
@click.option(
    "--delay",
    metavar="D",
    type=DURATION,
    help="Delay of the job: up to 15m on a standard queue; up to 366d with a parking queue.",
)
@click.option(
    "--at",
    "run_at",
    metavar="TIME",
    type=MOMENT,
    help="Run the job at this time, such as 2026-12-24T08:00+01:00.",
)
@click.option(
    "--parking",
    metavar="NAME",
    shell_complete=complete_queue,
    help="Parking queue, for longer delays (that of the app). [SQSW_PARKING]",
)
@click.option(
    "--context",
    metavar="K=V",
    multiple=True,
    help="Job context; K:=JSON for other values than text. Repeatable.",
)
@app_options
@click.option(
    "--no-check",
    is_flag=True,
    help="Send a job that the app does not know or whose arguments do not fit.",
)
@click.option(
    "--failed",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True),
    help="With --from: write the lines that failed to a file, ready for --from.",
)
@click.option(
    "--keep-going", is_flag=True, help="With --from: count bad lines as failed, and continue."
)
@dry_run_option("Print the messages without sending them.")
@accepted_yes_option
@click.pass_context
def send(
    ctx: click.Context,
    /,
    queue: str,
    words: Sequence[str],
    file: str | None,
    raw: bool,
    app: Sequence[str],
    no_plugins: bool,
    no_check: bool,
    failed: str | None,
    keep_going: bool,
    dry_run: bool,
    **given: Any,
) -> int:
    """Send a job, or one job per line of a file.

    ITEM is key=value for text, key:=JSON for any other value, and key=@FILE or key:=@FILE for the
    contents of a file. If an app is configured, sqsw checks the job name and the arguments before
    it sends. It reads stdin only if - asks for it.
    """
    refuse_idle_terminal(words[0] if raw and words and file is None else file, ctx)
    invocation = ctx.find_object(Invocation) or Invocation()
    bulk = {"--failed": is_typed(ctx, "failed"), "--keep-going": is_typed(ctx, "keep_going")}
    _check(words, file, raw, bulk, **given)
    if failed and dry_run and not keep_going:
        raise SettingsError("--failed with --dry-run needs --keep-going", next="add --keep-going")
    if raw:
        _refuse_check(ctx)
    checks = not no_check and not raw
    apps = list(app) if checks else []
    plugins = checks and not no_plugins and has_plugins()
    with opened(invocation, apps, plugins=plugins) as env:
        parking = given["parking"]
        # The file ranks below what the app sets in code.
        if parking and (is_typed(ctx, "parking") or env.parking_place is None):
            env.connect_to(parking=parking)
        check = None
        if checks:
            check = JobCheck(invocation.printer, env, queue, apps, named=is_typed(ctx, "app"))
        common = Common(
            job=None if raw or not words else words[0],
            group=given["group"],
            dedup_id=given["dedup_id"],
            delay=given["delay"],
            run_at=given["run_at"],
            context=items_of(given["context"], "context key"),
            raw=raw,
        )
        if file is not None:
            options: dict[str, Any] = {"keep_going": keep_going, "failed_path": failed}
            sender = BulkSend(invocation, env, queue, common, file, check or accept, **options)
            return sender.show() if dry_run else sender.run()
        message = _message(common, words, given["data"])
        if check is not None:
            check(message)
        return _send_one(invocation.printer, env, queue, message, dry_run=dry_run)


def _check(
    words: Sequence[str],
    file: str | None,
    raw: bool,
    bulk: dict[str, bool],
    *,
    data: str | None,
    context: Sequence[str],
    dedup_id: str | None,
    delay: int | None,
    run_at: datetime | None,
    **_: Any,
) -> None:
    if delay is not None and run_at is not None:
        raise SettingsError("--delay and --at cannot be used together", next="leave out one")
    if raw and (data is not None or context):
        raise SettingsError(
            "--raw takes neither --data nor --context", why="a body is sent as it is"
        )
    most = 0 if raw else 1
    if file is not None:
        if data is not None or len(words) > most:
            surplus = "--data" if data is not None else repr(words[most])
            raise SettingsError(
                f"--from and {surplus} cannot be used together",
                why="each line brings its own arguments" if not raw else "every line is a body",
            )
        if dedup_id is not None:
            raise SettingsError(
                "--from and --dedup-id cannot be used together",
                why="SQS would keep only the first message with this deduplication id",
                next="set dedup_id in each line",
            )
        return
    for option, typed in bulk.items():
        if typed:
            raise SettingsError(f"{option} needs --from")
    if not words:
        raise SettingsError(
            "no body is given" if raw else "no JOB is given",
            next="sqsw send QUEUE --raw BODY" if raw else "sqsw send QUEUE JOB key=value",
        )
    if not raw and "=" in words[0]:
        raise SettingsError(
            "no JOB is given",
            why=f"{words[0]!r} is an argument, and the name of the job must come first",
            next="sqsw send QUEUE JOB key=value",
        )
    if raw and len(words) > 1:
        raise SettingsError(
            f"--raw takes one body, but {words[1]!r} follows it",
            next="put quotes around the body",
        )


def _refuse_check(ctx: click.Context) -> None:
    """Refuse options for the check, which a raw body does not get."""
    for name in ("app", "no_plugins"):
        if is_typed(ctx, name):
            option = f"--{name.replace('_', '-')}"
            raise SettingsError(
                f"{option} has no effect with --raw",
                why="sqsw does not check a raw body against a function",
                next=f"leave out {option}",
            )


def _message(common: Common, words: Sequence[str], data: str | None) -> "OutgoingMessage":
    if common.raw:
        return common.message(1, body=_body(words[0]))
    args = {}
    if data is not None:
        text = read_text(data[1:]) if data.startswith("@") else data
        args = object_of(text, "the value of --data")
    return common.message(1, args={**args, **items_of(words[1:])})


def _body(word: str) -> str:
    if word == "-":
        return sys.stdin.read()
    return read_text(word[1:]) if word.startswith("@") else word


def _send_one(
    printer: Printer,
    env: "SQSEnv",
    queue: str,
    message: "OutgoingMessage",
    *,
    dry_run: bool,
) -> int:
    from sqsw.sqs_manage.send_many import MessageCheck, SentMessage, send_messages

    client = env.queue_client(queue)
    due = MessageCheck(env, client)(message).due
    if dry_run:
        show_unsent(printer, client.name, message, due)
        return Exit.OK
    results: list[Any] = []
    send_messages(env, queue, [message], on_result=results.append)
    result = results[0]
    if not isinstance(result, SentMessage):
        raise Failure(f"cannot send to {client.name!r}", why=f"{result.message} [{result.code}]")
    if printer.as_json:
        printer.json("sent", values_of(result))
    elif printer.terminal and result.parked and result.due is not None:
        printer.done(
            f"parked {result.job or 'a message'} for {client.name} until {local_time(result.due)}"
            f"  job id {result.job_id}"
        )
    elif printer.terminal:
        printer.done(f"sent {result.job or 'a message'} to {client.name}  id {result.id}")
    else:
        printer.plain("id", result.id)
    return Exit.OK
