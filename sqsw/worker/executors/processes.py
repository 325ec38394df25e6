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
from contextlib import suppress
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Any

from sqsw.core.errors import JobTimeout, SQSError
from sqsw.core.job_host import FunctionCall, Load, call_limit, job_host
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.executors.answers import Answer
from sqsw.worker.executors.base import Runnable
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
        self._free: list[_PoolProcess] = []
        self._busy: dict[int, _PoolProcess] = {}

    def start(self) -> None:
        """Every job has a way to a process of the pool."""
        token = job_host.set(replace(job_host.get(), call_elsewhere=self.call))
        super().start()
        job_host.reset(token)

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
        """
        data = pickle.dumps(request)
        thread = threading.get_ident()
        with self._pool_lock:
            if self._stopped:
                raise SQSError("the worker has ended", next="the job is run again")
            process = self._take() or _PoolProcess(self._load, request.module)
            self._busy[thread] = process
        is_well = False
        try:
            answer = process.run(data, call_limit.get())
            is_well = True
        finally:
            with self._pool_lock:
                del self._busy[thread]
                is_well = is_well and not self._stopped
                if is_well:
                    self._free.append(process)
            if not is_well:
                process.kill()
        return answer.open(request.jobs)

    def _take(self) -> "_PoolProcess | None":
        """A free process; what has died while it was idle costs no job a try."""
        while self._free:
            process = self._free.pop()
            if process.is_alive:
                return process
        return None


class _PoolProcess:
    """One process and the pipe to it, which may outlive it in what its job has forked."""

    def __init__(self, load: Load | None, module: str) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self._connection, theirs = multiprocessing.Pipe()
        self._stacks, stacks = multiprocessing.Pipe(duplex=False)
        self._process: BaseProcess = context.Process(
            target=serve_calls, args=(theirs, stacks, load, module), name="sqsw-pool"
        )
        self._process.start()
        theirs.close()
        stacks.close()
        self._is_ready = False

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def run(self, request: bytes, limit: float | None) -> Answer:
        """What the function did; its time counts from when the process is ready."""
        if not self._is_ready:
            self._answer(None).open(())
            self._is_ready = True
        try:
            self._connection.send_bytes(request)
        except OSError as error:
            raise self._gone() from error
        return self._answer(limit)

    def _answer(self, limit: float | None) -> Answer:
        try:
            if not self._has_answer(limit):
                self.kill()
                raise JobTimeout(
                    f"the job ran longer than its time limit of {limit:g} seconds",
                    why="its process was killed",
                )
            answer: Answer = pickle.loads(self._connection.recv_bytes())  # noqa: S301  # of our own process
        except (EOFError, OSError) as error:
            raise self._gone() from error
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
        if not self._is_ready:
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
