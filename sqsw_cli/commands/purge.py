"""``sqsw purge``: delete all messages of a queue, or the selected ones."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sqsw.core.errors import SettingsError
from sqsw.core.wording import counted
from sqsw_cli.command import Command
from sqsw_cli.completing.values import complete_queue
from sqsw_cli.environment import is_local, opened
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.selection import refuse_idle_terminal, selection_of
from sqsw_cli.options.shared import dry_run_option, limit_option, selection_options, yes_option
from sqsw_cli.options.types import QUEUE
from sqsw_cli.output.confirm import confirm_lost_jobs, type_the_name, yes_or_no
from sqsw_cli.output.format import elapsed, thousands
from sqsw_cli.output.messages import show_failure, show_handled
from sqsw_cli.output.notices import notices_to
from sqsw_cli.output.printer import Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.describe import QueueReport
    from sqsw.sqs_manage.selection import Filter, Selection

EXAMPLES = """
sqsw purge emails
sqsw purge emails_dead --yes
sqsw purge emails_dead --older-than 7d --dry-run
sqsw purge emails --job old_job
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("queue", type=QUEUE, shell_complete=complete_queue)
@selection_options
@limit_option
@yes_option
@dry_run_option("List what would be deleted. With a selection on AWS, this receives messages.")
@click.pass_context
def purge(
    ctx: click.Context,
    queue: str,
    jobs: Sequence[str],
    filters: "Sequence[Filter]",
    older_than: int | None,
    ids: str | None,
    limit: int | None,
    yes: bool,
    dry_run: bool,
) -> int:
    """Delete all messages of QUEUE, or only the selected ones.

    To select messages, sqsw receives them. If QUEUE has a dead-letter queue, each message that it
    looks at uses up one of its receives.
    """
    from sqsw.sqs_manage.describe import describe_queue

    refuse_idle_terminal(ids, ctx)
    invocation = ctx.find_object(Invocation) or Invocation()
    selection = selection_of(jobs, filters, older_than, ids, limit)
    with opened(invocation) as env:
        report = describe_queue(env, queue)
        if selection and report.parked is not None:
            raise SettingsError(
                f"cannot select messages of the parking queue {report.name!r}",
                why="its jobs are hidden until they are due, so they cannot be received now",
                next="leave out the selection to delete all of them",
            )
        # Only the embedded SQS counts exactly.
        if not (dry_run or yes or selection or report.total) and is_local(env):
            _show_purged(invocation.printer, env, report, "unchanged")
            return Exit.OK
        if not dry_run and not yes:
            _confirm_purge(report, selection)
        elif dry_run and not yes and selection and report.dlq and not is_local(env):
            yes_or_no(
                "Reading counts as a receive; after its last receive, a message goes to "
                f"{report.dlq}. Continue?",
                f"nothing is deleted, but reading {report.name!r} counts as a receive "
                "and needs confirmation",
            )
        if selection:
            return _purge_selected(invocation.printer, env, queue, report, selection, dry_run)
        _purge_all(invocation.printer, env, queue, report, dry_run)
        return Exit.OK


def _confirm_purge(report: "QueueReport", selection: "Selection") -> None:
    holding = (
        f"{report.name} holds about {counted(report.total, 'message')}: "
        f"{thousands(report.visible)} ready, {thousands(report.in_flight)} in flight, "
        f"{thousands(report.delayed)} delayed."
    )
    which = "those that match" if selection else "all of them"
    type_the_name(
        report.name,
        [holding, f"Purging deletes {which} and cannot be undone."],
        f"purge deletes about {counted(report.total, 'message')} from {report.name!r} "
        "and needs confirmation"
        if not selection
        else f"purge deletes the matching messages from {report.name!r} and needs confirmation",
    )
    if report.parked is not None:
        confirm_lost_jobs(report.name, f"about {counted(report.parked, 'job')}")


def _purge_all(
    printer: Printer, env: "SQSEnv", queue: str, report: "QueueReport", dry_run: bool
) -> None:
    from sqsw.sqs_manage.remove import purge_queue

    if not dry_run:
        report = purge_queue(env, queue)
    _show_purged(printer, env, report, "would_delete" if dry_run else "purged")


def _show_purged(printer: Printer, env: "SQSEnv", report: "QueueReport", action: str) -> None:
    if printer.as_json:
        printer.json("queue", values_of(replace(report, action=action)))
    elif not printer.terminal:
        printer.plain("purged", report.name, action, report.total)
    elif action == "unchanged":
        printer.say(f"{report.name} is empty: nothing to delete")
    elif action == "would_delete":
        printer.say(f"would delete about {counted(report.total, 'message')} of {report.name}")
    elif is_local(env):
        printer.done(f"{report.name} purged: {counted(report.total, 'message')} deleted")
    else:
        printer.done(
            f"purge of {report.name} started; SQS needs up to 60 seconds "
            "and can delete messages that arrive meanwhile"
        )


def _purge_selected(
    printer: Printer,
    env: "SQSEnv",
    queue: str,
    report: "QueueReport",
    selection: "Selection",
    dry_run: bool,
) -> int:
    from sqsw.sqs_manage.remove import purge_selected

    printer.finish_when_gone()
    if report.dlq and not (dry_run and is_local(env)):
        printer.warn(
            f"every message that stays in {report.name!r} uses up one of its "
            f"{counted(report.max_receives or 0, 'receive')}",
            why="to select messages, sqsw receives them and returns the others",
        )
    begun = time.monotonic()
    counts = {"deleted": 0, "would_delete": 0, "skipped": 0, "failed": 0}
    done, result = ("would be deleted", "would_delete") if dry_run else ("deleted", "deleted")
    bar = printer.progress_of_pass(report.name)

    def look(count: int) -> None:
        bar.looked_at(count, report.visible, f"{thousands(counts[result])} {done}")

    handled = purge_selected(
        env,
        queue,
        selection,
        dry_run=dry_run,
        on_notice=notices_to(printer, queue),
        on_look=look,
    )
    with bar, closing(handled):
        for message in handled:
            if message.failure is not None:
                counts["failed"] += 1
                show_failure(printer, message.failure)
            else:
                counts[message.view.action or "skipped"] += 1
                if message.view.action != "skipped" or printer.as_json:
                    show_handled(printer, message.view)
            if printer.gone:
                break
    seconds = time.monotonic() - begun
    if printer.as_json:
        printer.json("summary", {"command": "purge", "seconds_s": round(seconds, 3), **counts})
    elif printer.terminal:
        printer.done(f"{thousands(counts[result])} {done} in {elapsed(seconds)}")
    if counts["failed"]:
        return Exit.PARTIAL if counts["deleted"] else Exit.FAILURE
    return Exit.OK
