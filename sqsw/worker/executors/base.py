"""What an executor is: a way to run calls."""

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqsw.core.results import ProcessingResult


class Runnable(Protocol):
    """All that an executor needs to know of a call."""

    runner: Any

    def run(self) -> list[ProcessingResult]: ...
    async def run_async(self) -> list[ProcessingResult]: ...


#: Takes the results of a call; what it returns is a call for the same executor, which has a slot
#: already: so a busy thread gets its next job without a hand-over.
OnDone = Callable[[Any, list[ProcessingResult]], Any]


class Executor(Protocol):
    """Runs calls; how many at once is decided by who submits them."""

    def start(self) -> None: ...
    def quiet(self) -> None: ...

    def submit(self, calls: Sequence[Any], on_done: OnDone) -> None:
        """Run calls as soon as may be; never waits for them."""
        ...

    def cancel(self, call: Any) -> None:
        """Make a call end early, where that can be done."""
        ...

    def stop(self, deadline: float) -> None:
        """End what is idle, and leave what still runs at ``deadline`` (monotonic seconds)."""
        ...


def stack_of(call: Runnable) -> str:
    """Where a running call is, as lines of a traceback."""
    runner = call.runner
    if isinstance(runner, int):
        frame = sys._current_frames().get(runner)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""
    lines = []
    # A task by itself shows its outermost coroutine only; what that one waits for tells more.
    waiting = runner.get_coro() if hasattr(runner, "get_coro") else None
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None)
        lines += traceback.format_stack(frame, 1) if frame is not None else []
        waiting = getattr(waiting, "cr_await", None)
    return "".join(lines)
