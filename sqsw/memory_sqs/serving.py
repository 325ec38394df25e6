"""Queues over HTTP: until a signal comes."""

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
    """The embedded SQS over HTTP, until a signal or ``stop()`` of the server.

    SIGTERM, SIGINT and, where it is neither ignored nor handled, SIGHUP are heard where this is
    called in the main thread; the former handlers come back.

    Parameters
    ----------
    path :
        The file, which other processes may use at the same time; None: memory.
    host, port :
        Where to listen; port 0: a free one.
    key :
        Access key and secret key that every request must be signed with. None: who reaches the host
        is welcome.
    no_auth :
        Nobody has to sign, on any host; not together with a key.
    region_name :
        Of requests that are not signed; default: ``local``.
    relaxed :
        Purge again, and create again after a delete, without the 60 seconds that SQS asks for.
    allow_hosts :
        Further host names to accept, as ``name`` or ``name:port``. The server always accepts
        ``localhost``, loopback addresses and ``host``, and every IP address if it listens on all of
        them. It refuses other names, because a web page could have pointed them here.
    allow_host_hint :
        The advice in an answer that refuses a name; ``{host}`` stands for the name.
    on_ready :
        Called with the server when it answers: it has ``url``, ``port`` and ``stop()``, which may
        be called from any thread.

    Raises
    ------
    SettingsError
        The file or the address cannot be used, one of ``allow_hosts`` is not a host name, other
        machines could connect without a key, or both a key and ``no_auth`` are given.
    Busy
        Another program holds the file, or listens there.
    """
    check_server_installed()
    from sqsw.local.http.server import LocalServer, is_loopback

    if key is not None and no_auth:
        raise SettingsError(
            "a key and no_auth do not go together",
            reason="key_and_no_auth",
            why="with a key every request must be signed, and no_auth asks for no signature",
            next="leave out one of them",
        )
    if key is None and not no_auth and not is_loopback(host):
        raise SettingsError(
            f"{host!r} lets in whoever reaches it",
            reason="no_key",
            why="it is no address of this machine alone, and no key is asked for",
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
