"""The root command: the table of commands, and the handling of errors.

This module imports only click, the standard library and the errors, so ``sqsw --help`` and shell
completion are fast.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any, NoReturn, TextIO

import click

from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.errors.failures import (
    CannotWrite,
    ConsumerGone,
    Failure,
    failure_of,
    show,
    traceback_lines,
    writing,
)
from sqsw_cli.invocation import Invocation
from sqsw_cli.lazy import LazyGroup, Row
from sqsw_cli.terminal import echo_on_stderr
from sqsw_cli.working import gc_tuning

COMMANDS = {
    "work": Row("sqsw_cli.commands.work:work", "Run jobs until stopped"),
    "send": Row("sqsw_cli.commands.send:send", "Send jobs to a queue"),
    "schedule": Row("sqsw_cli.commands.schedule:schedule", "Show, check and run periodic jobs"),
    "inspect": Row(
        "sqsw_cli.commands.inspect:inspect", "Show queues, messages and registered jobs"
    ),
    "redrive": Row("sqsw_cli.commands.redrive:redrive", "Move dead letters back to their queue"),
    "create-queue": Row(
        "sqsw_cli.commands.create_queue:create_queue",
        "Create queues and their dead-letter queues",
    ),
    "purge": Row("sqsw_cli.commands.purge:purge", "Delete the messages of a queue"),
    "delete-queue": Row("sqsw_cli.commands.delete_queue:delete_queue", "Delete queues"),
    "doctor": Row("sqsw_cli.commands.doctor:doctor", "Find out why a worker gets no jobs"),
    "health": Row("sqsw_cli.commands.health:health", "Ask a worker whether it is healthy"),
    "serve": Row("sqsw_cli.commands.serve:serve", "Run a local SQS"),
    "completion": Row(
        "sqsw_cli.commands.completion:completion", "Print the completion script for a shell"
    ),
}

#: Commands that handle signals themselves, and that a stuck log must not stop.
_DAEMONS = ("work", "serve")

EXAMPLES = """
sqsw create-queue --local emails --dlq emails_dead
sqsw send --local emails send_email to=user@example.com
sqsw work --local myapp.tasks:env
"""


class Root(LazyGroup):
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args)
        if "_SQSW_COMPLETE" in os.environ:
            import sqsw_cli.completing.shells  # noqa: F401  # registers our shells with click
        invocation = Invocation(args=words)
        with ExitStack() as until_end:
            invocation.until_end = until_end
            try:
                result = super().main(
                    words,
                    prog_name="sqsw",
                    complete_var=complete_var,
                    standalone_mode=False,
                    obj=invocation,
                    **extra,
                )
                code = result if isinstance(result, int) else Exit.OK
                if sys.stdout is not None:  # None if it was closed from the start
                    with writing():
                        sys.stdout.flush()
            except (ConsumerGone, BrokenPipeError):
                code = Exit.OK
                _redirect_to_devnull(sys.stdout)
            except (click.Abort, KeyboardInterrupt):
                code = Exit.INTERRUPTED
            except Exception as error:  # noqa: BLE001  # every error becomes a message for a person
                code = _failed(error, invocation)
            if invocation.ending is not None:
                code = invocation.ending.exit_code or code
            if code == Exit.HUNG_UP:
                _drop_closed_streams()
        raise _Ended(int(code), at_once=invocation.ends_at_once)


class _Ended(SystemExit):
    """Ends a command; with ``at_once``, its process exits without waiting for anything."""

    def __init__(self, code: int, *, at_once: bool) -> None:
        super().__init__(code)
        self.at_once = at_once


def _failed(error: Exception, invocation: Invocation) -> int:
    ending = invocation.ending
    if isinstance(error, OSError) and ending is not None and ending.exit_code == Exit.HUNG_UP:
        return Exit.HUNG_UP
    failure = failure_of(error)
    if isinstance(failure, CannotWrite):
        _redirect_to_devnull(sys.stdout)
    invocation.look_ahead()
    if invocation.is_daemon and invocation.log_format == "json" and not invocation.as_json:
        # A program that asked for JSON logs parses stderr, so the error must be JSON too.
        from sqsw_cli.working.logs import log_failure

        log_failure(invocation, failure, error)
        return failure.exit_code
    if invocation.verbose >= 2:
        echo_on_stderr(traceback_lines(error))
    show(failure, as_json=invocation.as_json, color=invocation.color_on_stderr)
    return failure.exit_code


def _drop_closed_streams() -> None:
    """Drop output to the closed terminal, but write what goes to a file."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _redirect_to_devnull(stream)
        except (AttributeError, ValueError):  # closed from the start
            pass


def _redirect_to_devnull(stream: TextIO) -> None:
    """Replace a stream that cannot be written, so the interpreter's flush does not exit 120."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@click.command(
    cls=Root,
    name="sqsw",
    table=COMMANDS,
    examples=EXAMPLES,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run Python jobs from Amazon SQS, and manage its queues."""
    if ctx.invoked_subcommand is None:
        with writing():
            click.echo(ctx.get_help())
        return
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise Failure(
            "the current directory was removed",
            why="sqsw looks for files and apps there",
            next="change to another directory",
            code="usage",
            exit_code=Exit.USAGE,
        ) from error
    invocation = ctx.ensure_object(Invocation)
    if ctx.invoked_subcommand in _DAEMONS:
        invocation.is_daemon = True
        from sqsw.core.delivery import handing_over

        if invocation.until_end is not None:
            invocation.until_end.enter_context(handing_over())
    else:
        from sqsw_cli.errors.interrupts import EndBySignal  # not needed to list the commands

        invocation.ending = ctx.with_resource(EndBySignal())


def run() -> NoReturn:
    gc_tuning.rarely()
    for stream in (sys.stdout, sys.stderr):
        # Replace a character that the terminal cannot show with a question mark.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # or AttributeError
    try:
        cli.main()
    except _Ended as ended:
        if "sqsw.app.loading" in sys.modules:  # an app was loaded, and can have left threads
            from sqsw.core.process_end import end_process

            end_process(int(ended.code or 0), at_once=ended.at_once)
        if "sqsw.app" not in sys.modules:  # garbage collection closes the files of an app
            gc_tuning.no_more()
        raise
