"""Received messages that wait for a slot; whoever comes next is decided at the pick."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from sqsw.core.settings import WorkerSettings
from sqsw.worker.credits import Credits
from sqsw.worker.groups import GroupLimit
from sqsw.worker.lane import Call, Lane


def _always(lane: Lane, count: int) -> bool:
    return True


class ReadyMessages:
    """The calls that some lanes have ready for the slots that they share.

    Weights are applied when a slot picks, so an empty heavy queue never delays a light one. Used
    under the lock of the dispatcher.
    """

    def __init__(self, lanes: Sequence[Lane], credits: Credits) -> None:
        self.credits = credits
        self._lines: dict[str, deque[Call]] = {lane.name: deque() for lane in lanes}
        self._weights = {lane.name: lane.share.weight for lane in lanes}
        self._turns = dict.fromkeys(self._lines, 0)
        self._limits: dict[str, GroupLimit[Call]] = {
            lane.name: GroupLimit(lane.share.group_slots)
            for lane in lanes
            if lane.share.group_slots is not None
        }

    def add(self, call: Call) -> None:
        """Put a call at the end of its lane's line, or aside while its group has all its slots."""
        if call.fair_group is not None and not self._limits[call.lane.name].admit(
            call.fair_group, call
        ):
            # No credit is held by what could not run if a slot were free.
            self.credits.park(call.lane.name, 1)
            return
        self._add(call)

    def _add(self, call: Call) -> None:
        self._lines[call.lane.name].append(call)
        self.credits.add_ready(call.lane.name, 1)

    def pick(self, may_start: Callable[[Lane, int], bool] = _always) -> Call | None:
        """The next call, which now has a slot; None where no slot is free or nothing is ready.

        ``may_start`` is asked whether so many jobs of a lane may start, and counts them if so.
        """
        if not self.credits.has_free_slot():
            return None
        waiting = [name for name, line in self._lines.items() if line]
        while waiting:
            name = self._next_lane(waiting)
            line = self._lines[name]
            if may_start(line[0].lane, len(line[0].messages)):
                self.credits.start(name)
                return line.popleft()
            waiting.remove(name)
        return None

    def end(self, call: Call, run_seconds: float | None) -> None:
        """A call left its slot, after it ran for so long; None if it did not run."""
        self.credits.end(call.lane.name, run_seconds)
        self._leave_group(call)

    def clear(self, lane_name: str, keep: Callable[[Call], bool]) -> list[Call]:
        """Remove and return everything that a lane has ready, except the calls to keep."""
        line = self._lines[lane_name]
        calls = [call for call in line if not keep(call)]
        self._lines[lane_name] = deque(filter(keep, line))
        self.credits.add_ready(lane_name, -len(calls))
        limit = self._limits.get(lane_name)
        if limit is not None:
            aside = limit.clear_waiting(keep)
            self.credits.park(lane_name, -len(aside))
            for call in calls:
                self._leave_group(call)
            calls += aside
        return calls

    def _leave_group(self, call: Call) -> None:
        if call.fair_group is not None:
            following = self._limits[call.lane.name].leave(call.fair_group)
            if following is not None:
                self.credits.park(call.lane.name, -1)
                self._add(following)

    def _next_lane(self, waiting: Sequence[str]) -> str:
        if len(waiting) == 1:
            return waiting[0]
        # Smooth weighted round robin: weights 3 and 1 give A A B A, not A A A B.
        for name in waiting:
            self._turns[name] += self._weights[name]
        chosen = max(waiting, key=self._turns.__getitem__)
        self._turns[chosen] -= sum(self._weights[name] for name in waiting)
        return chosen


def make_pools(
    lanes: Sequence[Lane], settings: WorkerSettings, lock: threading.Lock
) -> list[tuple[list[Lane], ReadyMessages]]:
    """The lanes that share the slots of the worker, and each one that has slots of its own.

    ``lock`` is the dispatcher's.
    """
    shared = [lane for lane in lanes if lane.share.slots is None]
    pools = [(shared, settings.concurrency)] if shared else []
    pools += [([lane], lane.share.slots) for lane in lanes if lane.share.slots is not None]
    total = sum(slots for _, slots in pools)
    made = []
    for pool, slots in pools:
        prefetch = settings.prefetch
        if prefetch is not None:
            prefetch = prefetch * slots // total
        weights = {lane.name: lane.share.weight for lane in pool}
        made.append((pool, ReadyMessages(pool, Credits(weights, slots, prefetch, lock))))
    return made
