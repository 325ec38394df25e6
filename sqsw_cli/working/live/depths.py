"""Read queue depths for the live view, in a thread, so a slow response blocks nothing else.

Every five seconds, the thread reads each queue and its dead-letter queue. A queue that could not be
read is read again after 30 seconds, and its error is logged once.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqsw.core.contracts import Clock
from sqsw.core.errors import SQSError
from sqsw.core.safe_logger import log_event
from sqsw_cli.working.live.figures import Depth

if TYPE_CHECKING:
    from sqsw.sqs_manage.depth import DepthReader, QueueDepth

logger = logging.getLogger("sqsw.worker")

#: seconds between two rounds, and until a queue that could not be read is read again
ROUND_SECONDS, AGAIN_SECONDS = 5.0, 30.0

#: seconds before the first round, so the worker can make its own requests first
_FIRST_SECONDS = 0.5
#: maximum seconds that the last round can delay the end
_LAST_SECONDS = 1.0


class Depths:
    def __init__(
        self,
        reader: "DepthReader",
        queues: Mapping[str, str],
        tell: Callable[[str, Depth], None],
        is_up: threading.Event,
        clock: Clock = time.monotonic,
    ) -> None:
        self._reader = reader
        self._queues = queues
        self._tell = tell
        self._is_up = is_up
        self._clock = clock
        self._again_at: dict[str, float] = {}
        self._said: set[str] = set()
        self._ending = threading.Event()
        self._asks_at_end = False
        self._thread = threading.Thread(target=self._work, name="sqsw-depths", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._asks_at_end = self._is_up.is_set()
        self._ending.set()
        self._is_up.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST_SECONDS)

    def round(self) -> None:
        letters: dict[str, int | None] = {}
        for name, text in self._queues.items():
            depth = self._ask(text, name)
            if depth is None:
                self._tell(name, Depth())
                continue
            arn = depth.dead_letter_arn
            if arn is not None and arn not in letters:
                dead = self._ask(arn, arn.rpartition(":")[2])
                letters[arn] = None if dead is None else dead.ready
            dead_ones = letters[arn] if arn is not None else None
            self._tell(name, Depth(depth.ready, depth.in_flight, dead_ones, arn is not None, arn))

    def _ask(self, queue: str, name: str) -> "QueueDepth | None":
        if self._clock() < self._again_at.get(queue, 0.0):
            return None
        try:
            return self._reader.read(queue)
        except SQSError as error:
            # SQS may be throttling requests, and these can wait.
            self._again_at[queue] = self._clock() + AGAIN_SECONDS
            if queue not in self._said:
                self._said.add(queue)
                log_event(
                    *(logger, logging.WARNING, "depth_unknown"), queue=name, reason=error.summary
                )
            return None

    def _work(self) -> None:
        self._is_up.wait()
        wait = _FIRST_SECONDS
        try:
            while not self._ending.wait(wait):
                self.round()
                wait = ROUND_SECONDS
            if self._asks_at_end:
                self.round()
        except BaseException:
            if self._ending.is_set():
                return  # the client can be closed by now, and the view has ended
            for name in self._queues:  # show no figures rather than old ones
                self._tell(name, Depth())
            raise
