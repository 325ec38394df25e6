"""``sqsw health``: ask a worker whether it is healthy."""

import os

import click

from sqsw.core.errors import SettingsError
from sqsw_cli.command import Command
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.types import Duration, address_of
from sqsw_cli.output.records import values_of

EXAMPLES = """
sqsw health 8080                            # /live: would a restart help?
sqsw health http://127.0.0.1:8080/ready     # SQS answers, and the worker receives
sqsw health healthy                         # the file of work --health-file
"""

#: Wildcard addresses to listen on, and the address to connect to instead.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@click.command(cls=Command, examples=EXAMPLES)
@click.argument(
    "worker",
    metavar="[URL|[HOST:]PORT|FILE]",
    required=False,
    envvar=["SQSW_WORK_HTTP", "SQSW_WORK_HEALTH_FILE"],
)
@click.option(
    "--timeout",
    metavar="D",
    type=Duration(1, 60),
    default=4,
    help="Longest wait for the answer, 1s to 60s (4s).",
)
@click.pass_obj
def health(invocation: Invocation, worker: str | None, timeout: float) -> int:
    """Ask a worker whether it is healthy; exit 8 if it is not.

    For Docker, Compose and ECS, which run a command to check a container. A URL without a path asks
    for /live. Without an argument: SQSW_WORK_HTTP, then SQSW_WORK_HEALTH_FILE.
    """
    from sqsw.observe.health_check import ask_worker, check_health_file

    if not worker:
        raise SettingsError(
            "no worker to ask",
            why="neither SQSW_WORK_HTTP nor SQSW_WORK_HEALTH_FILE is set",
            next="name the port of sqsw work --http: sqsw health 8080",
        )
    url = _url_of(worker)
    answer = check_health_file(worker) if url is None else ask_worker(url, timeout)
    printer, status = invocation.printer, "healthy" if answer.healthy else "unhealthy"
    if printer.as_json:
        printer.json("health", {**values_of(answer), "status": status})
    elif printer.terminal:
        sign, shade = ("✓", "green") if answer.healthy else ("✗", "red")
        text = f"{status}: {answer.target}"
        printer.signed(sign, shade, text if answer.healthy else f"{text}: {answer.error}")
    else:
        printer.plain("health", status, answer.target, answer.reason, answer.error)
    return Exit.OK if answer.healthy else Exit.CHECK


def _url_of(worker: str) -> str | None:
    """Return the URL to ask, or None if the argument is a file."""
    if "://" in worker:
        return worker
    if os.path.isfile(worker):
        return None
    try:
        host, port = address_of(worker)
    except click.BadParameter:
        return None
    host = _ANY.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
