"""Calls in the thread that submits them: no thread, so nothing to wait for."""

import contextvars
import os
import threading
from collections.abc import Callable, Sequence

from sqsw.core.jobs.awaitables import OwnLoop
from sqsw.core.results import ProcessingResult
from sqsw.worker.executors.base import OnDone, Runnable, end_if_forked


class InlineExecutor:
    """Runs a call before ``submit`` returns; for one batch, and for tests.

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
        """Nothing to do."""

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Run calls one after the other, and what follows each of them."""
        for call in calls:
            self._run(call, on_done)

    def _run(self, call: Runnable, on_done: OnDone) -> None:
        following: Runnable | None = call
        pid = os.getpid()
        while following is not None:
            # No variable for the results: the frames of a failed job refer to this one.
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
        """Nothing to do: it needs nothing."""

    def cancel(self, call: Runnable) -> None:
        """Nothing to do: it has ended."""

    def stop(self, deadline: float) -> None:
        """Nothing to do."""


def run_inline(call: Runnable, loop: OwnLoop | None) -> list[ProcessingResult]:
    """Run one call here and now, in a copy of the context."""
    call.runner = threading.get_ident()
    context = contextvars.copy_context()
    if loop is None:
        return context.run(call.run)
    coroutine = call.run_async()
    try:
        return context.run(loop.run, coroutine)
    except BaseException:  # the call itself raises nothing, so it could not run
        coroutine.close()
        raise


def _without_interrupt(results: list[ProcessingResult]) -> list[ProcessingResult]:
    for result in results:
        if isinstance(result.error, KeyboardInterrupt):
            raise result.error  # Ctrl-C and the like are for the caller, not a failure of the job
    return results
