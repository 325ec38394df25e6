"""Received messages that wait for a slot; whoever comes next is decided at the pick."""

import threading
from collections import deque
from collections.abc import Sequence

from sqsw.core.settings import WorkerSettings
from sqsw.worker.credits import Credits
from sqsw.worker.lane import Call, Lane


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

    def add(self, call: Call) -> None:
        """Put a call at the end of its lane's line."""
        self._lines[call.lane.name].append(call)
        self.credits.add_ready(call.lane.name, 1)

    def pick(self) -> Call | None:
        """The next call, which now has a slot; None where no slot is free or nothing is ready."""
        if not self.credits.has_free_slot():
            return None
        name = self._next_lane()
        if name is None:
            return None
        self.credits.start(name)
        return self._lines[name].popleft()

    def clear(self, lane_name: str) -> list[Call]:
        """Take out all that a lane has ready."""
        calls = list(self._lines[lane_name])
        self._lines[lane_name].clear()
        self.credits.add_ready(lane_name, -len(calls))
        return calls

    def _next_lane(self) -> str | None:
        waiting = [name for name, line in self._lines.items() if line]
        if len(waiting) <= 1:
            return waiting[0] if waiting else None
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
