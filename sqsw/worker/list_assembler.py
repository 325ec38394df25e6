"""Assembles the lists of messages that one function call takes."""

from sqsw.core.jobs.current_job import RunsIn
from sqsw.worker.delivery import JobRun
from sqsw.worker.lane import Lane

#: what the messages of one list share
_Key = tuple[RunsIn, str | None, str | None]


class ListAssembler:
    """The lists of one lane that wait for more messages; used under the lock of the register.

    A list is for one executor. On a FIFO queue, it is of one group and one job, because what comes
    after a failed message may not run; and it waits for nothing, because no more of its group can
    come before it is gone.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._lists: dict[_Key, tuple[float, JobRun]] = {}
        self._is_held = False

    def __len__(self) -> int:
        return len(self._lists)

    def add(self, run: JobRun, now: float) -> list[JobRun]:
        """Add the message of a run; return the lists that are complete now, in order."""
        lane, (delivery,) = self._lane, run.deliveries
        complete: list[JobRun] = []
        job_name = delivery.job.name if lane.is_fifo else None
        key = (run.runs_in, run.group or run.fair_group, job_name)
        if lane.is_fifo:
            # In order: a list of another job of this group goes first.
            others = [each for each in self._lists if each[1] == key[1] and each != key]
            complete += [self._lists.pop(each)[1] for each in others]
        if key in self._lists:
            delivery.run = self._lists[key][1]
            delivery.run.deliveries.append(delivery)
        else:
            self._lists[key] = (now + (0.0 if lane.is_fifo else lane.max_wait_seconds), run)
        if len(self._lists[key][1].deliveries) >= lane.batch_size:
            complete.append(self._lists.pop(key)[1])
        return complete

    def hold(self, more: bool) -> None:
        """Keep lists, however long they have waited, if more messages follow at once."""
        self._is_held = more and not self._lane.is_fifo

    def take_due(self, now: float) -> list[JobRun]:
        """The lists that have waited long enough."""
        if not self._lists or self._is_held:
            return []
        due = [key for key, (at, _) in self._lists.items() if at <= now]
        return [self._lists.pop(key)[1] for key in due]

    def take_all(self) -> list[JobRun]:
        """All lists, as they are."""
        runs = [run for _, run in self._lists.values()]
        self._lists.clear()
        return runs

    def remove_empty(self) -> None:
        """Remove the lists whose messages were all lost."""
        self._lists = {key: entry for key, entry in self._lists.items() if entry[1].deliveries}

    def next_due(self) -> float | None:
        """Return when the next list must start, in seconds of the worker's clock."""
        return min((at for at, _ in self._lists.values()), default=None)
