"""Variables of sqsw that are set and name nothing: a slip that nobody would see."""

import os
from collections.abc import Iterator

import click

#: Those that hold for every command; the options of daemons have one each.
KNOWN = (
    *("SQSW_LOCAL", "SQSW_QUEUE_PREFIX", "SQSW_CONFIG", "SQSW_APP", "SQSW_WIRE"),
    *("SQSW_LOG_LEVEL", "SQSW_LOG_FORMAT", "SQSW_SERVE_ACCESS_KEY", "SQSW_SERVE_SECRET_KEY"),
)
_OURS = "SQSW_"
_DAEMONS = tuple(f"{_OURS}{command}_" for command in ("WORK", "SERVE"))


def misspelt_variables(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Names that are set and mean nothing to this command, each with the known one it is near to.

    What is near to none belongs to somebody else, and what begins like the options of a daemon is
    looked at by that daemon.
    """
    found = [name for name in os.environ if name.startswith(_OURS) and name not in KNOWN]
    if not found:
        return
    from sqsw.core.wording import nearest

    own = f"{ctx.auto_envvar_prefix}_"
    known = {*KNOWN, *(own + name for name in _option_names(ctx.command) if own in _DAEMONS)}
    # Without what all of them begin with, which would make every two alike.
    short = [name.removeprefix(_OURS) for name in known]
    for name in sorted(set(found) - known):
        meant = nearest(name.removeprefix(_OURS), short)
        is_others = name.startswith(_DAEMONS) and not name.startswith(own)
        if meant is not None and not is_others:
            yield name, _OURS + meant


def _option_names(command: click.Command) -> Iterator[str]:
    for param in command.params:
        if isinstance(param, click.Option) and param.allow_from_autoenv and param.name:
            yield param.name.upper()
