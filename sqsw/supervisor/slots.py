"""The slots of worker processes: who works in each, who takes over, and when the next one starts.

It keeps the books only: children are started, signaled and reaped by the supervisor.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqsw.core.contracts import Clock
from sqsw.supervisor.child import Child
from sqsw.supervisor.recycle import RecyclePolicy

#: seconds before a child is replaced, at first and at most
_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS = 1.0, 30.0

#: seconds: a child that lived this long begins anew with the first of those
_SOUND_SECONDS = 60.0


class ProcessSlot:
    """One position that is always staffed: by a child, and by its successor while both are there.

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

    def is_being_replaced(self) -> bool:
        """Whether there is a successor, or is to be one."""
        return self.child is not None and (self.successor is not None or self.start_at is not None)

    def take_in(self, child: Child) -> None:
        """A child was started."""
        self.start_at = None
        if self.child is None:
            self.child = child
        else:
            self.successor = child

    def retire(self, child: Child) -> bool:
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

    def restart(self) -> list[Child]:
        """Start another child now, whatever became of the former ones; return those who leave."""
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


class SlotTable:
    """All process slots, and the children that leave because others have started for them.

    Attributes
    ----------
    is_quiet :
        Whether nobody is started for the time being.
    """

    def __init__(self, slots: Sequence[ProcessSlot]) -> None:
        self._slots = slots
        self._leaving: list[Child] = []
        self._to_replace: list[Child] = []
        self._is_closed = False
        self.is_quiet = False

    def children(self) -> list[Child]:
        """Who is there."""
        return [child for slot in self._slots for child in slot.children()] + self._leaving

    def due(self) -> list[ProcessSlot]:
        """Places in which somebody is to be started now."""
        return [slot for slot in self._slots if not self.is_quiet and slot.is_due()]

    def next_start(self) -> float | None:
        """When somebody is to be started; None: nobody is waited for."""
        moments = (slot.start_at for slot in self._slots if slot.start_at is not None)
        return min(moments, default=None)

    def is_hopeless(self, tries: int) -> bool:
        """Return whether no child is up, and the last ``tries`` of each slot did not get ready."""
        staffed = [slot for slot in self._slots if slot.start_at is not None or slot.children()]
        return (
            bool(staffed)
            and not any(child.is_up for child in self.children())
            and all(slot.failed_starts >= tries for slot in staffed)
        )

    def wait_for_change(self) -> None:
        """Start no child until ``restart_all``."""
        for slot in self._slots:
            slot.start_at = None

    def close(self) -> None:
        """Nobody is started any more."""
        self._is_closed = True
        for slot in self._slots:
            slot.start_at = None

    def retire(self, child: Child, *, is_done: bool) -> None:
        """A child has ended; where it is done nobody follows."""
        if child in self._leaving:
            self._leaving.remove(child)
            return
        slot = next(slot for slot in self._slots if child in slot.children())
        is_missing = slot.retire(child)
        if is_done:
            slot.start_at = None
        elif is_missing and not self._is_closed:
            slot.start_later(child)

    def replace_all(self) -> None:
        """Replace all who are there, one after the other; those who come are not quiet."""
        self._to_replace = self.children()
        self.is_quiet = False

    def replace_ready(self) -> list[tuple[Child, str]]:
        """Return the children whose successor is up, and why.

        A child that has served long enough is given a successor.
        """
        replaced = []
        for slot in self._slots:
            old, new = slot.child, slot.successor
            if old is None:
                continue
            if new is not None:
                if new.is_up and not old.asked:
                    replaced.append((old, slot.why))
            # One at a time: two processes for each slot would need twice the memory.
            elif not any(each.is_being_replaced() for each in self._slots):
                why = "SIGHUP" if old in self._to_replace else slot.has_served()
                if why is not None:
                    slot.replace(why)
        return replaced

    def restart_all(self) -> list[Child]:
        """Start other children now in all slots; return those who leave for them."""
        leaving = [child for slot in self._slots for child in slot.restart()]
        self._leaving += leaving
        return leaving
