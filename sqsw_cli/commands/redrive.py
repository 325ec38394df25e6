"""``sqsw redrive``: move dead letters back to their queue."""

import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from sqsw.core.errors import SettingsError, SQSError
from sqsw.core.wording import counted
from sqsw_cli.command import Command
from sqsw_cli.completing.values import complete_queue
from sqsw_cli.environment import opened
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure
from sqsw_cli.errors.hints import hint_of
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.global_options import is_typed
from sqsw_cli.options.selection import refuse_idle_terminal, selection_of
from sqsw_cli.options.shared import (
    accepted_yes_option,
    dry_run_option,
    limit_option,
    selection_options,
)
from sqsw_cli.options.types import QUEUE
from sqsw_cli.output.format import ago, elapsed, rfc3339, thousands
from sqsw_cli.output.messages import show_failure, show_handled
from sqsw_cli.output.notices import notices_to
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.output.progress import Bar
from sqsw_cli.output.records import COUNTERS, values_of

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.message_view import HandledMessage
    from sqsw.sqs_manage.moves import Move
    from sqsw.sqs_manage.redrive import RedriveReport
    from sqsw.sqs_manage.selection import Filter, Selection

EXAMPLES = """
sqsw redrive foo_dead
sqsw redrive foo_dead --to foo --rate 50
sqsw redrive foo_dead --job send_email --dry-run
sqsw redrive foo_dead --filter error.type=Timeout --filter 'error.deaths<3'
sqsw redrive foo_dead --filter args.customer=acme --filter 'receives<5' --limit 100
sqsw inspect foo_dead --peek 1000 --json | jq -r 'select(.args.a > .args.b).id' | sqsw redrive foo_dead --ids -
sqsw redrive foo_dead --status
"""  # noqa: E501  # a line of a shell cannot be cut


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("dlq", type=QUEUE, shell_complete=complete_queue)
@click.option(
    "--to",
    "target",
    metavar="QUEUE",
    type=QUEUE,
    shell_complete=complete_queue,
    help="Move all messages to this queue.",
)
@click.option(
    "--rate", metavar="N", type=click.IntRange(min=1), help="Move at most N messages per second."
)
@selection_options
@limit_option
@dry_run_option("List what would be moved. On AWS, each message listed counts as received.")
@click.option("--no-wait", is_flag=True, help="Start a move by SQS, and exit.")
@click.option("--status", is_flag=True, help="Show the last ten moves by SQS.")
@click.option("--cancel", is_flag=True, help="Stop the running move by SQS.")
@accepted_yes_option
@click.pass_context
def redrive(
    ctx: click.Context,
    dlq: str,
    target: str | None,
    rate: int | None,
    jobs: Sequence[str],
    filters: "Sequence[Filter]",
    older_than: int | None,
    ids: str | None,
    limit: int | None,
    dry_run: bool,
    no_wait: bool,
    status: bool,
    cancel: bool,
) -> int:
    """Move messages from the dead-letter queue DLQ back to the queue that they came from.

    Without a selection, SQS moves all messages if DLQ belongs to one queue. Otherwise sqsw
    receives, sends and deletes each message, in this order: a crash can duplicate a message but
    never loses one. If a worker crashed and left two messages of one job, sqsw moves one of them
    and deletes the other.
    """
    refuse_idle_terminal(ids, ctx)
    invocation = ctx.find_object(Invocation) or Invocation()
    selection = selection_of(jobs, filters, older_than, ids, limit)
    moving = bool(selection or dry_run or no_wait or target or rate)
    if status + cancel + moving > 1:
        raise SettingsError(
            "--status and --cancel must be used alone",
            why="they show or stop moves; the other options start one",
        )
    if dry_run and is_typed(ctx, "rate"):
        raise SettingsError("--dry-run and --rate cannot be used together", why="nothing is moved")
    printer = invocation.printer
    with opened(invocation) as env:
        if status:
            return _show_moves(printer, env, dlq)
        if cancel:
            return _cancel(printer, env, dlq)
        mover = _Mover(printer, env, dlq, target, selection, rate, dry_run, not no_wait)
        return mover.run()


class _Mover:
    def __init__(
        self,
        printer: Printer,
        env: "SQSEnv",
        dlq: str,
        target: str | None,
        selection: "Selection",
        rate: int | None,
        dry_run: bool,
        wait: bool,
    ) -> None:
        self.printer = printer
        self.env = env
        self.dlq = dlq
        # Quoted for a shell: a name, a URL or an ARN.
        self.command = f"sqsw redrive {shlex.quote(dlq)}"
        self.target = target
        self.selection = selection
        self.rate = rate
        self.dry_run = dry_run
        self.wait = wait
        self.moved = 0
        self.looked_at = 0
        self.total: int | None = None
        self.outcome = "would be moved" if dry_run else "moved"
        self.by_sqs = False

    def run(self) -> int:
        from sqsw.sqs_manage.redrive import redrive

        printer = self.printer
        printer.finish_when_gone()
        begun = time.monotonic()
        if self.selection:
            progress = printer.progress_of_pass(self.dlq)
        else:
            progress = printer.progress(f"{self.dlq} → {self.target or 'where they came from'}")
        with progress as bar:
            try:
                report = redrive(
                    self.env,
                    self.dlq,
                    target=self.target,
                    selection=self.selection or None,
                    per_second=self.rate,
                    dry_run=self.dry_run,
                    wait=self.wait,
                    on_progress=lambda progress: self._on_progress(progress, bar),
                    on_notice=notices_to(printer, self.dlq),
                    on_look=lambda count: self._on_look(count, bar),
                )
            except KeyboardInterrupt:
                self._interrupted()
                raise
        return self._end(report, time.monotonic() - begun)

    def _on_look(self, count: int, bar: Bar) -> None:
        if not self.looked_at and bar.shown:
            from sqsw.sqs_manage.depth import DepthReader

            with suppress(SQSError):  # the move does not need the total
                depth = DepthReader(self.env).read(self.dlq)
                self.total = depth.ready + depth.in_flight  # what was looked at can be in flight
        self.looked_at = count
        self._show_look(bar)

    def _show_look(self, bar: Bar) -> None:
        bar.looked_at(self.looked_at, self.total, f"{thousands(self.moved)} {self.outcome}")

    def _on_progress(self, progress: "Move | HandledMessage", bar: Bar) -> None:
        from sqsw.sqs_manage.moves import Move

        if isinstance(progress, Move):
            self.by_sqs = True
            self.moved = progress.moved
            bar.at(progress.moved, progress.total)
            if self.printer.as_json:
                self.printer.json("move", values_of(progress))
        elif progress.failure is not None:
            show_failure(self.printer, progress.failure)
        else:
            action = progress.view.action
            self.moved += action in ("moved", "would_move")
            self._show_look(bar)
            # On a terminal, a dry run lists messages; a move shows only its progress.
            hidden = ("skipped", *(("moved",) if self.printer.terminal else ()))
            if self.printer.as_json or action not in hidden:
                show_handled(self.printer, progress.view)

    def _interrupted(self) -> None:
        self.printer.note("")  # below the ^C of the terminal
        self.printer.note(f"{counted(self.moved, 'message')} {self.outcome} so far")
        if self.by_sqs:
            self.printer.note(f"the move by SQS continues; to stop it: {self.command} --cancel")

    def _end(self, report: "RedriveReport", seconds: float) -> int:
        printer = self.printer
        if printer.as_json:
            counts = {name: getattr(report, name) for name in COUNTERS["redrive"]}
            values = {"command": "redrive", "seconds_s": round(seconds, 3), **counts}
            printer.json("summary", values)
        elif report.status == "RUNNING":
            printer.note(f"the move has started; to follow it: {self.command} --status")
        elif self.dry_run:
            twins = _twins_of(report, " would be deleted")
            printer.note(f"{thousands(report.would_move)} would be moved{twins}")
        elif printer.terminal:
            twins = _twins_of(report, " deleted")
            printer.done(f"{thousands(report.moved)} moved{twins} in {elapsed(seconds)}")
        elif report.by_sqs:
            printer.plain("moved", "moved", report.moved)
        if report.failed:
            if not printer.as_json:
                printer.note(f"✗ {thousands(report.failed)} failed and are still in {self.dlq}")
            return Exit.PARTIAL if report.moved else Exit.FAILURE
        return Exit.OK


def _twins_of(report: "RedriveReport", what: str) -> str:
    twins = report.dropped_twins
    return f", {counted(twins, 'twin')}{what}" if twins else ""


def _show_moves(printer: Printer, env: "SQSEnv", dlq: str) -> int:
    from sqsw.sqs_manage.moves import redrive_status

    moves = redrive_status(env, dlq)
    if not moves:
        printer.note(
            f"SQS lists no moves from {dlq}; "
            "sqsw itself moves selected messages, so SQS does not list them"
        )
    elif printer.as_json:
        for move in moves:
            printer.json("move", values_of(move))
    elif printer.terminal:
        columns = ("started", "status", "moved", "to", "reason")
        rows = [
            [
                ago(move.started_at),
                move.status.lower(),
                f"{thousands(move.moved)} of {thousands(move.total)}",
                move.destination or "where they came from",
                move.failure_reason or "",
            ]
            for move in moves
        ]
        printer.table([Column(title, right=title == "moved") for title in columns], rows)
    else:
        for move in moves:
            started = rfc3339(move.started_at)
            counts = (move.moved, move.total)
            printer.plain("move", started, move.status, *counts, move.destination)
    return Exit.OK


def _cancel(printer: Printer, env: "SQSEnv", dlq: str) -> int:
    from sqsw.core.errors import RedriveError
    from sqsw.sqs_manage.moves import cancel_redrive

    try:
        moved = cancel_redrive(env, dlq)
    except RedriveError as error:
        if error.reason != "not_running":
            raise
        raise Failure(
            error.message,
            why=error.why,
            next=hint_of(error),
            code="move_not_found",
            exit_code=Exit.NOT_FOUND,
        ) from error
    if printer.as_json:
        source = env.queue_client(dlq).name
        printer.json("move", {"source": source, "status": "CANCELLING", "moved": moved})
    elif printer.terminal:
        printer.done(f"the move is stopping; already moved: about {counted(moved, 'message')}")
    else:
        printer.plain("cancelling", "cancelling", moved)
    return Exit.OK
