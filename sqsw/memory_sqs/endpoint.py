"""An HTTP server for tests, in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from sqsw.core.errors import SQSError
from sqsw.local.engine import DEFAULT_REGION
from sqsw.memory_sqs.addresses import DEFAULT_HOST, check_server_installed
from sqsw.memory_sqs.embedded_session import EmbeddedSession
from sqsw.memory_sqs.memory_session import MemorySession

#: seconds between two checks that a starting server is alive
_LOOK_SECONDS = 0.1
#: seconds that the server has to stop: longer than its grace period for requests in progress
_END_SECONDS = 8


class Endpoint:
    """A server whose address stays the same while the sessions behind it change.

    So clients that an application creates once stay usable from one test to the next. Between two
    sessions, the server has no queues.

    Parameters
    ----------
    region_name :
        The region of unsigned requests; default: ``local``.
    port :
        The port to listen on. If it is 0 or in use, the server chooses a free one.

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
        except OSError:  # the port is in use
            self._server = make(port=0)
        self.url, self.port = self._server.url, self._server.port
        ready = threading.Event()
        # A daemon, so a process that exits without close() does not wait for it.
        self._thread = threading.Thread(
            target=self._server.run, args=(ready.set,), name="sqsw-endpoint", daemon=True
        )
        self._thread.start()
        while not ready.wait(_LOOK_SECONDS):
            if not self._thread.is_alive():
                raise SQSError(
                    "the endpoint did not start",
                    why="its thread failed",
                    next="see the thread's traceback above",
                )

    @contextmanager
    def showing(self, session: EmbeddedSession) -> Iterator[None]:
        """Answer requests from this session's queues inside the ``with`` block."""
        self._server.answer_from(session.engine)
        try:
            yield
        finally:
            self._server.answer_from(self._nothing.engine)

    def close(self) -> None:
        """Stop the server and wait until it has stopped.

        Raises
        ------
        SQSError
            It did not stop within eight seconds. Its thread runs until the process ends.
        """
        self._server.stop()
        self._thread.join(_END_SECONDS)
        self._nothing.close()
        if self._thread.is_alive():
            raise SQSError(
                f"the server at {self.url} did not stop within {_END_SECONDS} seconds",
                why="something in this process blocks its thread, or has replaced parts of asyncio",
                next="look for a test that does this and does not undo it",
            )
