"""Waiting receives as coroutines: a thousand of them use neither threads nor CPU time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqsw.local.errors import FileLocked
from sqsw.local.operations.receiving import Receive
from sqsw.local.store.store import Store

Result = TypeVar("Result")


async def without_waiting(call: Callable[[], Result]) -> Result:
    """Make a call here, or in a thread if the file is locked.

    The thread of the event loop never waits for the file (see :meth:`Store.never_waiting`). A call
    in a thread takes two to three times as long, so it is only the fallback.
    """
    try:
        return call()
    except FileLocked:
        return await asyncio.to_thread(call)


class Hangup:
    """Watches whether the client of a request disconnects."""

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self.has_happened = False

    def watch(self, on_hangup: Callable[[], None]) -> None:
        self._task = asyncio.create_task(self._wait(on_hangup))

    def forget(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _wait(self, on_hangup: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.has_happened = True
        on_hangup()


async def wait_for(receive: Receive, store: Store, hangup: Hangup) -> dict[str, Any]:
    """Wait until there is an answer, the time is over, or the client disconnects.

    This is :func:`sqsw.local.store.waiting.wait_for` for an event loop.
    """
    event = asyncio.Event()
    now = asyncio.get_running_loop().time  # real time, even while a test freezes the clocks
    ends, ends_real = store.clock() + receive.wait_seconds, now() + receive.wait_seconds
    waiter = store.waiters.join(receive.queue_id, _waker(event))
    hangup.watch(event.set)
    try:
        while True:
            event.clear()
            waiter.is_woken = False
            if waiter.is_ended or hangup.has_happened:
                break
            answer = await without_waiting(receive.look)
            if answer is not None:
                return answer
            left = min(ends - store.clock(), ends_real - now())
            if left <= 0:
                break
            first = store.waiters.is_first(waiter)
            deadline = await without_waiting(receive.seconds_to_deadline) if first else None
            with suppress(TimeoutError):
                async with asyncio.timeout(left if deadline is None else min(left, deadline)):
                    await event.wait()
        return {}
    finally:
        hangup.forget()
        store.waiters.leave(waiter)


def _waker(event: asyncio.Event) -> Callable[[], None]:
    loop, home = asyncio.get_running_loop(), threading.get_ident()

    def wake() -> None:
        if threading.get_ident() == home:
            event.set()
        else:
            with suppress(RuntimeError):  # the loop has ended, and its receives with it
                loop.call_soon_threadsafe(event.set)

    return wake
