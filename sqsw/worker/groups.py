"""Message groups: one run at a time in order, or so many at a time."""

from collections import Counter, deque
from collections.abc import Callable, Iterable

from sqsw.worker.delivery import JobRun


class FifoGroups:
    """The line of each message group of a FIFO queue; used under the lock of the register.

    Only the head of a line may run. The next one is let through when the head was deleted.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[JobRun]] = {}

    def join(self, run: JobRun) -> bool:
        """Put a run at the end of its line; whether it is the head."""
        line = self._lines.setdefault(run.group or "", deque())
        line.append(run)
        return len(line) == 1

    def line_of(self, run: JobRun) -> Iterable[JobRun]:
        """The line of the group of a run, in order."""
        return self._lines.get(run.group or "", ())

    def advance(self, run: JobRun) -> JobRun | None:
        """Remove a head that is gone from the queue; return the new head."""
        line = self._lines.get(run.group or "")
        if line is None or line[0] is not run:
            return None
        line.popleft()
        if line:
            return line[0]
        del self._lines[run.group or ""]
        return None

    def leave(self, run: JobRun) -> list[JobRun]:
        """Remove a run that failed or was lost; return, in order, what stood behind it."""
        line = self._lines.get(run.group or "")
        if line is None or run not in line:
            return []
        behind: list[JobRun] = []
        while (last := line.pop()) is not run:
            behind.append(last)
        if not line:
            del self._lines[run.group or ""]
        behind.reverse()
        return behind

    def take_waiting(self, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        """Remove and return what is behind the heads and behind the last run to keep, in order."""
        waiting: list[JobRun] = []
        for line in self._lines.values():
            taken: list[JobRun] = []
            while len(line) > 1 and not keep(line[-1]):
                taken.append(line.pop())
            waiting.extend(reversed(taken))
        return waiting


class GroupSlots:
    """Lets so many runs of each message group run at a time; used under the lock of the register.

    Parameters
    ----------
    most :
        Slots that one group may hold, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[JobRun]] = {}

    def enter(self, run: JobRun) -> bool:
        """Whether a run may go on; otherwise it waits here."""
        group = run.fair_group or ""
        if self._inside[group] < self._most:
            self._inside[group] += 1
            return True
        self._waiting.setdefault(group, deque()).append(run)
        return False

    def leave(self, run: JobRun) -> JobRun | None:
        """Note the end of a run that was let through; return the run that takes its place."""
        group = run.fair_group or ""
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

    def remove(self, run: JobRun) -> bool:
        """Remove a run that waits here; whether it did."""
        line = self._waiting.get(run.fair_group or "", ())
        if run not in line:
            return False
        self._waiting[run.fair_group or ""].remove(run)
        if not line:
            del self._waiting[run.fair_group or ""]
        return True

    def take_waiting(self, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        """Remove and return everything that waits, except the runs to keep."""
        taken = [run for line in self._waiting.values() for run in line if not keep(run)]
        for run in taken:
            self.remove(run)
        return taken
