"""Turn click's usage errors into the three parts of an error.

In all supported releases, click's classes and attributes are the same, and its sentences almost.
A sentence that this module does not know is shown unchanged.
"""

import re

import click
from click.core import ParameterSource

from sqsw.core.wording import nearest

_EXTRA = re.compile(r"unexpected extra arguments? \((.*)\)")

_Parts = tuple[str, str | None, str | None]


def usage_parts(error: click.UsageError) -> tuple[str, str | None, str]:
    message, why, next_step = _parts(error)
    if next_step is None:
        next_step = f"{error.ctx.command_path if error.ctx is not None else 'sqsw'} --help"
    return message, why, next_step


def plain(message: str) -> str:
    """Return a sentence of click in our style: lowercase first letter, no period at the end."""
    message = " ".join(message.split()).removesuffix(".")  # click lists choices with tabs
    return message[:1].lower() + message[1:]


def _parts(error: click.UsageError) -> _Parts:
    if isinstance(error, click.NoSuchOption):
        return f"no such option: {error.option_name}", None, _option_meant(error)
    if isinstance(error, click.BadOptionUsage):
        return _option_alone(error)
    if isinstance(error, click.MissingParameter):
        return plain(error.format_message()), _how_written(error.ctx), None
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad_value(error, error.param)
    extra = _EXTRA.search(error.message)
    if extra is not None and error.ctx is not None:
        return (
            f"too many arguments: {extra[1]}",
            _how_written(error.ctx),
            "remove the extra arguments, or put quotes around a value with spaces",
        )
    return plain(error.format_message()), None, None


def _option_meant(error: click.NoSuchOption) -> str | None:
    # Without the dashes, which would make short names alike: --sample and --app.
    known = {name.lstrip("-"): name for name in error.possibilities or ()}
    meant = nearest(error.option_name.lstrip("-"), known)
    return f"did you mean {known[meant]!r}?" if meant else None


def _option_alone(error: click.BadOptionUsage) -> _Parts:
    name, ctx = error.option_name, error.ctx
    if "does not take a value" in error.message:
        return f"{name} takes no value", None, f"write {name} without a value"
    params = [] if ctx is None else ctx.command.params
    metavar = next((p.metavar for p in params if name in p.opts and p.metavar), "VALUE")
    return f"{name} needs a value", None, f"write {name} {metavar}"


def _bad_value(error: click.BadParameter, param: click.Parameter) -> _Parts:
    reason = plain(error.message)
    name = param.opts[-1] if isinstance(param, click.Option) else param.human_readable_name
    if error.ctx is not None and (variable := _variable(error.ctx, param)):
        return f"invalid value for {variable}", reason, "fix the variable, or unset it"
    return f"invalid value for {name!r}", reason, None


def _variable(ctx: click.Context, param: click.Parameter) -> str | None:
    """Return the environment variable that set the value; None if it came from elsewhere."""
    if ctx.get_parameter_source(param.name or "") is not ParameterSource.ENVIRONMENT:
        return None
    own = f"{ctx.auto_envvar_prefix}_{(param.name or '').upper()}"
    return param.envvar if isinstance(param.envvar, str) else own


def _how_written(ctx: click.Context | None) -> str | None:
    if ctx is None:
        return None
    return f"usage: {' '.join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])}"
