"""Build a selection of messages from options."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sqsw.core.errors import SettingsError
from sqsw_cli.sending.line_file import opened_input
from sqsw_cli.terminal import is_terminal

if TYPE_CHECKING:
    from sqsw.sqs_manage.selection import Filter, Selection


def selection_of(
    jobs: Sequence[str],
    filters: "Sequence[Filter]",
    older_than: int | None,
    ids: str | None,
    limit: int | None = None,
) -> "Selection":
    from sqsw.sqs_manage.selection import Selection

    return Selection(
        jobs=tuple(jobs),
        filters=tuple(filters),
        older_than=older_than,
        ids=None if ids is None else _read_ids(ids),
        limit=limit,
    )


def _read_ids(path: str) -> frozenset[str]:
    try:
        with opened_input(path) as file:
            lines = file.read().decode("utf-8-sig").splitlines()
        return frozenset(stripped for line in lines if (stripped := line.strip()))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the ids in {path}", why=str(error)) from error


def refuse_idle_terminal(path: str | None, ctx: click.Context) -> None:
    """Show the help and raise if ``-`` would wait for a person to type."""
    if path == "-" and sys.stdin is None:
        raise SettingsError("'-' reads stdin, but stdin is closed", next="name a file")
    if path == "-" and is_terminal(sys.stdin):
        click.echo(ctx.get_help(), err=True)
        raise SettingsError(
            "'-' reads stdin, but stdin is a terminal",
            why="'-' is for the output of a program",
            next=f"use PROGRAM | {ctx.command_path} …, or name a file instead of '-'",
        )
