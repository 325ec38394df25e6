"""A command group that imports each command, built-in or from a plugin, when it is called."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sqsw.core.entry_points import entry_points_of
from sqsw.core.wording import described, safe
from sqsw_cli.command import Group
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure, block
from sqsw_cli.invocation import Invocation

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

#: The entry point group of plugin commands; each entry point is a click command.
PLUGIN_GROUP = "sqsw.commands"


class Row(NamedTuple):
    target: str
    summary: str


class LazyGroup(Group):
    """A group with a table of commands, which imports only the one that is called."""

    def __init__(self, *args: Any, table: Mapping[str, Row], **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *_plugins(self.table)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.table:
            module, _, name = self.table[cmd_name].target.partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        entry_point = _plugins(self.table).get(cmd_name)
        return None if entry_point is None else _load(entry_point)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        self.write_options(ctx, formatter, "Global options", is_global=True)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in self.table.items()])
        records = []
        for name, entry_point in _plugins(self.table).items():
            try:
                command = _load(entry_point)
            except Failure as failure:
                color = ctx.ensure_object(Invocation).color_on_stderr
                warning = block("warning", f"{failure.message}: {failure.why}", color=color)
                click.echo(warning, err=True, color=color)
                continue
            summary = command.get_short_help_str(60)
            records.append((safe(name), safe(f"{summary} ({_origin(entry_point)})".strip())))
        if records:
            with formatter.section("Plugin commands"):
                formatter.write_dl(records)


def _plugins(built_in: Mapping[str, Row]) -> dict[str, "EntryPoint"]:
    """Return the commands of plugins by name; they cannot replace built-in commands."""
    found = entry_points_of(PLUGIN_GROUP)
    return {point.name: point for point in found if point.name not in built_in}


def _origin(entry_point: "EntryPoint") -> str:
    dist = entry_point.dist
    return "unknown package" if dist is None else f"{dist.name} {dist.version}"


def _load(entry_point: "EntryPoint") -> click.Command:
    try:
        command = entry_point.load()
    except Exception as error:
        raise _broken(entry_point, described(error)) from error
    if not isinstance(command, click.Command):
        raise _broken(entry_point, f"{entry_point.value} is not a click command")
    return command


def _broken(entry_point: "EntryPoint", reason: str) -> Failure:
    return Failure(
        f"the plugin command '{entry_point.name}' of {_origin(entry_point)} cannot be loaded",
        why=reason,
        next="fix or uninstall the package",
        code="app_load_error",
        exit_code=Exit.APP,
    )
