"""Queues over HTTP while a test runs: a server on a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from sqsw.core.errors import SQSError
from sqsw.local.engine import DEFAULT_REGION
from sqsw.memory_sqs.addresses import DEFAULT_HOST, check_server_installed
from sqsw.memory_sqs.embedded_session import EmbeddedSession
from sqsw.memory_sqs.memory_session import MemorySession

#: seconds between two looks whether a server that begins is still alive
_LOOK_SECONDS = 0.1
#: seconds that the server has to end: longer than its grace for the requests in progress
_END_SECONDS = 8


class Endpoint:
    """One address at which one session after the other can be reached; empty in between.

    Clients that an application made once and keeps stay usable from one test to the next.

    Parameters
    ----------
    region_name :
        Of requests that are not signed; default: ``local``.
    port :
        Where to listen, unless somebody else does by now; 0, or then: a free one.

    Raises
    ------
    SettingsError
        uvicorn is not installed.
    SQSError
        The server did not start.
    """

    def __init__(self, region_name: str = DEFAULT_REGION, port: int = 0) -> None:
        check_server_installed()
        from sqsw.local.http.server import LocalServer

        self._nothing = MemorySession()
        make = partial(LocalServer, self._nothing.engine, DEFAULT_HOST, region=region_name)
        try:
            self._server = make(port=port)
        except OSError:  # taken meanwhile, by whom we cannot know
            self._server = make(port=0)
        self.url, self.port = self._server.url, self._server.port
        ready = threading.Event()
        # A daemon: a process that ends without close() does not wait for it.
        self._thread = threading.Thread(
            target=self._server.run, args=(ready.set,), name="sqsw-endpoint", daemon=True
        )
        self._thread.start()
        while not ready.wait(_LOOK_SECONDS):
            if not self._thread.is_alive():
                raise SQSError("the endpoint did not start", why="its thread ended; see above")

    @contextmanager
    def showing(self, session: EmbeddedSession) -> Iterator[None]:
        """Entered, requests are answered from the queues of this session."""
        self._server.answer_from(session.engine)
        try:
            yield
        finally:
            self._server.answer_from(self._nothing.engine)

    def close(self) -> None:
        """End the server, and wait for it.

        Raises
        ------
        SQSError
            It did not end within eight seconds. Its thread runs until the process ends.
        """
        self._server.stop()
        self._thread.join(_END_SECONDS)
        self._nothing.close()
        if self._thread.is_alive():
            raise SQSError(
                f"the server at {self.url} did not stop within {_END_SECONDS} seconds",
                why="something in this process blocks its thread, or has replaced parts of asyncio",
                next="look for a test that leaves such a change behind",
            )
