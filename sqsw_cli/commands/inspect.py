"""``sqsw inspect``: queues, messages and registered jobs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from shlex import quote
from typing import TYPE_CHECKING

import click

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw_cli.command import Command
from sqsw_cli.completing.values import complete_queue
from sqsw_cli.environment import is_local, opened
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure
from sqsw_cli.errors.hints import place_without_queues
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.global_options import is_typed
from sqsw_cli.options.selection import refuse_idle_terminal, selection_of
from sqsw_cli.options.shared import app_options, selection_options, yes_option
from sqsw_cli.options.types import QUEUE, Duration
from sqsw_cli.output.format import thousands
from sqsw_cli.output.printer import Printer
from sqsw_cli.output.queues import show_queue, show_queues
from sqsw_cli.output.tasks import show_tasks
from sqsw_cli.peek import count_messages, show_messages, show_whole_message

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv
    from sqsw.sqs_manage.describe import QueueReport
    from sqsw.sqs_manage.selection import Filter

EXAMPLES = """
sqsw inspect
sqsw inspect emails --watch
sqsw inspect emails_dead --peek 20
sqsw inspect emails_dead --peek 500 --count-by error
sqsw inspect emails_dead --peek 20 --filter error.type=Timeout
sqsw inspect emails_dead 6f1c0a3e
sqsw inspect emails_dead --fail-above 0 || mail -s "dead jobs" ops@example.com
sqsw inspect parked
sqsw inspect --tasks --app myapp.tasks:env
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument(
    "queues",
    metavar="[QUEUE...|QUEUE ID]",
    nargs=-1,
    type=QUEUE,
    shell_complete=complete_queue,
)
@click.option("--peek", metavar="N", type=click.IntRange(min=1), help="Show up to N messages.")
@click.option(
    "--count-by",
    metavar="PATH",
    help="With --peek: count messages by a key, such as args.customer, error.type or error.",
)
@click.option(
    "--id",
    "wanted_id",
    metavar="ID",
    help="The same as QUEUE ID, also for job ids that are not UUIDs.",
)
@selection_options
@click.option("--tasks", is_flag=True, help="Show the registered jobs and where they come from.")
@app_options
@click.option("--watch", is_flag=True, help="Repeat until q or Ctrl-C, with rates.")
@click.option(
    "--interval",
    metavar="D",
    type=Duration(1),
    help="With --watch: time between two looks, 1s or more (2s).",
)
@click.option(
    "--age",
    is_flag=True,
    help="Show the age of the oldest message. On AWS this asks CloudWatch.",
)
@click.option(
    "--fail-above",
    metavar="N",
    type=click.IntRange(min=0),
    help="Exit 8 if a queue holds more than N ready messages.",
)
@yes_option
@click.pass_context
def inspect(
    ctx: click.Context,
    queues: Sequence[str],
    peek: int | None,
    count_by: str | None,
    wanted_id: str | None,
    jobs: Sequence[str],
    filters: "Sequence[Filter]",
    older_than: int | None,
    ids: str | None,
    tasks: bool,
    app: Sequence[str],
    no_plugins: bool,
    watch: bool,
    interval: int | None,
    age: bool,
    fail_above: int | None,
    yes: bool,
) -> int:
    """Show queues, messages and registered jobs.

    Without arguments, lists the queues. With one QUEUE, shows its details; --peek shows its
    messages. With QUEUE ID, shows one message in full: ID is its message id or job id, or
    the first or last characters of it, 8 or more.
    """
    refuse_idle_terminal(ids, ctx)
    invocation = ctx.find_object(Invocation) or Invocation()
    selection = selection_of(jobs, filters, older_than, ids)
    by_id = not (watch or age or fail_above is not None) and _names_a_message(queues)
    _check(
        {
            "--peek": peek is not None,
            "--count-by": count_by is not None,
            "--id": wanted_id is not None,
            "an id": by_id,
            "a selection": bool(selection),
            "--tasks": tasks,
            "--watch": watch,
            "--interval": interval is not None,
            "--age": age,
            "--fail-above": fail_above is not None,
            "--app": is_typed(ctx, "app"),
            "--no-plugins": is_typed(ctx, "no_plugins"),
            "--yes": yes,
        },
        queues,
    )
    if count_by is not None:
        from sqsw.sqs_manage.selection import check_path

        check_path(count_by)
    printer = invocation.printer
    if tasks:
        with opened(invocation, app, plugins=not no_plugins) as env:
            show_tasks(printer, env, queues)
            return Exit.OK
    with opened(invocation) as env:
        if by_id and peek is None and wanted_id is None and not _exists(env, queues[1]):
            queues, wanted_id = queues[:1], queues[1]
        if wanted_id is not None:
            show_whole_message(printer, env, queues[0], wanted_id, yes=yes)
            return Exit.OK
        if peek is None:
            look = _Look(printer, env, queues, age=age)
            return look.repeat(interval or 2) if watch else look.once(fail_above)
        if count_by is not None:
            count_messages(printer, env, queues[0], peek, selection, yes=yes, path=count_by)
        else:
            show_messages(printer, env, queues[0], peek, selection, yes=yes)
    return Exit.OK


def _names_a_message(queues: Sequence[str]) -> bool:
    from sqsw.sqs_manage.selection import is_part_of_id

    return len(queues) == 2 and is_part_of_id(queues[1])


def _exists(env: "SQSEnv", queue: str) -> bool:
    """Return whether a queue exists, in case its name looks like an id."""
    try:
        _ = env.queue_client(queue).url
    except QueueNotFound:
        return False
    return True


def _check(given: dict[str, bool], queues: Sequence[str]) -> None:
    """Refuse options that would have no effect."""
    alone = [
        option
        for option in ("--peek", "--id", "--tasks", "--watch", "--fail-above")
        if given[option]
    ]
    if len(alone) > 1:
        raise SettingsError(
            f"{' and '.join(alone)} cannot be used together", next="choose one of them"
        )
    if given["--age"] and (given["--peek"] or given["--id"] or given["--tasks"]):
        raise SettingsError("--age is for queues, not for messages or jobs")
    for option, value in (("--peek", "20"), ("--id", "ID")):
        if given[option] and len(queues) != 1:
            raise SettingsError(
                f"{option} needs one queue, but {len(queues)} are named",
                next=f"sqsw inspect QUEUE {option} {value}",
            )
    needs = {
        **dict.fromkeys(("--count-by", "a selection"), "--peek"),
        **dict.fromkeys(("--app", "--no-plugins"), "--tasks"),
        "--interval": "--watch",
    }
    if not (given["--id"] or given["an id"]):
        needs["--yes"] = "--peek"
    for option, needed in needs.items():
        if given[option] and not given[needed]:
            raise SettingsError(f"{option} needs {needed}", next=f"add {needed}")


class _Look:
    def __init__(
        self, printer: Printer, env: "SQSEnv", queues: Sequence[str], *, age: bool
    ) -> None:
        self.printer = printer
        self.env = env
        self.queues = queues
        self.age = age

    def once(self, fail_above: int | None) -> int:
        shown = self._read()
        self._show(shown)
        over = [r for r in shown if fail_above is not None and (r.visible or 0) > fail_above]
        if not over:
            return Exit.OK
        raise Failure(
            f"more than {thousands(fail_above)} ready messages: "
            + ", ".join(f"{report.name} has {thousands(report.visible)}" for report in over),
            code="fail_above",
            exit_code=Exit.CHECK,
        )

    def repeat(self, seconds: int) -> int:
        from sqsw_cli.watch import watch

        with suppress(KeyboardInterrupt):  # Ctrl-C is the normal end, not a failure
            watch(self.printer, seconds, self._read, self._show)
        return Exit.OK

    def _read(self) -> "Sequence[QueueReport]":
        from sqsw.sqs_manage.describe import describe_queue, list_queues, with_local_reasons

        if len(self.queues) == 1:
            (report,) = self._aged([describe_queue(self.env, self.queues[0])])
            return [with_local_reasons(self.env, report)]
        if self.queues:
            return self._aged([describe_queue(self.env, queue) for queue in self.queues])
        # A dead-letter queue is shown with its source, unless it has several sources or none.
        return self._aged([report for report in list_queues(self.env) if len(report.sources) != 1])

    def _show(
        self, reports: "Sequence[QueueReport]", rates: "Mapping[str, float] | None" = None
    ) -> None:
        if len(self.queues) == 1:
            (report,) = reports
            show_queue(self.printer, report, (rates or {}).get(report.name))
            if report.parked is not None and rates is None:
                self._show_parked(report)
            return
        if not reports:
            self.printer.note(f"no queues in {place_without_queues(self.env)}")
        show_queues(self.printer, reports, rates)

    def _show_parked(self, report: "QueueReport") -> None:
        """List the jobs of a parking queue, if that needs no receive."""
        from sqsw.sqs_manage.parking_queue import parked_jobs
        from sqsw_cli.output.parked import show_parked

        if is_local(self.env):
            show_parked(self.printer, list(parked_jobs(self.env, str(report.url))))
        elif report.parked:
            self.printer.note(
                f"to see the jobs that are not hidden: sqsw inspect {quote(report.name)} --peek 20"
            )

    def _aged(self, reports: "list[QueueReport]") -> "list[QueueReport]":
        from sqsw.sqs_manage.describe import with_cloudwatch_ages, with_local_ages

        if is_local(self.env):
            return with_local_ages(self.env, reports)
        return with_cloudwatch_ages(self.env, reports) if self.age else reports
