"""``sqsw completion``: print the completion script for a shell."""

import click

from sqsw_cli.command import Command
from sqsw_cli.errors.failures import writing

EXAMPLES = """
sqsw completion fish > ~/.config/fish/completions/sqsw.fish
eval "$(sqsw completion bash)"                       # in ~/.bashrc; for zsh in ~/.zshrc
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    It completes commands, options, files, queue names, and the jobs and arguments that the last
    'work', 'send --app' or 'inspect --tasks' in this directory saw.
    """
    from sqsw_cli.completing.shells import COMPLETE_VARIABLE, script_of

    with writing():
        click.echo(script_of(shell, ctx.find_root().command, COMPLETE_VARIABLE), nl=False)
