"""The queues of the plain model, and their common clock."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.model.plain_queue import PlainQueue


class PlainSQS:
    """All queues, and the clock."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.queues: dict[str, PlainQueue] = {}
        self._ticks = 0

    def tick(self) -> int:
        """Return an increasing number, which orders events in the same millisecond."""
        self._ticks += 1
        return self._ticks

    def pass_time(self, milliseconds: int) -> None:
        """Move the clock, and stop at each time when something changes."""
        end = self.now + milliseconds
        queues = list(self.queues.values())
        moments = {moment for queue in queues for moment in queue.moments()}
        for moment in sorted({m for m in moments if self.now < m < end} | {end}):
            self.now = moment
            for queue in queues:
                queue.on_time()
