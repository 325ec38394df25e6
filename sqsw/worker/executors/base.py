"""What an executor is: a way to run calls."""

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any, Never, Protocol, TypeVar

from sqsw.core.results import ProcessingResult


class Runnable(Protocol):
    """All that an executor needs to know of a call."""

    runner: Any

    def run(self) -> list[ProcessingResult]: ...
    async def run_async(self) -> list[ProcessingResult]: ...
    def failed(self, error: BaseException) -> list[ProcessingResult]: ...
    def not_started(self, error: BaseException) -> list[ProcessingResult]: ...


#: Where the frames of the worker come from, which stand around those of a job.
_MACHINERY = (f"{Path(__file__).parents[2]}{os.sep}", threading.__file__)


_Results = TypeVar("_Results", bound=Sequence[ProcessingResult] | None)


def end_if_forked(pid: int, results: _Results) -> _Results:
    """Return the results of a job; end this process if the job forked it from ``pid``.

    A forked process must not run other jobs; the worker that received the message reports the
    result. ``results`` is None if the job has not ended.
    """
    if os.getpid() != pid:
        end_forked(results)
    return results


def end_forked(results: Sequence[ProcessingResult] | None) -> Never:
    """End this process, which a job has forked; None if the job has not ended."""
    os._exit(0 if results is not None and all(each.success for each in results) else 1)


#: Takes the results of a call; what it returns is a call for the same executor, which has a slot
#: already: so a busy thread gets its next job without a hand-over.
OnDone = Callable[[Any, list[ProcessingResult]], Any]


class Executor(Protocol):
    """Runs calls; how many at once is decided by who submits them."""

    def start(self) -> None: ...

    def submit(self, calls: Sequence[Any], on_done: OnDone) -> None:
        """Run calls as soon as may be; never waits for them. None of them after ``stop``.

        Raises
        ------
        Exception
            What they need cannot be had, as a thread. None of them was taken.
        """
        ...

    def check(self) -> None:
        """Start what a call needs, and keep it for the next call.

        Raises
        ------
        Exception
            It is not available now.
        """
        ...

    def cancel(self, call: Any) -> None:
        """Make a call end early, where that can be done."""
        ...

    def stop(self, deadline: float) -> None:
        """End what is idle, and abandon what still runs at ``deadline`` (in ``lease_time``)."""
        ...


def stack_of(call: Runnable) -> str:
    """Where a running call is, as lines of a traceback.

    It begins with the job's first frame; with those of the worker only where there are no others.
    """
    frames = _frames_of(call.runner)
    of_job = list(dropwhile(lambda frame: frame.filename.startswith(_MACHINERY), frames))
    return "".join(traceback.format_list(of_job or frames))


def _frames_of(runner: Any) -> list[traceback.FrameSummary]:
    if isinstance(runner, int):
        frame = sys._current_frames().get(runner)
        return traceback.extract_stack(frame) if frame is not None else []
    frames: list[traceback.FrameSummary] = []
    # A task by itself shows its outermost coroutine only; what that one waits for tells more.
    waiting = runner.get_coro() if hasattr(runner, "get_coro") else None
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None)
        frames += traceback.extract_stack(frame, 1) if frame is not None else []
        waiting = getattr(waiting, "cr_await", None)
    return frames
