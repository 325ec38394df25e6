"""Calls in the thread that submits them: no thread, so nothing to wait for."""

import contextvars
import os
import threading
from collections.abc import Sequence

from sqsw.core.results import ProcessingResult
from sqsw.worker.executors.base import OnDone, Runnable, end_if_forked


class InlineExecutor:
    """Runs a call before ``submit`` returns; for one batch, and for tests."""

    def __init__(self, *, coroutines: bool = False) -> None:
        self._coroutines = coroutines

    def start(self) -> None:
        """Nothing to do."""

    def quiet(self) -> None:
        """Nothing to do."""

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Run calls one after the other, and what follows each of them."""
        for call in calls:
            self._run(call, on_done)

    def _run(self, call: Runnable, on_done: OnDone) -> None:
        following: Runnable | None = call
        pid = os.getpid()
        while following is not None:
            try:
                results = run_inline(following, coroutine=self._coroutines)
            except Exception as error:  # noqa: BLE001  # there is no thread or event loop to be had
                results = following.not_started(error)
            end_if_forked(pid, results)
            for result in results:
                if isinstance(result.error, KeyboardInterrupt):
                    raise result.error  # meant for who called, in this thread, and no failed job
            following = on_done(following, results)

    def check(self) -> None:
        """Nothing to do: it needs nothing."""

    def cancel(self, call: Runnable) -> None:
        """Nothing to do: it has ended."""

    def stop(self, deadline: float) -> None:
        """Nothing to do."""


def run_inline(call: Runnable, *, coroutine: bool) -> list[ProcessingResult]:
    """Run one call here and now, in a copy of the context."""
    call.runner = threading.get_ident()
    context = contextvars.copy_context()
    if not coroutine:
        return context.run(call.run)
    import asyncio  # workers without coroutines start without it

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return context.run(_run_to_end, call)
    # Somebody calls this from a coroutine, whose loop cannot run another one inside.
    results: list[ProcessingResult] = []
    thread = threading.Thread(
        target=lambda: results.extend(context.run(_run_to_end, call)), name="sqsw-inline"
    )
    thread.start()
    thread.join()
    return results


def _run_to_end(call: Runnable) -> list[ProcessingResult]:
    import asyncio

    # Not asyncio.run(): it turns Ctrl-C into a cancellation, which would count as a failed job.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(call.run_async())
    finally:
        loop.run_until_complete(_clear_up())
        loop.close()


async def _clear_up() -> None:
    import asyncio

    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
