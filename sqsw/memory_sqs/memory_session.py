"""A session on queues in memory."""

from typing import Any

from sqsw.local.engine import LocalEngine
from sqsw.local.store.clock import Clock, MovableClock
from sqsw.memory_sqs.embedded_session import EmbeddedSession


class MemoryAWS:
    """The queues of one or more memory sessions.

    Parameters
    ----------
    relaxed :
        Allow a second purge, or creating a deleted queue again, within the 60 seconds that SQS
        enforces.
    clock :
        A function that returns seconds since 1970. Default: a clock that tests move with
        ``clock.advance(minutes=20)``.
    """

    def __init__(self, *, relaxed: bool = False, clock: Clock | None = None) -> None:
        self.clock: Any = MovableClock() if clock is None else clock
        self.engine = LocalEngine(None, clock=self.clock, relaxed=relaxed)


class MemorySession(EmbeddedSession):
    """A session on queues in memory, which exist as long as the session.

    Parameters
    ----------
    aws :
        The queues. Sessions with the same ``aws`` share them. Default: no queues yet, not shared.
    region_name :
        Default: ``local``.
    relaxed, clock :
        See :class:`MemoryAWS`. Ignored if ``aws`` is given.
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
        return self.aws.engine

    @property
    def clock(self) -> Any:
        """The clock of these queues; move it with ``session.clock.advance(minutes=20)``."""
        return self.aws.clock

    @property
    def location(self) -> str:
        return "memory"

    def __repr__(self) -> str:
        return f"MemorySession(region_name={self.region_name!r})"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a MemorySession lives in one process and cannot be pickled;"
            " to share queues between processes, use LocalSession(path)"
        )
