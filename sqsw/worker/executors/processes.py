"""Calls whose function runs in a process of its own: CPU work, or code that blocks the interpreter.

The call itself runs in a thread here: receipt, lease, middleware and result stay with the worker.
Only the function crosses over, as the names of queue and job and the values that it takes. There
are as many processes as such jobs have run at once; they are spawned, load the app by name, and
serve one call after the other.
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

from sqsw.core.errors import AppLoadError, JobNotStarted, JobTimeout, SQSError
from sqsw.core.hidden_modules import hiding_advice
from sqsw.core.jobs.runtime import FunctionCall, Load, call_limit, job_runtime
from sqsw.core.safe_logger import SafeLogger
from sqsw.core.wording import described
from sqsw.worker.executors.base import Runnable
from sqsw.worker.executors.pool_answer import PoolAnswer
from sqsw.worker.executors.pool_process import SHOW, serve_calls
from sqsw.worker.executors.threads import ThreadExecutor

logger = SafeLogger(__name__)

#: seconds that a process may take to say where it is, and between two parts of that
_STACK_SECONDS, _PART_SECONDS = 0.5, 0.02

#: seconds between two looks whether a process that has not answered is there
_LOOK_SECONDS = 1.0


class ProcessExecutor(ThreadExecutor):
    """Threads whose jobs have a pool of processes for their functions.

    Parameters
    ----------
    load :
        Finds functions in a process of the pool; None: by the modules that they are in.
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
        """Every job has a way to a process of the pool."""
        token = job_runtime.set(replace(job_runtime.get(), call_elsewhere=self.call))
        super().start()
        job_runtime.reset(token)

    def cancel(self, call: Runnable) -> None:
        """Kill the process of a call; its function ends with an error."""
        with self._pool_lock:
            process = self._busy.get(call.runner) if isinstance(call.runner, int) else None
        if process is not None:
            process.kill()

    def stop(self, deadline: float) -> None:
        """End the processes; one that still runs a job is killed."""
        with self._pool_lock:
            self._stopped = True
            processes, self._free = [*self._free, *self._busy.values()], []
            self._freed.notify_all()
        for process in processes:
            process.kill()
        super().stop(deadline)

    def stack_of(self, call: Runnable) -> str:
        """Where the process of a call is, as lines with its process id; empty: it has none."""
        with self._pool_lock:
            process = self._busy.get(call.runner) if isinstance(call.runner, int) else None
        return "" if process is None else process.stack()

    def call(self, request: FunctionCall) -> object:
        """Run a function in a process; what it returned, or raise what it raised.

        Raises
        ------
        JobTimeout
            The deadline of the job came first; the process has been killed.
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
        """Make sure that one process is ready, unless one is busy."""
        with self._pool_lock:
            if self._stopped or any(process.is_ready for process in self._busy.values()):
                return
        with self._process(self._module) as process:
            process.wait_until_ready()

    @contextmanager
    def _process(self, module: str) -> "Iterator[_PoolProcess]":
        """Return a process for the current thread; replace one that is broken."""
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
                        "no process of the pool can be started", why=described(error)
                    ) from error
                logger.warning("no further pool process can be started, so a job waits: %s", error)
            self._freed.wait()
        raise JobNotStarted("the worker has ended")

    def _take(self) -> "_PoolProcess | None":
        """A free process; what has died while it was idle costs no job a try."""
        while self._free:
            process = self._free.pop()
            if process.is_alive:
                return process
            process.end()
        return None


class _PoolProcess:
    """One process and the pipe to it, which may outlive it in what its job has forked."""

    def __init__(self, load: Load | None, module: str) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self.is_ready = False
        self._calls = 0
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
        """Whether it has not ended."""
        return self._process.is_alive()

    def run(self, request: bytes, limit: float | None) -> PoolAnswer | None:
        """Return the result of the function; its time counts from when the process is ready.

        None if the process ended while it was idle, before it got the call.
        """
        self.wait_until_ready()
        try:
            self._connection.send_bytes(request)
        except OSError:
            self.kill()
            return None
        self._calls += 1
        return self._answer(limit)

    def wait_until_ready(self) -> None:
        """Wait until it has loaded what the jobs need.

        Raises
        ------
        JobNotStarted
            It ended before that, or cannot load the app.
        """
        if self.is_ready:
            return
        try:
            self._answer(None).open(())
        except BaseException as error:  # noqa: BLE001  # the app can raise anything there
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
        """Wait for an answer, or the end of the process; whether it came within the limit."""
        end = float("inf") if limit is None else time.monotonic() + limit
        while not self._connection.poll(max(0.0, min(_LOOK_SECONDS, end - time.monotonic()))):
            if not self.is_alive and not self._connection.poll(0):
                raise EOFError
            if time.monotonic() >= end:
                return False
        return True

    def _gone(self) -> SQSError:
        self._process.join(1.0)
        return SQSError(
            "the process of the job ended before the job did",
            why=f"its exit code is {self._process.exitcode}",
            next="look for a crash, or for the end of memory; the job is run again",
        )

    def stack(self) -> str:
        """Where it is, by its own account."""
        pid = self._process.pid or 0
        if not self.is_alive:
            return f"  in process {pid}, which has ended\n"
        if not self.is_ready:
            return f"  in process {pid}, which loads the app\n"
        while self._stacks.poll(0) and self._read_stacks():
            pass  # what somebody else has asked for
        with suppress(ProcessLookupError):  # it has ended just now
            os.kill(pid, SHOW)
        told, wait_seconds = b"", _STACK_SECONDS
        while self._stacks.poll(wait_seconds) and (part := self._read_stacks()):
            told, wait_seconds = told + part, _PART_SECONDS
        where = f":\n{told.decode(errors='replace')}" if told else ", which does not answer\n"
        return f"  in process {pid}{where}"

    def _read_stacks(self) -> bytes:
        return os.read(self._stacks.fileno(), 1 << 16)

    def kill(self) -> None:
        """End it now; may be called twice, and from any thread."""
        self._process.kill()
        self._process.join(1.0)

    def end(self) -> None:
        """End it and close its file descriptors; call this in the thread that has it."""
        self.kill()
        self._connection.close()
        self._stacks.close()


def _cannot_load(error: BaseException, exit_code: int | None) -> JobNotStarted:
    """Return the error for a pool process that did not become ready: it would fail every job."""
    why, next_step = described(error), getattr(error, "next", None)
    if isinstance(error, SQSError):
        why = error.summary
    if (hidden := hiding_advice()) is not None:
        why, next_step = f"{why}; {hidden[0]}", hidden[1]
    made = JobNotStarted("a process of the pool cannot load the app", why=why, next=next_step)
    # If a signal or a lack of memory ended the process, the app is not to blame.
    is_of_app = (exit_code or 0) >= 0 and not isinstance(error, OSError | MemoryError)
    made.__cause__ = error
    if is_of_app:
        made.__cause__ = AppLoadError(made.message, why=why, next=next_step)
        made.__cause__.__cause__ = error
    return made
