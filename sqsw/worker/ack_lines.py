"""What SQS is still to be told: in lines by queue and action, and when it is time to."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.worker.lane import Lane

NEVER = float("inf")


@dataclass(slots=True, eq=False)
class Ack:
    """One thing to tell.

    Attributes
    ----------
    hidden_seconds :
        How long to hide the message; None deletes it.
    started :
        Whether its job had started.
    due :
        The latest time to send it, in seconds of the acknowledger's clock.
    """

    lane: Lane
    message: Message
    hidden_seconds: int | None
    started: bool
    due: float
    attempts: int = 0


class AckLines:
    """Deletes and returns of each lane, in order; used under the lock of the acknowledger."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, bool], deque[Ack]] = {}
        self._later: list[tuple[float, int, Ack]] = []
        self._numbers = count()

    def add(self, acks: Sequence[Ack]) -> int:
        """Put these, which are of one lane and action, at the end; how many stand there now."""
        line = self._line_of(acks[0])
        line.extend(acks)
        return len(line)

    def add_later(self, ack: Ack) -> None:
        """Keep one back until it is due."""
        heapq.heappush(self._later, (ack.due, next(self._numbers), ack))

    def take(self, now: float, enough: int) -> list[Ack] | None:
        """A batch that is due, or whose line holds ``enough``; None where there is none."""
        while self._later and self._later[0][0] <= now:
            _, _, ack = heapq.heappop(self._later)
            self._line_of(ack).appendleft(ack)
        chosen: deque[Ack] | None = None
        for line in self._lines.values():
            if (
                line
                and (len(line) >= enough or line[0].due <= now)
                and (chosen is None or line[0].due < chosen[0].due)
            ):
                chosen = line
        return None if chosen is None else _batch_of(chosen)

    def take_full(self, lane_name: str) -> list[Ack] | None:
        """Ten deletes of a lane, where there are as many."""
        line = self._lines.get((lane_name, True))
        return _batch_of(line) if line is not None and len(line) >= MAX_BATCH_ENTRIES else None

    def take_all(self) -> list[Ack]:
        """All there is, also what was kept back."""
        left, self._later = [ack for _, _, ack in self._later], []
        for line in self._lines.values():
            left += line
            line.clear()
        return left

    def next_due(self) -> float:
        """Return when the next one is due, in seconds of the acknowledger's clock."""
        dues = [line[0].due for line in self._lines.values() if line]
        if self._later:
            dues.append(self._later[0][0])
        return min(dues, default=NEVER)

    def _line_of(self, ack: Ack) -> deque[Ack]:
        return self._lines.setdefault((ack.lane.name, ack.hidden_seconds is None), deque())


def _batch_of(line: deque[Ack]) -> list[Ack]:
    return [line.popleft() for _ in range(min(MAX_BATCH_ENTRIES, len(line)))]
