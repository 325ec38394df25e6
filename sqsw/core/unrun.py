"""What a call may return that nobody has run yet; it must not count as done."""

import inspect
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any


def refuse_generator(returned: object, job_name: str | None) -> None:
    """Refuse a generator, also an asynchronous one.

    Raises
    ------
    TypeError
        It is one.
    """
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        raise TypeError(
            f"{job_name!r} returned a generator, which nobody runs: "
            "collect what it yields inside the function"
        )


def run_to_end(awaitable: Awaitable[Any]) -> Any:
    """Run it here and now, on an event loop of its own; what it returned."""
    import asyncio  # workers without coroutines start without it

    async def finish() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(finish())
    # process_batch() called from a coroutine: its loop is busy with us, so take another
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(copy_context().run, asyncio.run, finish()).result()
