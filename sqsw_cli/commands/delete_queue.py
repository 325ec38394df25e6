"""``sqsw delete-queue``: delete queues."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sqsw.core.wording import counted
from sqsw_cli.command import Command
from sqsw_cli.completing.values import complete_queue
from sqsw_cli.environment import opened
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.shared import yes_option
from sqsw_cli.options.types import QUEUE
from sqsw_cli.output.confirm import confirm_lost_jobs, type_the_name
from sqsw_cli.output.printer import Printer
from sqsw_cli.output.records import values_of

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.describe import QueueReport

EXAMPLES = """
sqsw delete-queue emails --with-dlq
sqsw delete-queue tmp_1 tmp_2 --if-exists --yes
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument(
    "queues",
    metavar="QUEUE...",
    nargs=-1,
    required=True,
    type=QUEUE,
    shell_complete=complete_queue,
)
@click.option(
    "--with-dlq",
    is_flag=True,
    help="Also delete the dead-letter queue, if it is empty and no other queue uses it.",
)
@click.option("--if-exists", is_flag=True, help="Skip queues that do not exist.")
@yes_option
@click.pass_obj
def delete_queue(
    invocation: Invocation, queues: Sequence[str], with_dlq: bool, if_exists: bool, yes: bool
) -> None:
    """Delete queues and the messages in them.

    For 60 seconds, no queue can be created under the same name.
    """
    from sqsw.sqs_manage.remove import unneeded_dead_letter_queues

    printer = invocation.printer
    with opened(invocation) as env:
        # Keyed by ARN: a URL can be written in several ways, and two accounts can share a name.
        reports = [(queue, _find(env, queue, if_exists=if_exists)) for queue in queues]
        found = {report.arn or queue: report for queue, report in reports}
        going = [report for report in found.values() if report.url is not None]
        if with_dlq:
            going += unneeded_dead_letter_queues(
                env, going, lambda notice: printer.warn(notice.message, notice.why, notice.next)
            )
        if not yes:
            _confirm(going)
        for report in found.values():
            if report.url is None:
                _show(printer, report)
        for report in going:
            _show(printer, _delete(env, report))


def _find(env: "SQSEnv", queue: str, *, if_exists: bool) -> "QueueReport":
    from sqsw.core.errors import QueueNotFound
    from sqsw.sqs_manage.describe import describe_queue, report_of

    try:
        return describe_queue(env, queue)
    except QueueNotFound:
        if not if_exists:
            raise
        return report_of(env, env.queue_client(queue), {}, "unchanged", exists=False)


def _delete(env: "SQSEnv", report: "QueueReport") -> "QueueReport":
    from sqsw.sqs_manage import remove

    # By URL: the name in the report has no prefix, and the queue can have been given as an ARN.
    gone = remove.delete_queue(env, str(report.url)) is None
    return replace(report, action="unchanged" if gone else "deleted")


def _confirm(going: "Sequence[QueueReport]") -> None:
    for report in going:
        holding = counted(report.total, "message")
        type_the_name(
            report.name,
            [
                f"{report.name} holds about {holding}.",
                "Deleting the queue deletes them too and cannot be undone.",
            ],
            f"delete-queue deletes {report.name!r} with about {holding} and needs confirmation",
        )
        if report.parked is not None:
            confirm_lost_jobs(report.name, f"about {counted(report.parked, 'job')}")


def _show(printer: Printer, report: "QueueReport") -> None:
    if printer.as_json:
        printer.json("queue", values_of(report))
    elif not printer.terminal:
        printer.plain("deleted", report.name, report.action)
    elif report.action == "deleted":
        printer.done(f"{report.name} deleted; its name can be used again in 60 seconds")
    else:
        printer.say(f"{report.name} does not exist")
