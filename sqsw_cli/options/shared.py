"""The options that commands share, each spelled once."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from sqsw_cli.completing.values import complete_app, complete_job
from sqsw_cli.options.types import DURATION, FILTER

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: the advice in an answer that refuses a host name
ALLOW_HOST_HINT = "--allow-host {host}"


def app_options(command: Decorated) -> Decorated:
    command = click.option("--no-plugins", is_flag=True, help="Do not load installed plugins.")(
        command
    )
    return click.option(
        "--app",
        metavar="APP",
        multiple=True,
        envvar="SQSW_APP",
        shell_complete=complete_app,
        help="module:attribute, or module; may be repeated. [SQSW_APP]",
    )(command)


def selection_options(command: Decorated) -> Decorated:
    for option in reversed(
        [
            click.option(
                "--job",
                "jobs",
                metavar="NAME",
                multiple=True,
                shell_complete=complete_job,
                help="Job name; * allowed.",
            ),
            click.option(
                "--filter",
                "filters",
                metavar="FILTER",
                type=FILTER,
                multiple=True,
                help="PATH, operator, VALUE: args.customer=acme, receives<5, body~regex.",
            ),
            click.option(
                "--older-than", metavar="D", type=DURATION, help="Sent at least this long ago."
            ),
            click.option(
                "--ids",
                metavar="FILE",
                type=click.Path(allow_dash=True, dir_okay=False, exists=True),
                help="Message ids or job ids, one a line; - is stdin.",
            ),
        ]
    ):
        command = option(command)
    return command


def limit_option(command: Decorated) -> Decorated:
    return click.option(
        "--limit", metavar="N", type=click.IntRange(min=1), help="At most this many messages."
    )(command)


def yes_option(command: Decorated) -> Decorated:
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def accepted_yes_option(command: Decorated) -> Decorated:
    """``--yes`` where nothing is asked: accepted, so that scripts may say it everywhere."""
    return click.option("-y", "--yes", is_flag=True, hidden=True, expose_value=False)(command)


def dry_run_option(text: str) -> Callable[[Decorated], Decorated]:
    """``--dry-run``, with what it does here."""
    return click.option("--dry-run", is_flag=True, help=text)
