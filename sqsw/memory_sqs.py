"""Sessions on the embedded SQS: in this process, or in a file that processes share; and over HTTP.

They stand where a boto3 session stands and make real boto3 clients, so that parameters are checked,
errors raised and retries made by botocore as against AWS; only the request itself goes to the
embedded SQS instead of the network.
"""

import errno
import functools
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sqsw.core.client_events import END_POLLS_EVENT, PEEK_EVENT
from sqsw.core.errors import Busy, SettingsError, SQSError
from sqsw.local import wire
from sqsw.local.clock import Clock, MovableClock
from sqsw.local.connections import Durability
from sqsw.local.engine import DEFAULT_ORIGIN, LocalEngine
from sqsw.local.engine import DEFAULT_REGION as DEFAULT_REGION
from sqsw.local.errors import FileError, FileFailed, FileFull, FileLocked

if TYPE_CHECKING:
    from sqsw.local.server import LocalServer

#: where the embedded SQS is served; the port is that of ElasticMQ, so that settings for it fit
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9324

#: the file of the embedded SQS where none is named
DEFAULT_PATH: Final = ".sqsw/local.db"

# One lock for all sessions, held over a fork: botocore's sessions are not made for two threads, and
# a child must not inherit one that is half made.
_making = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_making.acquire,
        after_in_parent=_making.release,
        after_in_child=_making.release,
    )


def local_path(value: str | None) -> str | None:
    """The file that a value of ``SQSW_LOCAL`` or ``--local`` names; None: not local.

    ``1`` (or ``true``, ``yes``, ``on``) stands for ``.sqsw/local.db``; the empty text and ``0``
    (or ``false``, ``no``, ``off``) for off. A ``~`` is the home directory, since files of variables
    are read by programs that leave it as it is.
    """
    word = (value or "").lower()
    if value is None or word in ("", "0", "false", "no", "off"):
        return None
    return DEFAULT_PATH if word in ("1", "true", "yes", "on") else os.path.expanduser(value)


def serve_address(host: str, port: int) -> str:
    """The address under which clients reach an endpoint on this host and port."""
    from sqsw.local.server import reachable

    return f"http://{reachable(host)}:{port}"


class _EmbeddedSession(ABC):
    """What both sessions share: a boto3 session whose SQS clients talk to an engine."""

    #: the file; None: memory
    path: str | None = None

    def __init__(self, region_name: str | None) -> None:
        self.region_name = region_name or DEFAULT_REGION

    @property
    @abstractmethod
    def engine(self) -> LocalEngine:
        """The embedded SQS behind this session."""

    def client(
        self,
        service_name: str,
        region_name: str | None = None,
        *,
        endpoint_url: str | None = None,
        **options: Any,
    ) -> Any:
        """A boto3 client for SQS, which is all that is embedded.

        Parameters
        ----------
        region_name :
            Default: the session's.
        endpoint_url :
            Where queue URLs seem to be; nothing is sent there.
        options :
            As for boto3: a ``config`` of yours is merged over ours.

        Raises
        ------
        SettingsError
            Another service, or a file that cannot be used.
        Busy
            Another program holds the file.
        """
        return self._make("client", service_name, region_name, endpoint_url, options)

    def resource(
        self,
        service_name: str,
        region_name: str | None = None,
        *,
        endpoint_url: str | None = None,
        **options: Any,
    ) -> Any:
        """A boto3 resource for SQS; the parameters are those of :meth:`client`."""
        return self._make("resource", service_name, region_name, endpoint_url, options)

    def close(self) -> None:
        """Close the embedded SQS; the session's clients cannot be used after it."""
        self.engine.close()

    @contextmanager
    def told_errors(self) -> Iterator[None]:
        """Errors of the file come out as those of the library, with what to do next."""
        try:
            yield
        except (FileError, OSError) as error:
            raise _told(self.path or "memory", error) from error

    @property
    def location(self) -> str:
        """Where the queues are, for people."""
        return f"local file {self.path}"

    def _make(
        self,
        kind: str,
        service_name: str,
        region_name: str | None,
        endpoint_url: str | None,
        options: dict[str, Any],
    ) -> Any:
        if service_name != "sqs":
            raise SettingsError(
                f"a {type(self).__name__} has no service {service_name!r}",
                why="only SQS is embedded",
                next=f"take boto3's own session for {service_name!r}",
            )
        region_name = region_name or self.region_name
        with _making:
            engine = self.engine  # a file that cannot be used is said here, not at the first call
            made = getattr(_boto_session(), kind)(
                service_name,
                region_name=region_name,
                endpoint_url=endpoint_url or DEFAULT_ORIGIN,
                **options,
            )
        client = made if kind == "client" else made.meta.client
        client.meta.events.register("before-send.sqs", _Seam(self, engine, region_name))
        client.meta.events.register(END_POLLS_EVENT, lambda **_: engine.end_polls())
        client.meta.events.register(PEEK_EVENT, _Peek(self, engine, region_name))
        return made


class MemoryAWS:
    """The queues of one or more memory sessions.

    Parameters
    ----------
    relaxed :
        Purge again, and create again after a delete, without the 60 seconds that SQS asks for.
    clock :
        Where the time comes from; default: a clock that :meth:`MovableClock.advance` moves.
    """

    def __init__(self, *, relaxed: bool = False, clock: Clock | None = None) -> None:
        self.clock: Any = MovableClock() if clock is None else clock
        self.engine = LocalEngine(None, clock=self.clock, relaxed=relaxed)


class MemorySession(_EmbeddedSession):
    """A session with an SQS of its own in memory, which lives as long as the session.

    Parameters
    ----------
    aws :
        The queues; give one to several sessions and they share them. Default: new ones.
    region_name :
        Default: ``local``.
    relaxed, clock :
        See :class:`MemoryAWS`; for the default ``aws`` only.
    """

    def __init__(
        self,
        aws: MemoryAWS | None = None,
        *,
        region_name: str | None = None,
        relaxed: bool = False,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(region_name)
        self.aws = aws or MemoryAWS(relaxed=relaxed, clock=clock)

    @property
    def engine(self) -> LocalEngine:
        """The embedded SQS behind this session."""
        return self.aws.engine

    @property
    def clock(self) -> Any:
        """The time of these queues: ``session.clock.advance(minutes=20)`` moves it."""
        return self.aws.clock

    @property
    def location(self) -> str:
        """Where the queues are, for people."""
        return "memory"

    def __repr__(self) -> str:
        return f"MemorySession(region_name={self.region_name!r})"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a MemorySession lives in one process and cannot be pickled;"
            " LocalSession(path) is shared between processes"
        )


class LocalSession(_EmbeddedSession):
    """A session with an SQS in a file, which other processes may use at the same time.

    The file is opened, and made if it is not there, when the first client is. The directory
    ``.sqsw`` gets a ``.gitignore`` when it is made.

    Parameters
    ----------
    path :
        The database file.
    region_name :
        Default: ``local``.
    durable :
        ``normal``: what was answered outlives a killed process; ``full``: a power failure too, at
        the price of one flush of the disk a call.
    relaxed :
        Purge again, and create again after a delete, without the 60 seconds that SQS asks for.
    clock :
        Where the time comes from; default: a clock that :meth:`MovableClock.advance` moves, in this
        process alone.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = DEFAULT_PATH,
        *,
        region_name: str | None = None,
        durable: Durability = "normal",
        relaxed: bool = False,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(region_name)
        self.path: str = os.fspath(path)
        # A later change of the working directory does not lead to another file.
        self._absolute = os.path.abspath(path)
        self._durable, self._relaxed, self._given_clock = durable, relaxed, clock
        self.clock: Any = MovableClock() if clock is None else clock
        self._engine: LocalEngine | None = None

    @property
    def engine(self) -> LocalEngine:
        """The embedded SQS behind this session; opens the file.

        Raises
        ------
        SettingsError
            The file is not a database, of a later version, read-only, or cannot be made.
        Busy
            Another program holds the file.
        """
        with _making:
            if self._engine is None:
                with self.told_errors():
                    _make_directory(self._absolute)
                    self._engine = LocalEngine(
                        self._absolute,
                        clock=self.clock,
                        durable=self._durable,
                        relaxed=self._relaxed,
                    )
            return self._engine

    def close(self) -> None:
        """Close the file, if it is open; the session's clients cannot be used after it."""
        if self._engine is not None:
            self._engine.close()

    def __repr__(self) -> str:
        return f"LocalSession({self.path!r}, region_name={self.region_name!r})"

    def __reduce__(self) -> Any:
        make = functools.partial(
            LocalSession,
            region_name=self.region_name,
            durable=self._durable,
            relaxed=self._relaxed,
            clock=self._given_clock,
        )
        return make, (self._absolute,)


def serve(
    path: str | os.PathLike[str] | None,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    *,
    key: tuple[str, str] | None = None,
    no_auth: bool = False,
    region_name: str | None = None,
    relaxed: bool = False,
    on_ready: "Callable[[LocalServer], object] | None" = None,
) -> None:
    """The embedded SQS over HTTP, until SIGTERM, SIGINT or ``stop()`` of the server.

    Signals are heard where this is called in the main thread; the former handlers come back.

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
        Nobody has to sign, on any host.
    region_name :
        Of requests that are not signed; default: ``local``.
    relaxed :
        Purge again, and create again after a delete, without the 60 seconds that SQS asks for.
    on_ready :
        Called with the server when it answers: it has ``url``, ``port`` and ``stop()``, which may
        be called from any thread.

    Raises
    ------
    SettingsError
        The file or the address cannot be used, or others than programs of this machine would be
        let in without a key.
    Busy
        Another program holds the file, or listens there.
    """
    from sqsw.local.server import LocalServer, is_loopback

    if key is None and not no_auth and not is_loopback(host):
        raise SettingsError(
            f"{host!r} lets in whoever reaches it",
            why="it is no address of this machine alone, and no key is asked for",
            next="set SQSW_SERVE_ACCESS_KEY and SQSW_SERVE_SECRET_KEY, or say --no-auth",
        )
    session = (
        MemorySession(relaxed=relaxed) if path is None else LocalSession(path, relaxed=relaxed)
    )
    engine, region = session.engine, region_name or DEFAULT_REGION
    try:
        server = LocalServer(engine, host, port, key=None if no_auth else key, region=region)
    except OSError as error:
        session.close()
        raise _not_listening(error, host, port) from error
    try:
        server.run(lambda: on_ready and on_ready(server))
    finally:
        session.close()


@functools.cache
def _boto_session() -> Any:
    """One boto3 session for all of ours, since making one costs as much as a hundred calls.

    It needs no credentials, reads no files and knows no engine: clients are attached one by one.
    """
    import boto3.session
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    # A profile or a file that is named in the environment is meant for AWS; one that is missing
    # would be an error even here.
    nowhere = (None, None, None, None)
    core = botocore.session.Session(
        session_vars=dict.fromkeys(("profile", "config_file", "credentials_file"), nowhere)
    )
    core.set_credentials("local", "local")
    core.set_default_client_config(
        Config(
            signature_version=UNSIGNED,
            # Building botocore's own is a third of the time of a call.
            user_agent="sqsw",
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
        )
    )
    return boto3.session.Session(botocore_session=core, region_name=DEFAULT_REGION)


class _Seam:
    """Answers a client's requests; it must never return None, else they go to the network.

    Unsigned requests carry no region, and queues of one name in two regions are two: so the seam
    knows the region of its client.
    """

    def __init__(self, session: _EmbeddedSession, engine: LocalEngine, region_name: str) -> None:
        self._session, self._engine, self._region_name = session, engine, region_name

    def __call__(self, request: Any, **_: object) -> Any:
        from botocore.awsrequest import AWSResponse

        url = urlsplit(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        headers |= {"host": url.netloc, wire.REGION_HEADER: self._region_name}
        with self._session.told_errors():
            call = wire.Call(request.method, headers, request.body, url.scheme, url.path, url.query)
            answer = wire.answer(self._engine, call)
        answer_headers: Any = answer.headers  # it makes headers of its own out of any mapping
        return AWSResponse(request.url, answer.status, answer_headers, _RawBody(answer.body))


class _Peek:
    """Answers the event by which tools look at messages without receiving them."""

    def __init__(self, session: _EmbeddedSession, engine: LocalEngine, region_name: str) -> None:
        self._session, self._engine, self._region_name = session, engine, region_name

    def __call__(self, queue_url: str, after: int, limit: int, **_: object) -> Any:
        with self._session.told_errors():
            return self._engine.peek(queue_url, after=after, limit=limit, region=self._region_name)


class _RawBody:
    """The body as botocore reads it from a connection."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _make_directory(path: str) -> None:
    directory = Path(path).parent
    if directory.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    if directory.name == ".sqsw":
        # Queues of a developer's machine are nobody else's.
        (directory / ".gitignore").write_text("*\n")


def _not_listening(error: OSError, host: str, port: int) -> SQSError:
    if error.errno == errno.EADDRINUSE:
        return Busy(
            f"port {port} of {host} is in use by another program",
            why="only one program can listen on a port",
            next="stop it, name another port: --port N, or take a free one: --port 0",
        )
    return SettingsError(
        f"cannot listen on port {port} of {host}",
        why=error.strerror or str(error),
        next=f"name another address; {DEFAULT_HOST} is this machine alone",
    )


def _told(path: str, error: FileError | OSError) -> SQSError:
    """What happened to the file, why, and what to do."""
    if isinstance(error, OSError):
        return SettingsError(f"{path} cannot be used", why=str(error), next="name another file")
    if isinstance(error, FileLocked):
        return Busy(f"{path} is in use by another program", why=error.why, next=error.next)
    kind = SQSError if isinstance(error, FileFull | FileFailed) else SettingsError
    return kind(f"{path} cannot be used", why=error.why, next=error.next)
