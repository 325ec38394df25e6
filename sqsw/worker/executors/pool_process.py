"""What a process of the pool does: it takes a call, runs its function, and answers."""

import faulthandler
import importlib
import inspect
import os
import pickle
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NoReturn

from sqsw.async_task import AsyncTask
from sqsw.context import job_scope
from sqsw.core.arguments import call_handler
from sqsw.core.delivery import flush_deliveries, handing_over
from sqsw.core.errors import SQSError
from sqsw.core.jobs.awaitables import OwnLoop, refuse_unrun
from sqsw.core.jobs.runtime import Find, FunctionCall, Load
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.executors.pool_answer import PoolAnswer

logger = SafeLogger(__name__)


class FunctionNotFound(SQSError):
    """A process of the pool has no such job."""


#: has this process write where it is, at any time
SHOW = signal.SIGUSR1


_loop = OwnLoop()


def serve_calls(connection: Connection, stacks: Connection, load: Load | None, module: str) -> None:
    """Load what is needed, say so, and answer calls until the worker has gone.

    Where the process is, it writes into ``stacks`` when it is told to: also where a C call keeps
    the interpreter.
    """
    os.set_blocking(stacks.fileno(), False)  # what nobody reads must not hold a job up
    faulthandler.register(SHOW, stacks.fileno(), all_threads=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP):
        # The worker decides; what is sent to all processes is not for this one.
        signal.signal(number, signal.SIG_IGN)
    # What a job forks is not to answer in its place, nor to keep the pipe open.
    os.register_at_fork(after_in_child=connection.close)
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, calls), daemon=True).start()
    with handing_over():
        try:
            _serve(connection, calls, load, module)
        except BaseException:  # an answer that cannot be given or sent
            logger.exception("a process of the pool ends")
    os._exit(1)  # now: threads of the app would keep it, and the worker waits


def _serve(
    connection: Connection, calls: "SimpleQueue[bytes]", load: Load | None, module: str
) -> NoReturn:
    find: Find | None = None
    try:
        if load is None:
            importlib.import_module(module)  # now, and not in the time of the first job
        else:
            find = load()
        answer = PoolAnswer.of_returned(None, ())
    except BaseException as raised:  # noqa: BLE001  # the job that needs this process shall tell
        answer = PoolAnswer.of_raised(raised, ())
    number = 0
    while True:
        flush_deliveries()  # the lines of the job before the line about it
        connection.send_bytes(pickle.dumps((number, answer)))
        answer = _answer(find, calls.get())
        number += 1


def _answer(find: Find | None, data: bytes) -> PoolAnswer:
    jobs: Sequence[object] = ()
    try:
        request: FunctionCall = pickle.loads(data)  # noqa: S301  # of our own worker
        jobs = list(request.jobs)  # the function may empty its own
        return PoolAnswer.of_returned(_run(_function(find, request), request), jobs)
    except BaseException as raised:  # noqa: BLE001  # SystemExit in a job is a failed job
        return PoolAnswer.of_raised(raised, jobs)


def _read(connection: Connection, calls: "SimpleQueue[bytes]") -> None:
    """Beside the jobs: the end of the worker, whatever it died of, is the end of this process."""
    try:
        while True:
            calls.put(connection.recv_bytes())
    except (EOFError, OSError):
        flush_deliveries()
        os._exit(0)


def _run(function: Callable[..., Any], request: FunctionCall) -> object:
    with nullcontext() if request.job is None else job_scope(request.job):
        returned = call_handler(
            function, request.args, request.kwargs, check=request.check_arguments
        )
        if inspect.isawaitable(returned):
            returned = _loop.run(returned)
        refuse_unrun(returned, request.job_name)
        return returned


def _function(find: Find | None, request: FunctionCall) -> Callable[..., Any]:
    found = None if find is None else find(request.queue_name, request.job_name)
    if found is not None:
        return found
    target: Any = None
    if "<" not in request.qualified_name:
        target = importlib.import_module(request.module)
        for name in request.qualified_name.split("."):
            target = getattr(target, name, None)
    # Where it was declared as a job, a task stands under its name. Other decorators belong to it.
    function: Any = target.processor if isinstance(target, AsyncTask) else target
    if not callable(function):
        raise FunctionNotFound(
            f"a process of the pool cannot find the job {request.job_name!r}",
            why=f"{request.module}.{request.qualified_name} is no function of a module there",
            next="put it at the top of a module that can be imported",
        )
    return function  # type: ignore[no-any-return]  # checked above
