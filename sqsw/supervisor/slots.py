"""Slots for worker processes: the child in each, its successor, and the time of the next start.

This module only keeps track. The supervisor starts, signals and reaps the children.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqsw.core.contracts import Clock
from sqsw.supervisor.child import Child
from sqsw.supervisor.recycle import RecyclePolicy
from sqsw.worker.crash_notes import Orphan

#: seconds before a child is restarted: initial and maximum delay
_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS = 1.0, 30.0

#: after a run of this many seconds, the delay is reset to its initial value
_SOUND_SECONDS = 60.0


class ProcessSlot:
    """A slot for one child process, and for its successor until the child has ended.

    Attributes
    ----------
    arguments :
        The arguments of the slot's children.
    child, successor :
        The current child, and the one that takes over from it, or None.
    start_at :
        When the next child must start; None if no child is due.
    why :
        Why the child is being replaced.
    failed_starts :
        The number of children in a row that ended before they were ready and before a job ran, or
        reported an error.
    orphans :
        The messages that the next child must take over.
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
        self.orphans: Sequence[Orphan] = ()
        self._draw_limits()

    def children(self) -> list[Child]:
        return [child for child in (self.child, self.successor) if child is not None]

    def is_due(self) -> bool:
        return self.start_at is not None and self.start_at <= self._clock()

    def is_being_replaced(self) -> bool:
        return self.child is not None and (self.successor is not None or self.start_at is not None)

    def take_in(self, child: Child) -> None:
        self.start_at, self.orphans = None, ()
        if self.child is None:
            self.child = child
        else:
            self.successor = child

    def retire(self, child: Child) -> bool:
        """Remove an ended child; return whether another one must start."""
        was_successor = child is self.successor
        if not was_successor:
            self.child = self.successor
            self._draw_limits()
        self.successor = None
        return was_successor or self.child is None

    def start_later(self, child: Child) -> None:
        now = self._clock()
        has_failed = not (child.is_up or child.ran) or child.failed_by is not None
        self.failed_starts = self.failed_starts + 1 if has_failed else 0
        self._failures = 1 if now - child.started_at >= _SOUND_SECONDS else self._failures + 1
        seconds = _FIRST_RESTART_SECONDS * 2 ** min(self._failures - 1, 10)
        # The leases of orphans end soon.
        is_urgent = bool(self.orphans) and not has_failed
        self.start_at = now if is_urgent else now + min(_LAST_RESTART_SECONDS, seconds)

    def replace(self, why: str) -> None:
        self.why, self.start_at = why, self._clock()

    def restart(self) -> list[Child]:
        """Schedule a new child now, regardless of earlier failures; return the old ones."""
        leaving = self.children()
        self.child = self.successor = None
        self._failures, self.failed_starts, self.start_at = 0, 0, self._clock()
        self._draw_limits()
        return leaving

    def why_replace(self) -> str | None:
        """Return the part of the child that has halted, or the limit it has reached, or None."""
        child = self.child
        if child is None or child.pulse is None or not child.is_up:
            return None
        if child.pulse.halted is not None or self._limits is None:
            return child.pulse.halted
        return self._limits.reason(child.pulse, self._clock() - child.started_at)

    def _draw_limits(self) -> None:
        if self._recycle is not None:
            self._limits = self._recycle.with_jitter(self._chance)


class SlotTable:
    """All process slots, and the replaced children that are still draining.

    Attributes
    ----------
    is_quiet :
        Whether starts are suspended.
    """

    def __init__(self, slots: Sequence[ProcessSlot]) -> None:
        self._slots = slots
        self._leaving: list[Child] = []
        self._to_replace: list[Child] = []
        self._is_closed = False
        self.is_quiet = False

    def children(self) -> list[Child]:
        return [child for slot in self._slots for child in slot.children()] + self._leaving

    def due(self) -> list[ProcessSlot]:
        return [slot for slot in self._slots if not self.is_quiet and slot.is_due()]

    def next_start(self) -> float | None:
        moments = (slot.start_at for slot in self._slots if slot.start_at is not None)
        return min(moments, default=None)

    def is_hopeless(self, tries: int) -> bool:
        """Return whether no child is up and the last ``tries`` starts of each slot failed."""
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
        self._is_closed = True
        for slot in self._slots:
            slot.start_at = None

    def retire(self, child: Child, *, is_done: bool, orphans: Sequence[Orphan] = ()) -> None:
        """Remove an ended child; restart its slot unless the child is done.

        Parameters
        ----------
        orphans :
            The messages that the child leaves to the next one.
        """
        if child in self._leaving:
            self._leaving.remove(child)
            return
        slot = next(slot for slot in self._slots if child in slot.children())
        is_missing = slot.retire(child)
        if is_done:
            slot.start_at = None
        elif is_missing and not self._is_closed:
            slot.orphans = orphans
            slot.start_later(child)

    def replace_all(self) -> None:
        """Replace all children, one at a time; the new ones are not quiet."""
        self._to_replace = self.children()
        self.is_quiet = False

    def replace_ready(self) -> list[tuple[Child, str]]:
        """Return the children whose successor is up, and why they are replaced.

        Also schedules a successor for a child that has halted or reached a limit.
        """
        replaced = []
        for slot in self._slots:
            old, new = slot.child, slot.successor
            if old is None:
                continue
            if new is not None:
                if new.is_up and not old.asked:
                    replaced.append((old, slot.why))
            # Replace one at a time: two processes per slot would need twice the memory.
            elif not any(each.is_being_replaced() for each in self._slots):
                why = "SIGHUP" if old in self._to_replace else slot.why_replace()
                if why is not None:
                    slot.replace(why)
        return replaced

    def restart_all(self) -> list[Child]:
        """Schedule new children in all slots now; return the old ones."""
        leaving = [child for slot in self._slots for child in slot.restart()]
        self._leaving += leaving
        return leaving
