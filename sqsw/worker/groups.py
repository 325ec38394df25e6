"""Message groups: one message at a time in order, or so many at a time."""

from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class GroupGate(Generic[T]):
    """Lets the first of each group through; used under the lock of the dispatcher.

    The items of a group stand in a line. The head has been let through; those behind it wait until
    it is finished.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}

    def admit(self, group: str, item: T) -> bool:
        """Put an item at the end of its group's line; True if it may run now."""
        line = self._lines.setdefault(group, deque())
        line.append(item)
        return len(line) == 1

    def finish(self, group: str, item: T) -> T | None:
        """The head succeeded and is gone from the queue: the next of its group, which may run."""
        line = self._lines.get(group)
        if line is None or line[0] is not item:
            return None
        line.popleft()
        if line:
            return line[0]
        del self._lines[group]
        return None

    def fail(self, group: str, item: T) -> list[T]:
        """An item failed or was lost: what stands behind it, none of which may run now.

        The item leaves the line as well, so a second call for it finds nothing.
        """
        line = self._lines.get(group)
        if line is None or item not in line:
            return []
        behind: list[T] = []
        while (last := line.pop()) is not item:
            behind.append(last)
        if not line:
            del self._lines[group]
        behind.reverse()
        return behind

    def holds(self, group: str, item: T) -> bool:
        """Whether the item stands in its line, at the head or behind."""
        return item in self._lines.get(group, ())

    def is_head(self, group: str | None, item: T) -> bool:
        """Whether the item was let through."""
        line = None if group is None else self._lines.get(group)
        return line is not None and line[0] is item

    def clear_waiting(self, keep: Callable[[T], bool]) -> list[T]:
        """Remove and return what is behind the heads and behind the last item to keep, in order."""
        waiting: list[T] = []
        for line in self._lines.values():
            taken: list[T] = []
            while len(line) > 1 and not keep(line[-1]):
                taken.append(line.pop())
            waiting.extend(reversed(taken))
        return waiting


class GroupLimit(Generic[T]):
    """Lets so many items of each group through; used under the lock of the dispatcher."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[T]] = {}

    def admit(self, group: str, item: T) -> bool:
        """Whether an item may go on; else it waits here."""
        if self._inside[group] < self._most:
            self._inside[group] += 1
            return True
        self._waiting.setdefault(group, deque()).append(item)
        return False

    def leave(self, group: str) -> T | None:
        """One that was let through is done: the next of its group, which may go on."""
        line = self._waiting.get(group)
        if line:
            following = line.popleft()
            if not line:
                del self._waiting[group]
            return following
        self._inside[group] -= 1
        if not self._inside[group]:
            del self._inside[group]
        return None

    def clear_waiting(self, keep: Callable[[T], bool]) -> list[T]:
        """Remove and return everything that waits, except the items to keep."""
        waiting: list[T] = []
        lines, self._waiting = self._waiting, {}
        for group, line in lines.items():
            waiting += [item for item in line if not keep(item)]
            if kept := deque(filter(keep, line)):
                self._waiting[group] = kept
        return waiting
