"""Handles return values that have not run yet: runs awaitables, refuses the rest."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqsw.core.jobs.runtime import job_runtime

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Return whether a call makes a coroutine: of a function, a method, a partial, an object."""
    try:
        return _known_coroutine_function(function)
    except TypeError:  # a callable object without a hash
        return _is_coroutine_function(function)


def _is_coroutine_function(function: Any) -> bool:
    while isinstance(function, partial | staticmethod):
        function = function.func if isinstance(function, partial) else function.__func__
    # The __call__ of its type: calling a class does not call the __call__ of its instances.
    return any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))


# Asked several times for each job.
_known_coroutine_function = lru_cache(maxsize=1024)(_is_coroutine_function)


def wraps_coroutine_function(function: Callable[..., Any]) -> bool:
    """Return whether a plain function wraps a coroutine function, so it may return its coroutine.

    It may also run the coroutine itself, which would fail inside a running loop.
    """
    inner: Any = function
    while wrapped := (
        getattr(inner, "__wrapped__", None)
        or getattr(inner, "__func__", None)
        or (inner.func if isinstance(inner, partial) else None)
    ):
        inner = wrapped
    return is_coroutine_function(inner)


def refuse_unrun(returned: object, job_name: str | None) -> None:
    """Refuse the result of a job that is a generator or a coroutine: it would never run.

    Raises
    ------
    TypeError
        It is one.
    """
    if returned is None:
        return
    what = "the function" if job_name is None else repr(job_name)
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        raise TypeError(
            f"{what} returned a generator, which nothing iterates over: "
            "collect what it yields inside the function"
        )
    if inspect.iscoroutine(returned):
        returned.close()
        raise TypeError(
            f"{what} returned a coroutine, which nothing awaits: await it inside the function"
        )


def run_awaitable(awaitable: Awaitable[Any]) -> Any:
    """Run what a plain function returned, on the event loop of the worker if there is one."""
    run = job_runtime.get().run_awaitable
    if run is not None:
        return run(awaitable)
    loop = OwnLoop()
    try:
        return loop.run(awaitable)
    finally:
        loop.close()


class OwnLoop:
    """An event loop without a thread of its own: it runs in the thread that waits for a result.

    The first call creates it. It serves all calls until it is closed, so they can share locks and
    clients.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_running(self) -> bool:
        """Whether a call of :meth:`run` has not returned yet."""
        return self._loop is not None and self._loop.is_running()

    def run(self, awaitable: Awaitable[T]) -> T:
        # No variable for the result: the traceback of an error in it refers to this frame.
        return cast("T", self._apart(self._run, awaitable))

    def close(self) -> None:
        """Cancel the tasks that are left, and close the loop."""
        if self._loop is not None:
            self._apart(self._close, self._loop)

    def _apart(self, call: Callable[[Any], Any], argument: object) -> Any:
        import asyncio  # workers without coroutines start without it

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return call(argument)
        from concurrent.futures import ThreadPoolExecutor

        # Called from a coroutine: a loop cannot run inside another one.
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(copy_context().run, call, argument).result()

    def _run(self, awaitable: Awaitable[Any]) -> Any:
        import asyncio

        ended: list[tuple[Any, BaseException | None]] = []

        async def finish() -> None:
            try:
                ended.append((await awaitable, None))
            except BaseException as error:  # noqa: BLE001 - raised below; the loop goes on
                ended.append((None, error))

        # Not asyncio.run(), which turns Ctrl-C into a cancellation and so into a failed job.
        self._loop = self._loop or asyncio.new_event_loop()
        self._loop.run_until_complete(finish())
        value, error = ended.pop()
        try:
            if error is not None:
                raise error
            return value
        finally:
            del value, error  # the traceback of a failure leads to this frame

    def _close(self, loop: "asyncio.AbstractEventLoop") -> None:
        self._loop = None
        try:
            loop.run_until_complete(_clear_up())
        finally:
            loop.close()


_shared_loop: ContextVar[OwnLoop | None] = ContextVar("sqsw_shared_loop", default=None)


@contextmanager
def shared_loop() -> Iterator[OwnLoop]:
    """Yield the loop of the enclosing block, or a new one that is closed at the end of this one."""
    outer = _shared_loop.get()
    if outer is not None and not outer.is_running:  # a coroutine of the loop cannot wait for it
        yield outer
        return
    loop = OwnLoop()
    token = _shared_loop.set(loop)
    try:
        yield loop
    finally:
        _shared_loop.reset(token)
        loop.close()


async def _clear_up() -> None:
    import asyncio

    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
