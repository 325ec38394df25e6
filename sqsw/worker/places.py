"""A place for one child after the other: when the next one is to be started, and why."""

from collections.abc import Callable
from typing import Any

from sqsw.core.contracts import Clock
from sqsw.worker.children import Child
from sqsw.worker.recycling import RecyclePolicy

#: seconds before a child is replaced, at first and at most
_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS = 1.0, 30.0

#: seconds: a child that lived this long begins anew with the first of those
_SOUND_SECONDS = 60.0


class Place:
    """A place for one child after the other, and for its successor while both are there.

    Attributes
    ----------
    arguments :
        What its children are given.
    child, successor :
        Who works, and who is to take over; None where there is nobody.
    start_at :
        When another one is to be started; None: not at all.
    why :
        Why there is a successor.
    failed_starts :
        Children in a row that ended before they were ready, or with an error that they reported.
    """

    def __init__(
        self,
        arguments: tuple[Any, ...],
        recycle: RecyclePolicy | None,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self.arguments = arguments
        self._recycle, self._clock, self._chance = recycle, clock, chance
        self.child: Child | None = None
        self.successor: Child | None = None
        self.start_at: float | None = clock()
        self.why = ""
        self._limits: RecyclePolicy | None = None
        self._failures = 0
        self.failed_starts = 0
        self._draw_limits()

    def children(self) -> list[Child]:
        """Who is there."""
        return [child for child in (self.child, self.successor) if child is not None]

    def is_due(self) -> bool:
        """Whether another one is to be started now."""
        return self.start_at is not None and self.start_at <= self._clock()

    def is_taking_turns(self) -> bool:
        """Whether there is a successor, or is to be one."""
        return self.child is not None and (self.successor is not None or self.start_at is not None)

    def take_in(self, child: Child) -> None:
        """A child was started."""
        self.start_at = None
        if self.child is None:
            self.child = child
        else:
            self.successor = child

    def let_go(self, child: Child) -> bool:
        """A child has ended; whether somebody is missing now."""
        was_successor = child is self.successor
        if not was_successor:
            self.child = self.successor
            self._draw_limits()
        self.successor = None
        return was_successor or self.child is None

    def start_later(self, child: Child) -> None:
        """Start another one after this one has failed, the later the more have."""
        now = self._clock()
        has_failed = not child.is_up or child.failed_by is not None
        self.failed_starts = self.failed_starts + 1 if has_failed else 0
        self._failures = 1 if now - child.started_at >= _SOUND_SECONDS else self._failures + 1
        seconds = _FIRST_RESTART_SECONDS * 2 ** min(self._failures - 1, 10)
        self.start_at = now + min(_LAST_RESTART_SECONDS, seconds)

    def replace(self, why: str) -> None:
        """Start a successor."""
        self.why, self.start_at = why, self._clock()

    def begin_anew(self) -> list[Child]:
        """Start another one now, whatever became of the former ones; those who are there leave."""
        leaving = self.children()
        self.child = self.successor = None
        self._failures, self.failed_starts, self.start_at = 0, 0, self._clock()
        self._draw_limits()
        return leaving

    def has_served(self) -> str | None:
        """Why its child has served long enough; None: it has not."""
        child = self.child
        if self._limits is None or child is None or child.pulse is None or not child.is_up:
            return None
        return self._limits.reason(child.pulse, self._clock() - child.started_at)

    def _draw_limits(self) -> None:
        if self._recycle is not None:
            self._limits = self._recycle.with_jitter(self._chance)
