"""Options that several commands share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from sqsw_cli.completing.values import complete_app, complete_job
from sqsw_cli.options.global_options import is_typed
from sqsw_cli.options.types import APP, DURATION, FILTER

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: the hint in a response that rejects a host name
ALLOW_HOST_HINT = "--allow-host {host}"


def app_options(command: Decorated) -> Decorated:
    command = click.option("--no-plugins", is_flag=True, help="Do not load installed plugins.")(
        command
    )
    return click.option(
        "--app",
        metavar="APP",
        multiple=True,
        type=APP,
        envvar="SQSW_APP",
        shell_complete=complete_app,
        help="App to load: module:attribute or module. Repeatable. [SQSW_APP]",
    )(command)


def apps_of(ctx: click.Context, positional: str | None, apps: Sequence[str]) -> list[str]:
    """Return the positional app, then each ``--app``.

    An app from the file or from SQSW_APP counts only if none was typed.
    """
    if positional is None:
        return list(apps)
    return [positional, *apps] if is_typed(ctx, "app") else [positional]


def selection_options(command: Decorated) -> Decorated:
    for option in reversed(
        [
            click.option(
                "--job",
                "jobs",
                metavar="NAME",
                multiple=True,
                shell_complete=complete_job,
                help="Select jobs by name; * matches any text. Repeatable.",
            ),
            click.option(
                "--filter",
                "filters",
                metavar="FILTER",
                type=FILTER,
                multiple=True,
                help="Select by a condition: args.customer=acme, receives<5, body~regex. "
                "Repeatable; all conditions must hold.",
            ),
            click.option(
                "--older-than",
                metavar="D",
                type=DURATION,
                help="Select messages sent at least this long ago.",
            ),
            click.option(
                "--ids",
                metavar="FILE",
                type=click.Path(allow_dash=True, dir_okay=False, exists=True),
                help="Select the message or job ids in a file, one per line; - is stdin. "
                "The first or last 8 characters of an id are enough.",
            ),
        ]
    ):
        command = option(command)
    return command


def limit_option(command: Decorated) -> Decorated:
    return click.option(
        "--limit", metavar="N", type=click.IntRange(min=1), help="Stop after this many messages."
    )(command)


def yes_option(command: Decorated) -> Decorated:
    return click.option("-y", "--yes", is_flag=True, help="Skip the confirmation.")(command)


def accepted_yes_option(command: Decorated) -> Decorated:
    """Accept ``--yes`` on a command that asks nothing, so scripts can always pass it."""
    return click.option("-y", "--yes", is_flag=True, hidden=True, expose_value=False)(command)


def dry_run_option(text: str) -> Callable[[Decorated], Decorated]:
    """Return ``--dry-run`` with a help text for the command."""
    return click.option("--dry-run", is_flag=True, help=text)
