"""The interface of executors, and helpers for them.

Executors call the runs of the worker *calls*: to them, a run is something to call, once, whose
results go to ``on_done``.
"""

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
    """A call, as far as an executor needs it. ``runner`` is the thread id or task that runs it."""

    runner: Any

    def run(self) -> list[ProcessingResult]: ...
    async def run_async(self) -> list[ProcessingResult]: ...
    def failed(self, error: BaseException) -> list[ProcessingResult]: ...
    def not_started(self, error: BaseException) -> list[ProcessingResult]: ...


#: the files of the frames that the worker puts around a job
_MACHINERY = (f"{Path(__file__).parents[2]}{os.sep}", threading.__file__)


_Results = TypeVar("_Results", bound=Sequence[ProcessingResult] | None)


def end_if_forked(pid: int, results: _Results) -> _Results:
    """Return the results of a job, or end this process if the job forked it from ``pid``.

    A forked process must not run other jobs. The worker that received the message reports the
    result.

    Parameters
    ----------
    results :
        None if the job has not ended.
    """
    if os.getpid() != pid:
        end_forked(results)
    return results


def end_forked(results: Sequence[ProcessingResult] | None) -> Never:
    """End this process, which a job forked; ``results`` is None if the job has not ended."""
    os._exit(0 if results is not None and all(each.success for each in results) else 1)


#: Takes the results of a call and returns the next call for the same executor, or None. The next
#: call already has a slot, so a busy thread can run it at once.
OnDone = Callable[[Any, list[ProcessingResult]], Any]


class Executor(Protocol):
    """Runs calls. Whoever submits them decides how many run at the same time."""

    def start(self) -> None: ...

    def submit(self, calls: Sequence[Any], on_done: OnDone) -> None:
        """Run calls as soon as possible, without waiting for them. After ``stop``, do nothing.

        Raises
        ------
        Exception
            Something that they need is missing, such as a thread. None of them runs.
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
        """Make a call end early, if the executor can do that."""
        ...

    def stop(self, deadline: float) -> None:
        """End idle threads and processes; give up calls that run after ``deadline``.

        Parameters
        ----------
        deadline :
            Seconds of ``lease_time``.
        """
        ...


def stack_of(call: Runnable) -> str:
    """Return where a running call is, as lines of a traceback.

    It begins with the first frame of the job. If there is none, it has the frames of the worker.
    """
    frames = _frames_of(call.runner)
    of_job = list(dropwhile(lambda frame: frame.filename.startswith(_MACHINERY), frames))
    return "".join(traceback.format_list(of_job or frames))


def _frames_of(runner: Any) -> list[traceback.FrameSummary]:
    if isinstance(runner, int):
        frame = sys._current_frames().get(runner)
        return traceback.extract_stack(frame) if frame is not None else []
    frames: list[traceback.FrameSummary] = []
    # A task shows its outermost coroutine only, so follow what each coroutine awaits.
    waiting = runner.get_coro() if hasattr(runner, "get_coro") else None
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None)
        frames += traceback.extract_stack(frame, 1) if frame is not None else []
        waiting = getattr(waiting, "cr_await", None)
    return frames
