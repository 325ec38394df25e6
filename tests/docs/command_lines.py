"""Command lines of sqsw, read by the command line itself and not run."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sqsw_cli.main import cli

#: Up to a pipe, the end of a substitution or a redirection that stands in no quotes.
COMMAND_LINE = re.compile(r"""(?<![\w./-])sqsw (?:'[^']*'|"[^"]*"|[^|>)'"\n;&])*""")


def command_lines(text: str) -> list[list[str]]:
    """The words of each ``sqsw …`` in a piece of shell."""
    return [shlex.split(found, comments=True) for found in COMMAND_LINE.findall(text)]


def options_of(words: Sequence[str]) -> dict[str, Any]:
    """The options of ``sqsw COMMAND …``; raises where the command does not take them."""
    assert Path(words[0]).name == "sqsw"
    root = click.Context(cli, **cli.context_settings)
    command = cli.get_command(root, words[1])
    assert command is not None, words
    return command.make_context(words[1], list(words[2:]), parent=root).params
