"""How many more messages may come in: one number for each lane, which is zero in a drain."""

import threading
from dataclasses import dataclass

#: jobs that run longer than this, in seconds, are not worth holding ready
_READY_WITHIN_SECONDS = 1.0

#: how much the newest run time counts in the moving average
_NEWEST = 0.1

#: messages of one lane that may wait for nothing but their group
MAX_PARKED = 500


@dataclass(slots=True)
class _Account:
    weight: int
    ready: int = 0
    asked: int = 0
    parked: int = 0
    run_seconds: float | None = None
    closed: bool = False


class Credits:
    """The credits of lanes that share some slots.

    A credit is the right to receive for one more call. The free slots, and the messages that may be
    held ready beyond them, are shared out among the lanes by weight. What one lane asks for in a
    long poll is not taken from the others: an idle queue would starve them for 20 seconds.

    ``take``, ``give_back`` and ``close`` may be called from any thread. The other methods keep the
    books of the dispatcher and are called by it, under the lock that both share.

    Parameters
    ----------
    weights :
        The weight of each lane.
    slots :
        Calls that run at once.
    prefetch :
        Messages held ready beyond the slots; None finds the number by the run time of the jobs.
    lock :
        The dispatcher's lock.
    """

    def __init__(
        self, weights: dict[str, int], slots: int, prefetch: int | None, lock: threading.Lock
    ) -> None:
        self._accounts = {name: _Account(weight) for name, weight in weights.items()}
        self._total_weight = sum(weights.values())
        self.slots = slots
        self._prefetch = prefetch
        self._changed = threading.Condition(lock)
        self._waiting: list[tuple[_Account, int]] = []
        self._ready = 0
        self.running = 0

    def take(self, lane_name: str, want: int, timeout: float) -> int:
        """Up to ``want`` credits; 0 after ``timeout`` seconds or once the lane is closed."""
        account = self._accounts[lane_name]
        with self._changed:
            granted = self._grant(account, want)
            if not granted and not account.closed:
                waiting = (account, want)
                self._waiting.append(waiting)
                self._changed.wait(timeout)
                self._waiting.remove(waiting)
                granted = self._grant(account, want)
            account.asked += granted
            return granted

    def give_back(self, lane_name: str, count: int) -> None:
        """The poll is over that these credits were taken for; what it brought has its own books."""
        with self._changed:
            self._accounts[lane_name].asked -= count
            self.tell()

    def close(self, lane_name: str) -> None:
        """No more credits for this lane."""
        with self._changed:
            self._accounts[lane_name].closed = True
            self._changed.notify_all()

    def waiting(self, lane_name: str) -> int:
        """Calls of a lane that wait, for a slot or for their group."""
        account = self._accounts[lane_name]
        return account.ready + account.parked

    def run_seconds(self, lane_name: str) -> float | None:
        """Return the average run time of a lane's jobs; None until the first job has ended."""
        return self._accounts[lane_name].run_seconds

    def has_free_slot(self) -> bool:
        """Whether one more call can run."""
        return self.running < self.slots

    def park(self, lane_name: str, count: int) -> None:
        """So many calls more (less, where negative) wait for nothing but their group."""
        self._accounts[lane_name].parked += count

    def add_ready(self, lane_name: str, count: int) -> None:
        """So many calls more (less, where negative) wait for a slot."""
        self._accounts[lane_name].ready += count
        self._ready += count

    def start(self, lane_name: str) -> None:
        """A ready call took a slot."""
        self.running += 1
        self.add_ready(lane_name, -1)

    def end(self, lane_name: str, run_seconds: float | None) -> None:
        """A call left its slot, after it ran for so long; None if it did not run."""
        self.running -= 1
        account = self._accounts[lane_name]
        if run_seconds is not None:
            average = account.run_seconds
            account.run_seconds = (
                run_seconds if average is None else average + _NEWEST * (run_seconds - average)
            )

    def still_runs(self, lane_name: str, run_seconds: float) -> bool:
        """A call has run for so long and has not ended; whether that is long enough to count.

        Slow jobs among quick ones would show only once they end, and messages would wait behind
        them meanwhile.
        """
        account = self._accounts[lane_name]
        average = account.run_seconds
        if average is None or run_seconds <= max(average, _READY_WITHIN_SECONDS):
            return False
        account.run_seconds = average + _NEWEST * (run_seconds - average)
        return True

    def tell(self) -> None:
        """Wake the pollers if one of them would get something now; called after each change."""
        # Looked at here, once a job: to wake a thread that has to wait on costs ten times as much.
        if self._waiting and any(self._grant(*waiting) for waiting in self._waiting):
            self._changed.notify_all()

    def _prefetch_of(self, account: _Account) -> int:
        if self._prefetch is not None:
            prefetch = self._prefetch
        elif account.run_seconds is None or account.run_seconds >= _READY_WITHIN_SECONDS:
            # Nothing until the first jobs have shown how long they take: a message that waits
            # here for a slow job is one that an idle worker elsewhere does not get.
            return 0
        else:
            most = 10 * self.slots
            quick = account.run_seconds * most <= self.slots
            prefetch = most if quick else int(self.slots / account.run_seconds)
        return prefetch * account.weight // self._total_weight

    def _grant(self, account: _Account, want: int) -> int:
        if account.closed:
            return 0
        prefetch = self._prefetch_of(account)
        room = max(0, prefetch - account.ready)
        free = self.slots - self.running - self._ready
        # A lane is owed one credit while a slot is free, and also while the slots go to messages of
        # other lanes that stand ready: those would otherwise never leave a slot free.
        owed = free > 0 or (account.ready == 0 and self._ready > 0)
        if free > 0:
            room += max(1, free * account.weight // self._total_weight)
        elif owed:
            room = max(1, room)
        granted = min(want, room - account.asked, MAX_PARKED - account.parked)
        # Ten at a time cost a tenth of the requests, so wait for them unless a slot stands idle.
        enough = 1 if owed else min(want, max(1, prefetch))
        return granted if granted >= enough else 0
