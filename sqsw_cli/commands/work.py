"""``sqsw work``: run jobs until stopped."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from sqsw.core.errors import SettingsError
from sqsw.core.settings import QueueShare, WorkerSettings
from sqsw_cli.banner import announce
from sqsw_cli.command import Command
from sqsw_cli.exits import Exit
from sqsw_cli.global_options import is_typed
from sqsw_cli.invocation import Invocation
from sqsw_cli.lock import exclusive
from sqsw_cli.opening import opened
from sqsw_cli.options import app_options
from sqsw_cli.params import DURATION, PREFETCH, QUEUE_SPEC, Duration, QueueAsked
from sqsw_cli.records import values_of

if TYPE_CHECKING:
    from sqsw.core.contracts import ShutdownPolicy
    from sqsw.core.worker_report import WorkerReport

EXAMPLES = """
sqsw work myapp.tasks:env --queue emails
sqsw work myapp.tasks:env -Q emails,weight=3 -Q news -Q reports=2 -c 16
sqsw work                                            # app from pyproject.toml, all its queues
sqsw work --local myapp.tasks:env                    # development, no AWS
sqsw work myapp.tasks:env --until-idle 30 --lock nightly.lock --strict   # cron
sqsw work myapp.tasks:env -Q emails_dead --processors-from emails --until-idle 10
"""


@click.command(cls=Command, examples=EXAMPLES, context_settings={"auto_envvar_prefix": "SQSW_WORK"})
@click.argument("positional_app", metavar="[APP]", required=False)
@app_options
@click.option(
    "-Q",
    "--queue",
    metavar="SPEC",
    type=QUEUE_SPEC,
    multiple=True,
    help="NAME[=N][,weight=W][,group=G]; every queue with registered jobs where none is named.",
)
@click.option(
    "-c",
    "--concurrency",
    metavar="N",
    type=click.IntRange(min=1),
    default=8,
    help="Jobs at once (8).",
)
@click.option(
    "--prefetch",
    metavar="N|auto",
    type=PREFETCH,
    default="auto",
    help="Messages held ready beyond the free slots (auto: by the run time of the jobs).",
)
@click.option(
    "--visibility-timeout",
    metavar="D",
    type=Duration(10, 43_200),
    help="Lease asked for at receive, 10s to 12h (the queue's).",
)
@click.option("--no-heartbeat", is_flag=True, help="Do not renew leases.")
@click.option(
    "--until-idle",
    metavar="D",
    type=DURATION,
    help="Stop when the queues gave nothing and no slot was busy for this long.",
)
@click.option(
    "--max-jobs", metavar="N", type=click.IntRange(min=1), help="Stop after N jobs have ended."
)
@click.option(
    "--lock",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Hold an exclusive lock while running; held by another: exit 6.",
)
@click.option(
    "--drain-timeout",
    metavar="D",
    type=Duration(0, 43_200),
    default=25,
    help="How long running jobs may finish after a signal (25s).",
)
@click.option(
    "--processors-from", metavar="QUEUE", help="Run this queue's jobs on the one --queue given."
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit 5 if a job failed or was unknown, 7 if a plugin cannot be loaded.",
)
@click.pass_context
def work(
    ctx: click.Context,
    /,
    positional_app: str | None,
    app: Sequence[str],
    no_plugins: bool,
    queue: Sequence[QueueAsked],
    lock: str | None,
    processors_from: str | None,
    strict: bool,
    **numbers: Any,
) -> int:
    """Run jobs until stopped.

    APP is module:attribute, or module. Ctrl-C or SIGTERM drains: no more receives, running jobs
    finish, the rest goes back. A second one stops at once.
    """
    from sqsw.app.running import queues_to_work, run_queues

    invocation = ctx.find_object(Invocation) or Invocation()
    apps = _apps(ctx, positional_app, app)
    settings = _settings(numbers)
    table = {} if invocation.config is None else invocation.config.queues
    begun = time.monotonic()
    # stdout is for the summary then, whatever the jobs print.
    with (
        redirect_stdout(sys.stderr) if invocation.as_json else nullcontext(),
        exclusive(lock),
        opened(invocation, apps, plugins=not no_plugins, strict=strict, daemon=True) as env,
    ):
        _refuse_nothing(apps, env.registrations())
        asked = [QueueShare(wanted.name) for wanted in queue]
        names = queues_to_work(env, asked, processors_from=processors_from)
        shares = _shares(queue or [QueueAsked(share.queue_name) for share in names], table)
        announce(invocation, env, apps, shares, settings).subscribe_to(env.events)
        report = run_queues(
            env,
            shares,
            settings=settings,
            shutdown_policy_maker=_policy_maker(numbers["until_idle"], numbers["max_jobs"]),
            processors_from=processors_from,
        )
    if invocation.as_json:
        seconds = round(time.monotonic() - begun, 3)
        values = {"command": "work", "seconds_s": seconds, **values_of(report)}
        invocation.printer.json("summary", values)
    return _exit_code(report, strict=strict)


def _apps(ctx: click.Context, positional: str | None, apps: Sequence[str]) -> list[str]:
    """What stands after the command, then each ``--app``.

    An app of the file or of SQSW_APP counts only where none was typed.
    """
    if positional is None:
        return list(apps)
    return [positional, *apps] if is_typed(ctx, "app") else [positional]


def _settings(numbers: dict[str, Any]) -> WorkerSettings:
    prefetch = numbers["prefetch"]
    return WorkerSettings(
        concurrency=numbers["concurrency"],
        prefetch=None if prefetch == "auto" else prefetch,
        visibility_timeout=numbers["visibility_timeout"],
        drain_seconds=numbers["drain_timeout"],
        heartbeat=not numbers["no_heartbeat"],
    )


def _shares(asked: Sequence[QueueAsked], table: dict[str, dict[str, int]]) -> list[QueueShare]:
    """Slots and weights of the queues, with what the file says about them."""
    names = [queue.name for queue in asked]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(
            f"the queue {twice[0]!r} is named twice", next="write it once: NAME=N,weight=W,group=G"
        )
    return [queue.share(table.get(queue.name, {})) for queue in asked]


def _refuse_nothing(apps: Sequence[str], registrations: Sequence[Any]) -> None:
    if not apps and not registrations:
        raise SettingsError(
            "there is nothing to work",
            why="no app is named or configured, and no installed plugin registers a job",
            next="name an app: sqsw work myapp.tasks:env, or set app in [tool.sqsw]",
        )


def _policy_maker(
    until_idle: int | None, max_jobs: int | None
) -> "Callable[[], ShutdownPolicy] | None":
    from sqsw.shutdown_policies import IdleShutdown, MaxTasksShutdown, OrShutdown

    if until_idle is not None and max_jobs is not None:
        return lambda: OrShutdown(IdleShutdown(until_idle), MaxTasksShutdown(max_jobs))
    if until_idle is not None:
        return lambda: IdleShutdown(until_idle)
    if max_jobs is not None:
        return lambda: MaxTasksShutdown(max_jobs)
    return None


def _exit_code(report: "WorkerReport", *, strict: bool) -> int:
    if report.forced:
        return Exit.TERMINATED if report.stopped_by == "SIGTERM" else Exit.INTERRUPTED
    if report.unfinished or (strict and (report.failed or report.unknown)):
        return Exit.PARTIAL
    return Exit.OK
