"""Message groups: in order on FIFO queues, with a limit of slots on standard queues."""

from collections import Counter, deque
from collections.abc import Callable, Iterable

from sqsw.worker.delivery import JobRun


class FifoGroups:
    """The line of runs of each message group of a FIFO queue.

    Only the head of a line runs. After its delete, the next run becomes the head. Only the register
    uses this, under its lock.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[JobRun]] = {}

    def join(self, run: JobRun) -> bool:
        """Put a run at the end of the line of its group; return whether it is the head."""
        line = self._lines.setdefault(run.group or "", deque())
        line.append(run)
        return len(line) == 1

    def line_of(self, run: JobRun) -> Iterable[JobRun]:
        """Return the line of a run's group, in order."""
        return self._lines.get(run.group or "", ())

    def advance(self, run: JobRun) -> JobRun | None:
        """Remove a head whose messages are gone from the queue; return the new head."""
        line = self._lines.get(run.group or "")
        if line is None or line[0] is not run:
            return None
        line.popleft()
        if line:
            return line[0]
        del self._lines[run.group or ""]
        return None

    def leave(self, run: JobRun) -> list[JobRun]:
        """Remove a run and all runs behind it; return those behind it, in order."""
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

    def take_followers(self, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        """Remove and return the runs behind the heads, in order.

        If ``keep`` is true for a run, it and the runs ahead of it stay.
        """
        waiting: list[JobRun] = []
        for line in self._lines.values():
            taken: list[JobRun] = []
            while len(line) > 1 and not keep(line[-1]):
                taken.append(line.pop())
            waiting.extend(reversed(taken))
        return waiting


class GroupSlots:
    """Limits how many runs of one message group run at a time, on a standard queue.

    Only the register uses this, under its lock.

    Parameters
    ----------
    most :
        The most slots for one group, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[JobRun]] = {}

    def enter(self, run: JobRun) -> bool:
        """Take a slot of its group for a run; if none is free, keep it here and return False."""
        group = run.fair_group or ""
        if self._inside[group] < self._most:
            self._inside[group] += 1
            return True
        self._waiting.setdefault(group, deque()).append(run)
        return False

    def leave(self, run: JobRun) -> JobRun | None:
        """Give back the slot of a run; return the run that takes it, if one waits."""
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
        """Remove a run that waits here; return False if it does not wait here."""
        line = self._waiting.get(run.fair_group or "", ())
        if run not in line:
            return False
        self._waiting[run.fair_group or ""].remove(run)
        if not line:
            del self._waiting[run.fair_group or ""]
        return True

    def take_all(self, keep: Callable[[JobRun], bool]) -> list[JobRun]:
        """Remove and return all waiting runs, except those for which ``keep`` is true."""
        taken = [run for line in self._waiting.values() for run in line if not keep(run)]
        for run in taken:
            self.remove(run)
        return taken
