"""The jobs of the benchmarks: no-op, sleep, or seconds of processor time."""

import asyncio
import time
from collections.abc import Awaitable, Callable


def option(arguments: list[str], name: str, default: str = "") -> str:
    """Return the value of ``name=value`` in the arguments."""
    for argument in arguments:
        if argument.startswith(name + "="):
            return argument.partition("=")[2]
    return default


def make(arguments: list[str]) -> Callable[..., None]:
    """Return the job function for the arguments."""
    seconds = float(option(arguments, "sleep", "0"))
    busy_seconds = float(option(arguments, "busy", "0"))

    def sleep(**_: object) -> None:
        time.sleep(seconds)

    def compute(**_: object) -> None:
        end = time.thread_time() + busy_seconds
        while time.thread_time() < end:
            pass

    def nothing(**_: object) -> None:
        pass

    if busy_seconds:
        return compute
    return sleep if seconds else nothing


def make_coroutine(arguments: list[str]) -> Callable[..., Awaitable[None]]:
    """Return the job function as a coroutine function."""
    seconds = float(option(arguments, "sleep", "0"))

    async def sleep(**_: object) -> None:
        await asyncio.sleep(seconds)

    return sleep
