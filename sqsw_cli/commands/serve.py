"""``sqsw serve``: run a local SQS."""

import logging
import os
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from sqsw.core.errors import SettingsError
from sqsw.core.safe_logger import log_event
from sqsw.core.sendable import check_credential
from sqsw.core.wording import keep_secret
from sqsw.memory_sqs import DEFAULT_HOST, DEFAULT_PATH, DEFAULT_PORT, local_path, serve_address
from sqsw_cli.command import Command
from sqsw_cli.errors.exit_codes import Exit
from sqsw_cli.invocation import Invocation
from sqsw_cli.options.shared import ALLOW_HOST_HINT
from sqsw_cli.output.printer import Printer

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """
sqsw serve
eval "$(sqsw serve --print-env)"
sqsw serve --port 0 --local=ci.db
sqsw serve --memory --json
"""

#: Variables with the key that must sign requests. No option takes a secret.
ACCESS_KEY = "SQSW_SERVE_ACCESS_KEY"
SECRET_KEY = "SQSW_SERVE_SECRET_KEY"

logger = logging.getLogger("sqsw.serve")


@click.command(
    cls=Command, examples=EXAMPLES, context_settings={"auto_envvar_prefix": "SQSW_SERVE"}
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    help=f"Port to listen on ({DEFAULT_PORT}); 0 picks a free one.",
)
@click.option(
    "--host", metavar="NAME", default=DEFAULT_HOST, help=f"Host to listen on ({DEFAULT_HOST})."
)
@click.option(
    "--allow-host",
    metavar="NAME[:PORT]",
    multiple=True,
    help="Also accept requests for this host name, such as host.docker.internal. Repeatable.",
)
@click.option("--memory", is_flag=True, help="Keep the queues in memory instead of a file.")
@click.option("--no-auth", is_flag=True, help="Accept unsigned requests on non-loopback hosts.")
@click.option(
    "--print-env", is_flag=True, help="Print the environment variables for a shell, and exit."
)
@click.pass_context
def serve(
    ctx: click.Context,
    port: int,
    host: str,
    allow_host: tuple[str, ...],
    memory: bool,
    no_auth: bool,
    print_env: bool,
) -> int:
    """Run a local SQS.

    Serves the queues of --local over HTTP to other processes, other languages, boto3 and the aws
    command. If SQSW_SERVE_ACCESS_KEY and SQSW_SERVE_SECRET_KEY are set, every request must be
    signed with them. The server refuses requests from web pages, and requests for host names other
    than localhost that neither --host nor --allow-host names. Ctrl-C or SIGTERM stops it.
    """
    from sqsw import memory_sqs
    from sqsw_cli.working.logs import configure_logs

    invocation = ctx.find_object(Invocation) or Invocation()
    _refuse_location_options(invocation)
    path = _path(invocation, memory)
    key = _key()
    shown = None if path is None else os.path.abspath(path)
    facts = {"host": host, "path": shown, "region": invocation.region or memory_sqs.DEFAULT_REGION}
    if print_env:
        _refuse_unknown_port(port)
        _print_address(
            invocation.printer, {**facts, "url": serve_address(host, port), "port": port}
        )
        return Exit.OK
    configure_logs(invocation, daemon=True)

    def ready(server: Any) -> None:
        _print_address(invocation.printer, {**facts, "url": server.url, "port": server.port})
        facts_of_log = {"url": server.url, "path": shown, "signed": key is not None}
        # In a thread: writing the first log line takes longer than the first response should.
        arguments = (logger, logging.INFO, "serving")
        Thread(target=log_event, args=arguments, kwargs=facts_of_log).start()

    memory_sqs.serve(
        path,
        host,
        port,
        key=key,
        no_auth=no_auth,
        region_name=invocation.region,
        allow_hosts=allow_host,
        allow_host_hint=ALLOW_HOST_HINT,
        on_ready=ready,
    )
    logger.info("stopped")
    return Exit.OK


def _refuse_location_options(invocation: Invocation) -> None:
    """Refuse options that say where queues are or how they are named."""
    for name in ("endpoint_url", "profile", "queue_prefix"):
        if getattr(invocation, name) is not None:
            option = "--" + name.replace("_", "-")
            raise SettingsError(
                f"serve does not take {option}",
                why="it hosts the queues, under the names that clients send",
                next=f"leave out {option}; use it with the commands that connect to the server",
            )


def _path(invocation: Invocation, memory: bool) -> str | None:
    if not memory:
        named = local_path(invocation.local or "1") if invocation.local is not None else None
        return named or local_path(os.environ.get("SQSW_LOCAL")) or DEFAULT_PATH
    if invocation.local not in (None, "0"):
        raise SettingsError(
            "--memory and --local cannot be used together",
            why="the queues are either in memory or in a file",
            next="leave out one of them",
        )
    return None


def _key() -> tuple[str, str] | None:
    access_key, secret_key = os.environ.get(ACCESS_KEY, ""), os.environ.get(SECRET_KEY, "")
    if bool(access_key) != bool(secret_key):
        given, missing = (ACCESS_KEY, SECRET_KEY) if access_key else (SECRET_KEY, ACCESS_KEY)
        raise SettingsError(
            f"{given} is set and {missing} is not",
            why="a key has two parts",
            next=f"set {missing} too, or unset {given}",
        )
    check_credential(ACCESS_KEY, access_key)
    check_credential(SECRET_KEY, secret_key, is_sent=False)
    keep_secret(secret_key)
    return (access_key, secret_key) if access_key else None


def _refuse_unknown_port(port: int) -> None:
    if port == 0:
        raise SettingsError(
            "--print-env needs a fixed port",
            why="--port 0 picks a port when the server starts",
            next="name the port, or use the lines that sqsw serve --port 0 prints",
        )


def _print_address(printer: Printer, facts: dict[str, Any]) -> None:
    if printer.as_json:
        printer.json("ready", facts)
        return
    for line in _exports(facts["url"], facts["region"]):
        printer.say(line)


def _exports(url: str, region: str) -> "Iterator[str]":
    import shlex

    yield f"export AWS_ENDPOINT_URL_SQS={shlex.quote(url)}"
    name = shlex.quote(region)
    # Print the variables instead of the key, because output can be saved.
    key = (f'"${ACCESS_KEY}"', f'"${SECRET_KEY}"') if os.environ.get(ACCESS_KEY) else ("local",) * 2
    yield (
        f"export AWS_REGION={name} AWS_DEFAULT_REGION={name}"
        f" AWS_ACCESS_KEY_ID={key[0]} AWS_SECRET_ACCESS_KEY={key[1]}"
    )
    if hosts := _hosts_without_proxy(url):
        yield f"export NO_PROXY={shlex.quote(hosts)} no_proxy={shlex.quote(hosts)}"


def _hosts_without_proxy(url: str) -> str | None:
    """Return NO_PROXY with this server, or None if no proxy would get its requests."""
    if not any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        return None
    from urllib.parse import urlsplit
    from urllib.request import getproxies_environment, proxy_bypass

    host = urlsplit(url).hostname or ""
    if proxy_bypass(host):
        return None
    return ",".join(filter(None, (getproxies_environment().get("no"), host)))
