"""The jobs of the benchmarks: nothing at all, or a sleep of so many milliseconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable


def option(arguments: list[str], name: str, default: str = "") -> str:
    """``name=value`` among the arguments."""
    for argument in arguments:
        if argument.startswith(name + "="):
            return argument.partition("=")[2]
    return default


def make(arguments: list[str]) -> Callable[..., None]:
    """The function of this run."""
    seconds = float(option(arguments, "sleep", "0"))

    def sleep(**_: object) -> None:
        time.sleep(seconds)

    def nothing(**_: object) -> None:
        pass

    return sleep if seconds else nothing


def make_coroutine(arguments: list[str]) -> Callable[..., Awaitable[None]]:
    """The same as a coroutine function."""
    seconds = float(option(arguments, "sleep", "0"))

    async def sleep(**_: object) -> None:
        await asyncio.sleep(seconds)

    return sleep
