"""Runs calls in the thread that submits them."""

import contextvars
import os
import threading
from collections.abc import Callable, Sequence

from sqsw.core.jobs.awaitables import OwnLoop
from sqsw.core.results import ProcessingResult
from sqsw.worker.executors.base import OnDone, Runnable, end_if_forked


class InlineExecutor:
    """Runs each call before ``submit`` returns, for ``process_batch`` and for tests.

    Parameters
    ----------
    loop :
        Runs calls as coroutines; None runs them as plain calls.
    between :
        Called after the end of each call.
    """

    def __init__(
        self, loop: OwnLoop | None = None, between: Callable[[], object] = lambda: None
    ) -> None:
        self._loop = loop
        self._between = between

    def start(self) -> None:
        """Do nothing."""

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Run calls one after another, and after each of them the calls that get its slot."""
        for call in calls:
            self._run(call, on_done)

    def _run(self, call: Runnable, on_done: OnDone) -> None:
        following: Runnable | None = call
        pid = os.getpid()
        while following is not None:
            # Not in a variable: the traceback of a failed job refers to this frame.
            following = on_done(
                following, _without_interrupt(end_if_forked(pid, self._results(following)))
            )
            self._between()

    def _results(self, call: Runnable) -> list[ProcessingResult]:
        try:
            return run_inline(call, self._loop)
        except Exception as error:  # noqa: BLE001  # no thread or event loop is available
            return call.not_started(error)

    def check(self) -> None:
        """Do nothing: it needs no thread or process."""

    def cancel(self, call: Runnable) -> None:
        """Do nothing: only the thread that runs the call could end it."""

    def stop(self, deadline: float) -> None:
        """Do nothing."""


def run_inline(call: Runnable, loop: OwnLoop | None) -> list[ProcessingResult]:
    """Run one call in this thread, in a copy of its context."""
    call.runner = threading.get_ident()
    context = contextvars.copy_context()
    if loop is None:
        return context.run(call.run)
    coroutine = call.run_async()
    try:
        return context.run(loop.run, coroutine)
    except BaseException:  # a call raises nothing, so this one could not run
        coroutine.close()
        raise


def _without_interrupt(results: list[ProcessingResult]) -> list[ProcessingResult]:
    for result in results:
        if isinstance(result.error, KeyboardInterrupt):
            raise result.error  # Ctrl-C is for the caller, and not a failure of the job
    return results
