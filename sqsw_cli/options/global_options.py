"""Global options. Every command has them, so they can stand before or after its name."""

from typing import Any

import click
from click.core import ParameterSource

from sqsw_cli.invocation import Invocation


class GlobalOption(click.Option):
    """An option of every command; help shows it below the command's own options."""


class LocalOption(GlobalOption):
    """``--local[=PATH]``: takes a value only with ``=``."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return None if record is None else ("--local[=PATH]", record[1])


def global_options() -> list[click.Option]:
    """Return new instances of the global options."""
    return [
        LocalOption(
            ["--local"],
            metavar="PATH",
            callback=_remember,
            expose_value=False,
            allow_from_autoenv=False,
            help="Use the embedded SQS, in this SQLite file (.sqsw/local.db). [SQSW_LOCAL]",
        ),
        _where("--endpoint-url", "URL", "Use an SQS-compatible endpoint. [AWS_ENDPOINT_URL_SQS]"),
        _where("--region", "NAME", "AWS region. [AWS_REGION]"),
        _where("--profile", "NAME", "AWS credentials profile. [AWS_PROFILE]"),
        _where("--queue-prefix", "TEXT", "Prefix of every queue name. [SQSW_QUEUE_PREFIX]"),
        GlobalOption(
            ["--config", "config_path"],
            metavar="FILE",
            envvar="SQSW_CONFIG",
            allow_from_autoenv=False,
            is_eager=True,
            callback=_read_config,
            expose_value=False,
            help="Configuration file, or 'none'. [SQSW_CONFIG]",
        ),
        _how(["--json"], is_flag=True, default=False, help="Print one JSON object per line."),
        _how(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="When to use color (auto). [NO_COLOR, FORCE_COLOR]",
        ),
        _how(
            ["--log-level"],
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            envvar="SQSW_LOG_LEVEL",
            help="Lowest level to log (info). [SQSW_LOG_LEVEL]",
        ),
        _how(
            ["--log-format"],
            type=click.Choice(["auto", "console", "json"]),
            default="auto",
            envvar="SQSW_LOG_FORMAT",
            help="Log format of work and serve: auto (for people on a terminal, else JSON), "
            "console (without the live view) or json. [SQSW_LOG_FORMAT]",
        ),
        _how(["-q", "--quiet"], is_flag=True, default=False, help="Print only results and errors."),
        _how(
            ["-v", "--verbose"],
            count=True,
            help="Log more; -vv adds tracebacks and botocore's log.",
        ),
        GlobalOption(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            allow_from_autoenv=False,
            callback=_show_version,
            help="Show the versions of sqsw, Python and boto3, and exit.",
        ),
    ]


def _where(name: str, metavar: str, text: str) -> click.Option:
    # No envvar: variables rank below what the app sets in code, so the library reads them.
    return GlobalOption(
        [name],
        metavar=metavar,
        callback=_remember,
        expose_value=False,
        allow_from_autoenv=False,
        help=text,
    )


def _how(names: list[str], **keywords: Any) -> click.Option:
    return GlobalOption(
        names, callback=_remember, expose_value=False, allow_from_autoenv=False, **keywords
    )


def is_typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    given = is_typed(ctx, param.name or "")
    # The group has not read the file yet, so it remembers only typed values.
    if given or ctx.parent is not None:
        ctx.ensure_object(Invocation).remember(param.name or "", value, given=given)
    return value


def _read_config(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Remember the path; a command also reads the file, before its options need their defaults."""
    _remember(ctx, param, value)
    is_group = isinstance(ctx.command, click.Group)  # its subcommand reads the file
    if not is_group and not ctx.resilient_parsing:
        from sqsw_cli.config import read_config

        invocation = ctx.ensure_object(Invocation)
        invocation.config = read_config(invocation.config_path)
        ctx.default_map = invocation.config.defaults_of(ctx)
    return value


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import platform

        from sqsw_cli.version import version_of

        python = platform.python_version()
        click.echo(f"sqsw {version_of('sqsw')} (Python {python}, boto3 {version_of('boto3')})")
        ctx.exit()
