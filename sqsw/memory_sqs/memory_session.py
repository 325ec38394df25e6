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
        Purge again, and create again after a delete, without the 60 seconds that SQS asks for.
    clock :
        Where the time comes from; default: a clock that ``clock.advance(minutes=20)`` moves.
    """

    def __init__(self, *, relaxed: bool = False, clock: Clock | None = None) -> None:
        self.clock: Any = MovableClock() if clock is None else clock
        self.engine = LocalEngine(None, clock=self.clock, relaxed=relaxed)


class MemorySession(EmbeddedSession):
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
        return self.aws.engine

    @property
    def clock(self) -> Any:
        """The time of these queues: ``session.clock.advance(minutes=20)`` moves it."""
        return self.aws.clock

    @property
    def location(self) -> str:
        return "memory"

    def __repr__(self) -> str:
        return f"MemorySession(region_name={self.region_name!r})"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a MemorySession lives in one process and cannot be pickled;"
            " LocalSession(path) is shared between processes"
        )
