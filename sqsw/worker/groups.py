"""One message of a message group at a time, in order."""

from collections import deque
from collections.abc import Hashable
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

    def clear_waiting(self) -> list[T]:
        """Take out everything behind the heads, in order."""
        waiting: list[T] = []
        for line in self._lines.values():
            head = line.popleft()
            waiting.extend(line)
            line.clear()
            line.append(head)
        return waiting
