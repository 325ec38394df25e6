"""Call the engine of the embedded SQS directly, without HTTP and botocore."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from sqsw.core.calls import NotPlain
from sqsw.local.engine import DEFAULT_ORIGIN, LocalEngine
from sqsw.local.errors import ServiceError
from sqsw.local.operations.peeking import Peek
from sqsw.local.protocol.wire import origin_of
from sqsw.memory_sqs.file_errors import told_errors


class DirectCalls:
    """Calls an engine, for the queues of one region.

    Parameters
    ----------
    engine :
        The embedded SQS.
    region :
        The region of the queues. Queues with the same name in two regions are separate.
    endpoint_url :
        The start of queue URLs; None for the engine's default.
    path :
        The path of the file, for errors; None if the queues are in memory.
    on_request :
        Called with the action of every successful call.
    """

    def __init__(
        self,
        engine: LocalEngine,
        region: str,
        endpoint_url: str | None,
        path: str | None,
        on_request: Callable[[str], object],
    ) -> None:
        self.region = region
        parts = urlsplit(endpoint_url or DEFAULT_ORIGIN)
        self.origin = origin_of(parts.scheme, parts.netloc)
        self._engine, self._path, self._on_request = engine, path, on_request

    def call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make one call; see :class:`~sqsw.core.calls.Calls`.

        Raises
        ------
        NotPlain
            SQS would answer with an error.
        SQSError
            The file cannot be used.
        """
        with told_errors(self._path):
            try:
                answer = self._engine.handle(action, params, region=self.region, origin=self.origin)
            except ServiceError as error:
                raise NotPlain(str(error)) from error
        self._on_request(action)
        return answer

    def peek(self, queue_url: str, after: int, limit: int, *, hidden: bool = False) -> Peek:
        """Return messages without receiving them; see :meth:`LocalEngine.peek`."""
        with told_errors(self._path):
            return self._engine.peek(
                queue_url, after=after, limit=limit, hidden=hidden, region=self.region
            )

    def discard(self, queue_url: str, message_id: str, *, in_flight: bool = True) -> bool:
        """Delete a message by its ID; see :meth:`LocalEngine.discard`."""
        with told_errors(self._path):
            return self._engine.discard(
                queue_url, message_id, in_flight=in_flight, region=self.region
            )

    def seconds_until_due(self, queue_url: str) -> float | None:
        """Return the seconds until one is due; see :meth:`LocalEngine.seconds_until_due`."""
        with told_errors(self._path):
            return self._engine.seconds_until_due(queue_url, region=self.region)

    def end_polls(self) -> None:
        """End the waiting receives of this process; they return no messages."""
        self._engine.end_polls()
