"""Runs an awaitable that a plain function returned on the event loop that all jobs share."""

import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from sqsw.core.errors import SQSError
from sqsw.core.results import ProcessingResult
from sqsw.core.wording import described
from sqsw.worker.executors.base import Executor

#: seconds of one wait: a time limit can interrupt the thread only between two waits
_WAIT_SECONDS = 0.25

#: waits after the worker has ended, for a coroutine that cleans up after its cancellation
_LAST_WAITS = 8


class Handover:
    """A call for the event loop, and the thread that waits for it.

    It runs in the context of the thread, so it belongs to the same job.
    """

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.runner: Any = None
        self._awaitable = awaitable
        self._context = contextvars.copy_context()
        self._has_ended = threading.Event()
        self._is_cancelled = False
        self._value: Any = None
        self._error: BaseException | None = RuntimeError("its task was cancelled before it began")

    def wait(self, loop: Executor, is_over: Callable[[], bool]) -> Any:
        """Run the awaitable on the event loop; return its result, or raise what it raises.

        If the thread is interrupted, the awaitable is canceled. The interruption is raised after
        the awaitable has ended, or at once if it has not begun.

        Parameters
        ----------
        is_over :
            Whether the worker has ended.

        Raises
        ------
        SQSError
            The worker ended first, or its event loop has ended.
        """
        try:
            loop.submit([self], self._done)
        except Exception as error:
            self._close()
            # Not a JobNotStarted: the job has started, in its thread.
            raise SQSError(
                "the event loop of the worker cannot run what the job returned",
                why=described(error),
            ) from error
        waits = 0
        try:
            while not self._has_ended.wait(_WAIT_SECONDS):
                if is_over():
                    waits += 1
                    # The loop never took it, or it ignores its cancellation.
                    if self.runner is None or waits >= _LAST_WAITS:
                        raise SQSError(
                            "the worker ended before the job did", next="the job runs again later"
                        )
        except BaseException:
            self._is_cancelled = True  # for the case that it has not begun yet
            loop.cancel(self)
            while self.runner is not None and not is_over():
                if self._has_ended.wait(_WAIT_SECONDS):
                    break
            raise
        try:
            if self._error is not None:
                raise self._error
            return self._value
        finally:
            # The traceback of a failed job refers to this frame.
            self._value = self._error = None

    async def run_async(self) -> list[ProcessingResult]:
        """Run the awaitable in a task with the context of the thread."""
        import asyncio  # workers without coroutines start without it

        if self._is_cancelled:
            self._close()
            return []
        with suppress(asyncio.CancelledError):  # _finish keeps it
            await asyncio.get_running_loop().create_task(self._finish(), context=self._context)
        return []

    async def _finish(self) -> None:
        try:
            self._value = await self._awaitable
            self._error = None
        except BaseException as error:  # noqa: BLE001  # raised in the thread
            self._error = error

    def run(self) -> list[ProcessingResult]:
        """Raise ``NotImplementedError``: only the event loop can run it."""
        raise NotImplementedError

    def failed(self, error: BaseException) -> list[ProcessingResult]:
        """Note an error of the event loop, to be raised in the thread."""
        self._error = error
        return []

    def not_started(self, error: BaseException) -> list[ProcessingResult]:
        """Note that it could not begin. The job itself has started, so the job fails."""
        self._close()
        return self.failed(error)

    def _close(self) -> None:
        # Python warns about a coroutine that is never awaited.
        if isinstance(self._awaitable, Coroutine):
            self._awaitable.close()

    def _done(self, call: object, results: list[ProcessingResult]) -> None:
        self._has_ended.set()
