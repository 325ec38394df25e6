"""The queues of the plain model, and the time that they share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.model.plain_queue import PlainQueue


class PlainSQS:
    """All queues, and the time."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.queues: dict[str, PlainQueue] = {}
        self._ticks = 0

    def tick(self) -> int:
        """A number higher than all before: the order of what happens in one millisecond."""
        self._ticks += 1
        return self._ticks

    def pass_time(self, milliseconds: int) -> None:
        """Time passes moment by moment: nothing that ends in between is left out."""
        end = self.now + milliseconds
        queues = list(self.queues.values())
        moments = {moment for queue in queues for moment in queue.moments()}
        for moment in sorted({m for m in moments if self.now < m < end} | {end}):
            self.now = moment
            for queue in queues:
                queue.on_time()
