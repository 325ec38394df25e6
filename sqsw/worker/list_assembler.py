"""Assembles the lists of messages for functions that take lists."""

from sqsw.core.jobs.current_job import RunsIn
from sqsw.worker.delivery import JobRun
from sqsw.worker.lane import Lane

#: what the messages of one list share
_Key = tuple[RunsIn, str | None, str | None]


class ListAssembler:
    """The lists of one lane that wait for more messages.

    A list runs in one executor. On a FIFO queue, all its messages are of one group and one job,
    because messages behind a failed one must not run. Such a list does not wait, because SQS
    delivers no more of the group before the list is gone.

    Only the register uses this, under its lock.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._lists: dict[_Key, tuple[float, JobRun]] = {}
        self._is_open = False

    def __len__(self) -> int:
        return len(self._lists)

    def add(self, run: JobRun, now: float) -> list[JobRun]:
        """Add the message of a run to a list; return the lists that are complete now, in order."""
        lane, (delivery,) = self._lane, run.deliveries
        complete: list[JobRun] = []
        job_name = delivery.job.name if lane.is_fifo else None
        key = (run.runs_in, run.group or run.fair_group, job_name)
        if lane.is_fifo:
            # A list of another job of this group came before, so it starts first.
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

    def keep_open(self, more: bool) -> None:
        """Keep lists past their time if ``more`` messages follow at once."""
        self._is_open = more and not self._lane.is_fifo

    def take_due(self, now: float) -> list[JobRun]:
        """Remove and return the lists that have waited long enough."""
        if not self._lists or self._is_open:
            return []
        due = [key for key, (at, _) in self._lists.items() if at <= now]
        return [self._lists.pop(key)[1] for key in due]

    def take_all(self) -> list[JobRun]:
        """Remove and return all lists, full or not."""
        runs = [run for _, run in self._lists.values()]
        self._lists.clear()
        return runs

    def remove_empty(self) -> None:
        """Remove the lists whose messages were all lost."""
        self._lists = {key: entry for key, entry in self._lists.items() if entry[1].deliveries}

    def next_due(self) -> float | None:
        """Return when the next list must start, in seconds of the worker's clock; None: no list."""
        return min((at for at, _ in self._lists.values()), default=None)
