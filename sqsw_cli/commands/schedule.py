"""``sqsw schedule``: show the schedules of an app, check their ticks, and run one now."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from sqsw.core.errors import SettingsError
from sqsw_cli.command import Command, CommandGroup
from sqsw_cli.completing.values import complete_app, complete_schedule
from sqsw_cli.environment import opened
from sqsw_cli.errors.failures import writing
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.shared import app_options, apps_of
from sqsw_cli.output.records import values_of
from sqsw_cli.output.schedules import show_schedules, show_ticks

if TYPE_CHECKING:
    from sqsw.sqs_env import SQSEnv

#: days that a check covers: by default enough for both clock changes of a year, at most ten years
_DAYS, _MAX_DAYS = 400, 3_660

EXAMPLES = """
sqsw schedule list myapp.tasks:env
sqsw schedule check nightly --days 400
sqsw schedule run nightly --app myapp.tasks:env
"""

LIST_EXAMPLES = """
sqsw schedule list                      # the app of pyproject.toml
sqsw schedule list myapp.tasks:env
sqsw schedule list --json | jq -r .next[0]
"""

CHECK_EXAMPLES = """
sqsw schedule check nightly
sqsw schedule check nightly --days 400 --all
"""

RUN_EXAMPLES = """
sqsw schedule run nightly
sqsw schedule run nightly --app myapp.tasks:env --json
"""


@click.group(
    cls=CommandGroup,
    examples=EXAMPLES,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.pass_context
def schedule(ctx: click.Context) -> None:
    """Show periodic jobs, check when they run, and run one now.

    The schedules are those of the app, of installed plugins, and of [schedules.NAME] in the
    configuration file.
    """
    if ctx.invoked_subcommand is None:
        with writing():
            click.echo(ctx.get_help())


# The names have two words, because the columns in a pipe and the reference are looked up by them.
@click.command(
    "schedule list",
    cls=Command,
    examples=LIST_EXAMPLES,
    short_help="Show the schedules and their next ticks",
)
@click.argument("positional_app", metavar="[APP]", required=False, shell_complete=complete_app)
@app_options
@click.pass_context
def list_schedules(
    ctx: click.Context, positional_app: str | None, app: Sequence[str], no_plugins: bool
) -> None:
    """Show each schedule, with its next three ticks."""
    invocation = ctx.find_object(Invocation) or Invocation()
    apps = apps_of(ctx, positional_app, app)
    with _with_schedules(invocation, apps, plugins=not no_plugins) as env:
        found = [env.schedules[name] for name in sorted(env.schedules)]
        show_schedules(invocation.printer, found, _now(env))


@click.command(
    "schedule check",
    cls=Command,
    examples=CHECK_EXAMPLES,
    short_help="Show when a schedule will run",
)
@click.argument("name", shell_complete=complete_schedule)
@click.option(
    "--days",
    metavar="N",
    type=click.IntRange(1, _MAX_DAYS),
    default=_DAYS,
    help=f"Days to check, from now on ({_DAYS}).",
)
@click.option("--all", "shows_all", is_flag=True, help="Show every tick on a terminal too.")
@app_options
@click.pass_obj
def check(
    invocation: Invocation,
    name: str,
    days: int,
    shows_all: bool,
    app: Sequence[str],
    no_plugins: bool,
) -> None:
    """Show when a schedule will run, in its time zone, and mark clock changes.

    A terminal shows the first ticks, those around clock changes, and the last ones.
    """
    from sqsw.app.schedules import schedule_of

    with _with_schedules(invocation, app, plugins=not no_plugins) as env:
        found, now = schedule_of(env, name), _now(env)
        until = now + timedelta(days=days)
        show_ticks(invocation.printer, found, now, until, shows_all=shows_all)


@click.command(
    "schedule run",
    cls=Command,
    examples=RUN_EXAMPLES,
    short_help="Send an extra tick of a schedule now",
)
@click.argument("name", shell_complete=complete_schedule)
@app_options
@click.pass_obj
def run(invocation: Invocation, name: str, app: Sequence[str], no_plugins: bool) -> None:
    """Send an extra tick of a schedule now, in addition to those that workers send.

    It runs after the ticks of the schedule that are already in the queue.
    """
    from sqsw.app.schedules import send_tick

    printer = invocation.printer
    with _with_schedules(invocation, app, plugins=not no_plugins) as env:
        sent = send_tick(env, name)
    if printer.as_json:
        printer.json("sent", values_of(sent))
    elif printer.terminal:
        what = f"sent a tick of {name} to {sent.queue}"
        printer.done(f"{what}  job {sent.job}  job id {sent.job_id}  id {sent.id}")
    else:
        printer.plain("ticked", sent.job_id, sent.id)


for _name, _command in (("list", list_schedules), ("check", check), ("run", run)):
    schedule.add_command(_command, _name)


@contextmanager
def _with_schedules(
    invocation: Invocation, apps: Sequence[str], *, plugins: bool
) -> "Iterator[SQSEnv]":
    """Open the environment of the apps, which must have schedules."""
    with opened(invocation, apps, plugins=plugins) as env:
        if not env.schedules:
            raise SettingsError(
                "there are no schedules",
                why=f"neither {' nor '.join([*apps, 'a plugin'])} nor the file has any"
                if apps
                else "no app is named or configured, and no plugin has any",
                next="declare one with @env.periodic(...) or in [schedules.NAME] of sqsw.toml"
                if apps
                else "name an app: --app myapp.tasks:env, or set app in [tool.sqsw]",
            )
        yield env


def _now(env: "SQSEnv") -> datetime:
    return datetime.fromtimestamp(env.wall_clock(), UTC)
