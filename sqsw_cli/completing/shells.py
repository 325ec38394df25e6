"""The scripts of click, taught not to put a space behind ``key=``, and to read bash's words."""

import click
from click.shell_completion import (
    BashComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

#: what the scripts set to ask for completions
COMPLETE_VARIABLE = "_SQSW_COMPLETE"


@add_completion_class
class Bash(BashComplete):
    """bash splits words at ``=`` and ``:`` too, and puts a space behind what it completed."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)",
        'COMPREPLY+=("$value")\n            [[ $value == *= ]] && compopt -o nospace',
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words = _joined([*args, incomplete])
        # bash replaces only what stands behind the last sign that it splits at.
        return words[:-1], words[-1]


@add_completion_class
class Zsh(ZshComplete):
    """zsh puts a space behind what it completed."""

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
    """The script for a shell."""
    maker: type[ShellComplete] | None = get_completion_class(shell)
    assert maker is not None, shell
    return f"{maker(command, {}, 'sqsw', variable).source().rstrip()}\n"


def _joined(words: list[str]) -> list[str]:
    """Words as they were typed: bash splits ``--queue=emails`` into three."""
    joined: list[str] = []
    open_ended = False
    for word in words:
        if joined and (open_ended or (word and word[0] in "=:")):
            joined[-1] += word
        else:
            joined.append(word)
        open_ended = bool(word) and word[-1] in "=:" and len(word) == 1
    return joined
