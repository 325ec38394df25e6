"""The HTTP server as a single blocking call."""

import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from sqsw.core.errors import SettingsError, not_listening
from sqsw.local.engine import DEFAULT_REGION
from sqsw.memory_sqs.addresses import DEFAULT_HOST, DEFAULT_PORT, check_server_installed
from sqsw.memory_sqs.local_session import LocalSession
from sqsw.memory_sqs.memory_session import MemorySession

if TYPE_CHECKING:
    from sqsw.local.http.server import LocalServer


def serve(
    path: str | os.PathLike[str] | None,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    key: tuple[str, str] | None = None,
    no_auth: bool = False,
    region_name: str | None = None,
    relaxed: bool = False,
    allow_hosts: Collection[str] = (),
    allow_host_hint: str = "allow_hosts=[{host!r}]",
    on_ready: "Callable[[LocalServer], object] | None" = None,
) -> None:
    """Serve the embedded SQS over HTTP until a signal arrives or ``stop()`` is called.

    In the main thread, it stops on SIGTERM, SIGINT, and SIGHUP, but not on a SIGHUP that is already
    ignored or handled. Afterwards, the previous signal handlers are restored.

    Parameters
    ----------
    path :
        The file, which other processes can use at the same time. None keeps the queues in memory.
    host, port :
        The address to listen on. With port 0, the system chooses a free port.
    key :
        The access key and secret key with which clients must sign all requests. None accepts
        unsigned requests, and requires a loopback host or ``no_auth``.
    no_auth :
        Accept unsigned requests on any host; cannot be combined with a key.
    region_name :
        The region of unsigned requests; default: ``local``.
    relaxed :
        Allow a second purge, or creating a deleted queue again, within the 60 seconds that SQS
        enforces.
    allow_hosts :
        Further host names to accept, as ``name`` or ``name:port``. The server always accepts
        ``localhost``, loopback addresses, and ``host``; if it listens on all addresses, it accepts
        any IP address. It refuses other names, because a web page could use one to reach the server
        (DNS rebinding).
    allow_host_hint :
        The advice in the answer to a refused name; ``{host}`` is replaced by the name.
    on_ready :
        Called with the server when it is ready. The server has ``url``, ``port``, and ``stop()``,
        which can be called from any thread.

    Raises
    ------
    SettingsError
        The file or the address cannot be used, an entry of ``allow_hosts`` is not a host name,
        other machines could connect without a key, or both a key and ``no_auth`` are given.
    Busy
        Another program has locked the file, or listens on the port.
    """
    check_server_installed()
    from sqsw.local.http.server import LocalServer, is_loopback

    if key is not None and no_auth:
        raise SettingsError(
            "a key and no_auth cannot be combined",
            reason="key_and_no_auth",
            why="a key requires signed requests, and no_auth accepts unsigned ones",
            next="pass only one of them",
        )
    if key is None and not no_auth and not is_loopback(host):
        raise SettingsError(
            f"cannot serve on {host!r} without a key",
            reason="no_key",
            why="it is not a loopback address, so other machines could use the queues",
            next="set a key, or no_auth=True",
        )
    session = (
        MemorySession(relaxed=relaxed) if path is None else LocalSession(path, relaxed=relaxed)
    )
    engine, region = session.engine, region_name or DEFAULT_REGION
    try:
        server = LocalServer(
            engine,
            host,
            port,
            key=key,
            region=region,
            allow_hosts=allow_hosts,
            hint=allow_host_hint,
        )
    except OSError as error:
        session.close()
        raise not_listening(error, host, port, "port") from error
    except ValueError as error:
        session.close()
        raise SettingsError(
            str(error),
            why="an allowed host is a name or an address, with or without a port",
            next="leave out the scheme and the path: sqs.test, or sqs.test:9324",
        ) from error
    try:
        server.run(lambda: on_ready and on_ready(server))
    finally:
        session.close()
