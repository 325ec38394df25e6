"""Runs coroutines on one event loop, which has a thread of its own."""

import asyncio
import contextvars
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from sqsw.core.errors import JobNotStarted, SQSError
from sqsw.core.lease_clock import lease_time
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.executors.base import OnDone, Runnable, end_if_forked

logger = SafeLogger(__name__)

#: seconds that canceled coroutines have to clean up
_CANCEL_SECONDS = 0.5


class LoopExecutor:
    """Runs calls as tasks of one event loop; the first call creates its thread and loop.

    Parameters
    ----------
    on_end :
        Called once with an error after a job ended the loop. If the loop can continue, it does, so
        running jobs finish.
    """

    def __init__(self, on_end: Callable[[SQSError], object] = lambda error: None) -> None:
        self._on_end = on_end
        self._lock = threading.Lock()
        self._inbox: deque[tuple[Runnable, OnDone]] = deque()
        self._scheduled = False
        self._stopped = False
        self._has_ended = False
        self._broken: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[asyncio.Task[None], tuple[Runnable, OnDone]] = {}
        self._context = contextvars.Context()
        self._pid = os.getpid()
        # When the loop was asked to move, and has not done so yet.
        self._asked_at: float | None = None

    def start(self) -> None:
        """Keep the context variables of this thread: every job starts with a copy of them."""
        self._context = contextvars.copy_context()

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Pass calls to the loop; start it if it does not run."""
        with self._lock:
            if self._stopped:
                return
            loop = self._begin_loop()
            self._inbox.extend((call, on_done) for call in calls)
            # One wake-up for all calls that arrive before the loop takes them: with each wake-up,
            # the loop takes the interpreter lock from the thread that submits more.
            if not self._scheduled:
                try:
                    loop.call_soon_threadsafe(self._take_in)
                except RuntimeError:  # a job closed it, and its thread reports that
                    for _ in calls:
                        self._inbox.pop()
                    raise
                self._scheduled = True

    def check(self) -> None:
        """Start the loop if it does not run."""
        with self._lock:
            if not self._stopped:
                self._begin_loop()

    def _begin_loop(self) -> asyncio.AbstractEventLoop:
        if self._broken is not None:
            raise JobNotStarted.of(self._broken)
        if self._loop is not None:
            return self._loop
        loop = asyncio.new_event_loop()
        # One job must not end what all jobs share.
        loop.shutdown_default_executor = _refuse_shutdown  # type: ignore[method-assign]  # of this loop only
        thread = threading.Thread(target=self._work, args=(loop,), name="sqsw-loop", daemon=True)
        try:
            thread.start()
        except BaseException:  # no thread could be started; a later call may get one
            loop.close()
            raise
        self._loop, self._thread = loop, thread
        _running.add(self)
        return loop

    def blocked_seconds(self) -> float:
        """Return how long the loop has been blocked, and ask it to move again.

        The main thread of the worker calls this once a second.
        """
        with self._lock:
            if self._loop is None:
                return 0.0
            now = lease_time()
            asked_at = self._asked_at
            if asked_at is not None:
                return now - asked_at
            self._asked_at = now  # before the loop can answer
            with suppress(RuntimeError):  # a job closed it, and its thread reports that
                self._loop.call_soon_threadsafe(self._move)
            return 0.0

    def _move(self) -> None:
        self._asked_at = None

    def cancel(self, call: Runnable) -> None:
        """Cancel the coroutine of a call."""
        with self._lock:
            if self._loop is not None and isinstance(call.runner, asyncio.Task):
                self._loop.call_soon_threadsafe(call.runner.cancel)

    def stop(self, deadline: float) -> None:
        """Cancel the running coroutines, and end the loop."""
        with self._lock:
            self._stopped = True
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        with suppress(RuntimeError):  # a job closed it
            loop.call_soon_threadsafe(self._cancel_all)
        # Not forever: a coroutine that blocks the loop must not block the end of the worker.
        thread.join(max(deadline - lease_time(), _CANCEL_SECONDS + 0.1))

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while True:
            try:
                loop.run_forever()
                end_if_forked(self._pid, None)
                if self._stopped:
                    break
                self._report_end("a job stopped the event loop of the worker")
            except (SystemExit, KeyboardInterrupt):  # from a task or a callback of a job
                logger.exception("a coroutine tried to end the event loop")
            except BaseException as error:  # noqa: BLE001  # the loop or its file descriptors are closed
                self._give_up(error)
                break
        with suppress(Exception):  # a job destroyed the loop
            loop.close()

    def _report_end(self, what: str, error: BaseException | None = None) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._on_end(
                SQSError(
                    what,
                    why="all async jobs of a worker share it"
                    + (f"; {type(error).__name__}: {error}" if error is not None else ""),
                    next="look for stop() or close() of an event loop in the jobs, and restart the "
                    "worker",
                )
            )

    def _give_up(self, error: BaseException) -> None:
        """End all calls of a loop that cannot continue, with an error."""
        end_if_forked(self._pid, None)
        with self._lock:
            self._broken = RuntimeError(f"the event loop of the worker has ended: {error}")
            self._loop = None
            tasks, self._tasks = list(self._tasks.values()), {}
            arrived = list(self._inbox)
            self._inbox.clear()
        self._report_end("a job ended the event loop of the worker", error)
        for call, on_done in tasks:
            self._fail(call, on_done, self._broken, has_begun=True)
        for call, on_done in arrived:
            self._fail(call, on_done, self._broken)

    def _take_in(self) -> None:
        with self._lock:
            self._scheduled = False
            arrived = list(self._inbox)
            self._inbox.clear()
        for call, on_done in arrived:
            self._begin(call, on_done)

    def _begin(self, call: Runnable, on_done: OnDone) -> None:
        # Not with create_task(): a task factory that one job sets would affect other jobs.
        task = asyncio.Task(
            self._run(call, on_done),
            loop=asyncio.get_running_loop(),
            context=self._context.copy(),
        )
        call.runner = task
        # Without a reference, a task could be garbage-collected while it runs.
        self._tasks[task] = (call, on_done)
        task.add_done_callback(self._ended)

    async def _run(self, call: Runnable, on_done: OnDone) -> None:
        try:
            # Not in a variable: the traceback of a failed job refers to this frame.
            following = on_done(call, end_if_forked(self._pid, await call.run_async()))
        except BaseException:  # for example in a listener; the loop must continue
            logger.exception("the end of a job failed")
            return
        if self._asked_at is not None:
            # Each of many jobs may block the loop for a while, also in one turn of the loop.
            self._asked_at = lease_time()
        if following is not None:
            self._begin(following, on_done)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        begun = self._tasks.pop(task, None)
        # A coroutine that has begun takes a cancellation as the end of its job. So this one was
        # cancelled before its first step, by a job that cancels all tasks.
        if begun is not None and task.cancelled():
            self._fail(*begun, RuntimeError("its task was cancelled before it began"))

    def _fail(
        self, call: Runnable, on_done: OnDone, error: Exception, *, has_begun: bool = False
    ) -> None:
        """Report a call that did not run to its end, and run the calls that get its slot."""
        following: Runnable | None = call
        results = call.failed(error) if has_begun else call.not_started(error)
        while following is not None:
            try:
                following = on_done(following, results)
            except BaseException:  # as above
                logger.exception("the end of a job failed")
                return
            if following is not None and self._broken is None:
                self._begin(following, on_done)
                return
            results = following.not_started(error) if following is not None else []

    def _cancel_all(self) -> None:
        loop = asyncio.get_running_loop()
        for task in self._tasks:
            task.cancel()
        loop.create_task(self._end(loop))  # noqa: RUF006  # nothing awaits it: it ends the loop

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_CANCEL_SECONDS)
        await loop.shutdown_asyncgens()
        loop.stop()

    def stop_in_fork(self) -> None:
        """End the loop in a process that a job forked, after this step of the job's task."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread.ident == threading.get_ident():
            # The loop skips canceled handles. asyncio has no public way to reach them.
            for handle in list(getattr(loop, "_ready", ())):
                handle.cancel()
            loop.stop()


async def _refuse_shutdown(timeout: float | None = None) -> None:
    raise RuntimeError("a job cannot shut down the executor that all async jobs share")


_running: "weakref.WeakSet[LoopExecutor]" = weakref.WeakSet()


def _after_fork() -> None:
    for executor in list(_running):
        executor.stop_in_fork()


os.register_at_fork(after_in_child=_after_fork)
