"""click's completion scripts, changed to add no space after ``key=`` and to read bash's words."""

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

#: what the scripts set to ask for completions
COMPLETE_VARIABLE = "_SQSW_COMPLETE"


@add_completion_class
class Bash(BashComplete):
    """Completion for bash, which also splits words at ``=`` and ``:``, and adds a space.

    So the script sends the line as typed, and the part of its last word that bash replaces.
    """

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)",
        'COMPREPLY+=("$value")\n            [[ $value == *= ]] && compopt -o nospace',
    ).replace(
        'COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD',
        'COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_CWORD="$2"',
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        return words, words.pop() if words and not line[-1].isspace() else ""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        items = super().get_completions(args, incomplete)
        replaced = os.environ["COMP_CWORD"]
        stays = incomplete.removesuffix(replaced) if incomplete.endswith(replaced) else ""
        option, sign, _ = incomplete.partition("=")
        left_out = option + sign if sign and option.startswith("-") else ""  # click leaves it out
        for item in items:
            item.value = f"{left_out}{item.value}".removeprefix(stays)
        return [item for item in items if item.value]


@add_completion_class
class Zsh(ZshComplete):
    """Completion for zsh, which adds a space to a completed word."""

    source_template = ZshComplete.source_template.replace(
        '    if [ -n "$completions" ]; then\n',
        "    local -a open_ended\n"
        "    open_ended=(${(M)completions:#*=})\n"
        "    completions=(${completions:#*=})\n"
        '    if [ -n "$open_ended" ]; then\n'
        "        compadd -U -S '' -V unsorted -a open_ended\n"
        "    fi\n"
        '    if [ -n "$completions" ]; then\n',
    )


def script_of(shell: str, command: click.Command, variable: str) -> str:
    maker: type[ShellComplete] | None = get_completion_class(shell)
    assert maker is not None, shell
    return f"{maker(command, {}, 'sqsw', variable).source().rstrip()}\n"
