"""Runs the functions of some jobs in pool processes: CPU work, or code that blocks the interpreter.

Each call runs in a thread of the worker, with its lease, its middlewares and its result. Only the
function runs in a pool process, which gets the names of queue and job and the arguments. There is
one process for each such job that runs at the same time. Processes are spawned, load the app by its
name, and run one function after another.
"""

import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Any

from sqsw.core.errors import AppLoadError, JobNotStarted, JobTimeout, ProcessKilled, SQSError
from sqsw.core.hidden_modules import hiding_advice
from sqsw.core.jobs.runtime import FunctionCall, Load, call_limit, job_runtime
from sqsw.core.process_memory import memory_of
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import described
from sqsw.worker.executors.base import Runnable
from sqsw.worker.executors.pool_answer import PoolAnswer
from sqsw.worker.executors.pool_process import SHOW, serve_calls
from sqsw.worker.executors.threads import ThreadExecutor

logger = SafeLogger(__name__)

#: seconds to wait for the stack of a process, and for each further part of it
_STACK_SECONDS, _PART_SECONDS = 0.5, 0.02

#: seconds between two checks whether a process that has not answered is alive
_CHECK_SECONDS = 1.0


class ProcessExecutor(ThreadExecutor):
    """Runs calls in threads, and their functions in a pool of processes.

    Parameters
    ----------
    load :
        Finds the functions in a pool process; None: by the modules that they are in.
    """

    def __init__(self, load: Load | None = None) -> None:
        super().__init__()
        self._load = load
        self._pool_lock = threading.Lock()
        self._freed = threading.Condition(self._pool_lock)
        self._module = ""
        self._free: list[_PoolProcess] = []
        self._busy: dict[int, _PoolProcess] = {}

    def start(self) -> None:
        """Give every job a way to call its function in a pool process."""
        token = job_runtime.set(replace(job_runtime.get(), call_elsewhere=self.call))
        super().start()
        job_runtime.reset(token)

    def cancel(self, call: Runnable) -> None:
        """Kill the process of a call. The job fails."""
        with self._pool_lock:
            process = self._busy.get(call.runner) if isinstance(call.runner, int) else None
        if process is not None:
            process.kill()

    def stop(self, deadline: float) -> None:
        """Kill the processes, also busy ones, and end the threads."""
        with self._pool_lock:
            self._stopped = True
            processes, self._free = [*self._free, *self._busy.values()], []
            self._freed.notify_all()
        for process in processes:
            process.kill()
        super().stop(deadline)

    def stack_of(self, call: Runnable) -> str:
        """Return where the process of a call is, with its process id; empty if it has none."""
        with self._pool_lock:
            process = self._busy.get(call.runner) if isinstance(call.runner, int) else None
        return "" if process is None else process.stack()

    def call(self, request: FunctionCall) -> object:
        """Run a function in a process; return what it returns, or raise what it raises.

        Raises
        ------
        JobTimeout
            It ran longer than its time limit. Its process was killed.
        JobNotStarted
            No process is available for it.
        """
        data = pickle.dumps(request)
        answer: PoolAnswer | None = None
        while answer is None:
            with self._process(request.module) as process:
                answer = process.run(data, call_limit.get())
        return answer.open(request.jobs)

    def check(self) -> None:
        """Make sure that one process is ready."""
        with self._pool_lock:
            if self._stopped or any(process.is_ready for process in self._busy.values()):
                return
        with self._process(self._module) as process:
            process.wait_until_ready()

    @contextmanager
    def _process(self, module: str) -> "Iterator[_PoolProcess]":
        """Reserve a process for the current thread. A process that breaks is replaced."""
        thread = threading.get_ident()
        with self._pool_lock:
            self._module = module
            process = self._take_or_start(module)
            self._busy[thread] = process
        is_well = False
        try:
            yield process
            is_well = process.is_alive
        finally:
            with self._pool_lock:
                del self._busy[thread]
                is_well = is_well and not self._stopped
                if is_well:
                    self._free.append(process)
                self._freed.notify_all()
            if not is_well:
                process.end()

    def _take_or_start(self, module: str) -> "_PoolProcess":
        while not self._stopped:
            process = self._take()
            if process is not None:
                return process
            try:
                return _PoolProcess(self._load, module)
            except Exception as error:
                if not self._busy:
                    raise JobNotStarted(
                        "no pool process can be started", why=described(error)
                    ) from error
                logger.warning("no further pool process can be started, so a job waits: %s", error)
            self._freed.wait()
        raise JobNotStarted("the worker has ended")

    def _take(self) -> "_PoolProcess | None":
        """Return a free process that is alive; a job must not fail because an idle one died."""
        while self._free:
            process = self._free.pop()
            if process.is_alive:
                return process
            process.end()
        return None


class _PoolProcess:
    """One process and the pipe to it. If a job forked, the pipe can stay open after its end."""

    def __init__(self, load: Load | None, module: str) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self.is_ready = False
        self._calls = 0
        self._memory_bytes: int | None = None
        with ExitStack() as failing, ExitStack() as theirs:
            self._connection, calls = multiprocessing.Pipe()
            failing.enter_context(self._connection)
            theirs.enter_context(calls)
            self._stacks, stacks = multiprocessing.Pipe(duplex=False)
            failing.enter_context(self._stacks)
            theirs.enter_context(stacks)
            self._process: BaseProcess = context.Process(
                target=serve_calls, args=(calls, stacks, load, module), name="sqsw-pool"
            )
            self._process.start()
            failing.pop_all()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def run(self, request: bytes, limit: float | None) -> PoolAnswer | None:
        """Send a call and return the answer; None if the process ended before it got the call.

        Parameters
        ----------
        limit :
            The time limit of the function in seconds, from when the process is ready; None: no
            limit.

        Raises
        ------
        JobTimeout
            The limit is over. The process was killed.
        JobNotStarted
            The process did not become ready.
        SQSError
            The process ended, or sent a wrong answer.
        """
        self.wait_until_ready()
        try:
            self._connection.send_bytes(request)
        except OSError:
            self.kill()
            return None
        self._calls += 1
        self._memory_bytes = None
        return self._answer(limit)

    def wait_until_ready(self) -> None:
        """Wait until the process has loaded what the jobs need.

        Raises
        ------
        JobNotStarted
            It ended before that, or cannot load the app.
        """
        if self.is_ready:
            return
        try:
            self._answer(None).open(())
        except BaseException as error:  # noqa: BLE001  # the app can raise anything while it loads
            not_started = _cannot_load(error, self._process.exitcode)
            raise not_started from not_started.__cause__
        self.is_ready = True

    def _answer(self, limit: float | None) -> PoolAnswer:
        try:
            if not self._has_answer(limit):
                self.kill()
                raise JobTimeout(
                    f"the job ran longer than its time limit of {limit:g} seconds",
                    why="its process was killed",
                )
            data = self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._gone() from error
        try:
            number, answer = pickle.loads(data)  # noqa: S301  # from our own process
        except Exception:  # noqa: BLE001  # a job wrote into the pipe
            number, answer = -1, None
        # The answer to another call would look like the end of this job.
        if number != self._calls or not isinstance(answer, PoolAnswer):
            raise SQSError(
                "the pool process sent an answer that does not match the job",
                why="a job wrote into the pipe between the process and the worker",
                next="look for jobs that fork or close file descriptors; the job runs again",
            )
        return answer

    def _has_answer(self, limit: float | None) -> bool:
        """Wait for an answer; return False if none arrived within the limit.

        Raises
        ------
        EOFError
            The process ended.
        """
        end = float("inf") if limit is None else time.monotonic() + limit
        while not self._connection.poll(max(0.0, min(_CHECK_SECONDS, end - time.monotonic()))):
            if not self.is_alive and not self._connection.poll(0):
                raise EOFError
            if time.monotonic() >= end:
                return False
            self._memory_bytes = memory_of(self._process.pid or 0)
        return True

    def _gone(self) -> SQSError:
        self._process.join(1.0)
        return ProcessKilled.of(self._process.exitcode, self._memory_bytes)

    def stack(self) -> str:
        """Return where the process is, as it says itself."""
        pid = self._process.pid or 0
        if not self.is_alive:
            return f"  in process {pid}, which has ended\n"
        if not self.is_ready:
            return f"  in process {pid}, which loads the app\n"
        while self._stacks.poll(0) and self._read_stacks():
            pass  # the answer to an earlier request
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, SHOW)
        stack, wait_seconds = b"", _STACK_SECONDS
        while self._stacks.poll(wait_seconds) and (part := self._read_stacks()):
            stack, wait_seconds = stack + part, _PART_SECONDS
        where = f":\n{stack.decode(errors='replace')}" if stack else ", which does not answer\n"
        return f"  in process {pid}{where}"

    def _read_stacks(self) -> bytes:
        return os.read(self._stacks.fileno(), 1 << 16)

    def kill(self) -> None:
        """Kill the process. Any thread can call this, also more than once."""
        self._process.kill()
        self._process.join(1.0)

    def end(self) -> None:
        """Kill the process and close the pipes. Only the thread that has the process calls this."""
        self.kill()
        self._connection.close()
        self._stacks.close()


def _cannot_load(error: BaseException, exit_code: int | None) -> JobNotStarted:
    """Return the error for a pool process that did not become ready."""
    why, next_step = described(error), getattr(error, "next", None)
    if isinstance(error, SQSError):
        why = error.summary
    if (hidden := hiding_advice()) is not None:
        why, next_step = f"{why}; {hidden[0]}", hidden[1]
    made = JobNotStarted("a pool process cannot load the app", why=why, next=next_step)
    # If a signal or a lack of memory ended the process, the app is not to blame.
    is_of_app = (exit_code or 0) >= 0 and not isinstance(error, OSError | MemoryError)
    made.__cause__ = error
    if is_of_app:
        made.__cause__ = AppLoadError(made.message, why=why, next=next_step)
        made.__cause__.__cause__ = error
    return made
