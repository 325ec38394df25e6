"""Coroutines on one event loop, which has a thread of its own."""

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Sequence

from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.executors.base import OnDone, Runnable

logger = SafeLogger(__name__)

#: seconds that cancelled coroutines have to clean up after themselves
_CANCEL_SECONDS = 0.5


class LoopExecutor:
    """Runs calls as tasks of one event loop; thread and loop are made at the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inbox: deque[tuple[Runnable, OnDone]] = deque()
        self._scheduled = False
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = contextvars.Context()

    def start(self) -> None:
        """Every job starts with the context variables of the thread that starts the worker."""
        self._context = contextvars.copy_context()

    def quiet(self) -> None:
        """Nothing to do: there is no more work without a submit."""

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Hand calls to the loop."""
        with self._lock:
            if self._stopped:
                return
            loop = self._loop or self._begin_loop()
            self._inbox.extend((call, on_done) for call in calls)
            # One wake-up for all that comes until the loop gets there, not one a call: each makes
            # the loop take the interpreter from the thread that has more to hand over.
            if not self._scheduled:
                self._scheduled = True
                loop.call_soon_threadsafe(self._take_in)

    def _begin_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._work, args=(loop,), name="sqsw-loop", daemon=True)
        try:
            thread.start()
        except BaseException:  # no thread to be had: another call may get one
            loop.close()
            raise
        self._loop, self._thread = loop, thread
        return loop

    def cancel(self, call: Runnable) -> None:
        """Cancel the coroutine of a call."""
        with self._lock:
            if self._loop is not None and isinstance(call.runner, asyncio.Task):
                self._loop.call_soon_threadsafe(call.runner.cancel)

    def stop(self, deadline: float) -> None:
        """Cancel what still runs, and end the loop."""
        with self._lock:
            self._stopped = True
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(self._cancel_all)
        # A coroutine that blocks the loop must not block the end of the worker as well.
        thread.join(max(deadline - time.monotonic(), _CANCEL_SECONDS + 0.1))

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while True:
            try:
                loop.run_forever()
                break
            except BaseException:  # a task of a job raised SystemExit
                logger.exception("a coroutine tried to end the event loop")
        loop.close()

    def _take_in(self) -> None:
        with self._lock:
            self._scheduled = False
            arrived = list(self._inbox)
            self._inbox.clear()
        for call, on_done in arrived:
            self._begin(call, on_done)

    def _begin(self, call: Runnable, on_done: OnDone) -> None:
        # A task would be collected in the middle of its work if nobody held it.
        task = asyncio.get_running_loop().create_task(
            self._run(call, on_done), context=self._context.copy()
        )
        call.runner = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, call: Runnable, on_done: OnDone) -> None:
        try:
            # No variable for the results: the frames of a failed job lead back to this one.
            following = on_done(call, await call.run_async())
        except BaseException:  # of a listener, say; the loop has to live on
            logger.exception("the end of a job failed")
            return
        if following is not None:
            self._begin(following, on_done)

    def _cancel_all(self) -> None:
        loop = asyncio.get_running_loop()
        for task in self._tasks:
            task.cancel()
        loop.create_task(self._end(loop))  # noqa: RUF006  # ends the loop that would collect it

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_CANCEL_SECONDS)
        await loop.shutdown_asyncgens()
        loop.stop()
