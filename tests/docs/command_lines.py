"""Parse command lines of sqsw with the command line itself, without running them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sqsw_cli.main import cli

#: Match up to a pipe, the end of a substitution or a redirection, outside of quotes.
COMMAND_LINE = re.compile(r"""(?<![\w./-])sqsw (?:'[^']*'|"[^"]*"|[^|>)'"\n;&])*""")


def command_lines(text: str) -> list[list[str]]:
    """Return the words of each ``sqsw …`` in a shell text."""
    return [shlex.split(found, comments=True) for found in COMMAND_LINE.findall(text)]


def options_of(words: Sequence[str]) -> dict[str, Any]:
    """Return the options of ``sqsw COMMAND …``; raise if the command does not accept them."""
    assert Path(words[0]).name == "sqsw"
    root = click.Context(cli, **cli.context_settings)
    command = cli.get_command(root, words[1])
    assert command is not None, words
    if isinstance(command, click.Group):
        parent = click.Context(command, info_name=words[1], parent=root)
        below = command.get_command(parent, words[2])
        assert below is not None, words
        return below.make_context(words[2], list(words[3:]), parent=parent).params
    return command.make_context(words[1], list(words[2:]), parent=root).params
