"""Base classes of commands: global options in any position, a bare ``--local``, and help."""

import sys
from collections.abc import Iterable
from typing import Any

import click
from click import formatting

from sqsw.core.wording import nearest
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import Failure, writing
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.global_options import GlobalOption, global_options
from sqsw_cli.terminal import columns_asked, columns_of, wants_color

_GLOBAL_OPTIONS = "--local, --region, --json, --quiet and more; see sqsw --help"


def with_plain_local(args: Iterable[str]) -> list[str]:
    """Rewrite a bare ``--local`` as ``--local=``, so it never takes the next word as its value."""
    rewritten = list(args)
    end = rewritten.index("--") if "--" in rewritten else len(rewritten)
    rewritten[:end] = ["--local=" if word == "--local" else word for word in rewritten[:end]]
    return rewritten


class _Formatter(click.HelpFormatter):
    """A formatter with bold headings; click removes the escape sequences if stdout is a file."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, f"{click.style('Usage:', bold=True)} ")

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':>{self.current_indent}}{click.style(f'{heading}:', bold=True)}\n")


class _Context(click.Context):
    """Sets the width and the color of help; click would import shutil, which takes longer."""

    formatter_class = _Formatter

    def make_formatter(self) -> click.HelpFormatter:
        invocation = self.ensure_object(Invocation)
        invocation.look_ahead()  # --help is read before the options after it
        self.color = wants_color(sys.stdout, invocation.color)
        if self.terminal_width is None and formatting.FORCED_WIDTH is None:
            columns = columns_asked() or columns_of(sys.stdout) or 80
            self.terminal_width = max(min(columns, self.max_content_width or 80) - 2, 50)
        return super().make_formatter()


class WithGlobals(click.Command):
    """The base class of commands and of their group."""

    context_class = _Context

    def __init__(self, *args: Any, examples: str = "", **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.params.extend(global_options())
        self.examples = examples

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:  # click 8.1 would read it from a variable too
            option.allow_from_autoenv = False
        return option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            with writing():  # the help and the version
                return super().parse_args(ctx, with_plain_local(args))
        except click.UsageError as error:
            # click's parser does not set the context, and the error needs this command's help.
            error.ctx = error.ctx or ctx
            raise

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self._format_examples(formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def write_options(
        self,
        ctx: click.Context,
        formatter: click.HelpFormatter,
        title: str,
        *,
        is_global: bool,
    ) -> None:
        """Write the section of the global options, or of this command's own options."""
        records = [
            record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option)
            and (isinstance(param, GlobalOption) or "--help" in param.opts) is is_global
            and (record := param.get_help_record(ctx)) is not None
        ]
        if records:
            with formatter.section(title):
                formatter.write_dl(records, col_max=24)  # click's 30 leaves less room for the text

    def _format_examples(self, formatter: click.HelpFormatter) -> None:
        lines = self.examples.strip("\n").splitlines()
        if lines:
            with formatter.section("Examples"):
                for line in lines:
                    formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")


class Group(WithGlobals, click.Group):
    """A command with subcommands; it suggests the nearest one for an unknown name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            meant = nearest(name, self.list_commands(ctx))
            path = ctx.command_path
            raise Failure(
                f"no such {'option' if name.startswith('-') else 'command'}: {name}",
                next=f"did you mean '{path} {meant}'?" if meant else f"{path} --help",
                code="usage",
                exit_code=Exit.USAGE,
            )
        return super().resolve_command(ctx, args)


class CommandGroup(Group):
    """A top-level command with subcommands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # click would sort them

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(70))
                    for name in self.list_commands(ctx)
                    if (command := self.get_command(ctx, name)) is not None
                ]
            )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_global_options(formatter)

    def __init__(self, *args: Any, **keywords: Any) -> None:
        keywords.setdefault("context_settings", {}).setdefault(
            "help_option_names", ["-h", "--help"]
        )
        super().__init__(*args, **keywords)


def write_global_options(formatter: click.HelpFormatter) -> None:
    formatter.write_paragraph()
    formatter.write(f"{click.style('Global options:', bold=True)} {_GLOBAL_OPTIONS}\n")


class Command(WithGlobals):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.write_options(ctx, formatter, "Options", is_global=False)
        if any(param.metavar == "D" for param in self.params):
            formatter.write_paragraph()
            formatter.write_text("D is a duration: 30 or 30s, 15m, 12h, 4d, 1h30m.")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from sqsw_cli.output.columns import lines_of  # not needed to list the commands

        found = lines_of(self.name or "")
        if found:
            with formatter.section("Output in a pipe, separated by tabs"):
                formatter.write_dl([(line.when, ", ".join(line.columns)) for line in found])
        write_global_options(formatter)

    def invoke(self, ctx: click.Context) -> Any:
        invocation = ctx.ensure_object(Invocation)
        config = invocation.config
        if config is not None and config.distrust is not None:
            invocation.printer.warn(
                f"another user could have written {config.path}",
                why=config.distrust,
                next="change its owner and permissions with chown and chmod",
            )
        return super().invoke(ctx)

    def __init__(self, *args: Any, **keywords: Any) -> None:
        keywords.setdefault("context_settings", {}).setdefault(
            "help_option_names", ["-h", "--help"]
        )
        super().__init__(*args, **keywords)
