"""The main function of a pool process: it takes calls, runs their functions, and answers."""

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
    """A pool process cannot find the function of a job."""


#: the signal that makes a pool process write its stack
SHOW = signal.SIGUSR1


_loop = OwnLoop()


def serve_calls(connection: Connection, stacks: Connection, load: Load | None, module: str) -> None:
    """Load the app, send a first answer, and then answer calls until the worker ends.

    At the signal ``SHOW`` the process writes its stack into ``stacks``, even while a C call holds
    the interpreter lock.
    """
    os.set_blocking(stacks.fileno(), False)  # an unread stack must not block a job
    faulthandler.register(SHOW, stacks.fileno(), all_threads=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP):
        # The worker acts on signals that are sent to all processes.
        signal.signal(number, signal.SIG_IGN)
    # A process that a job forks must not answer for it, and must not keep the pipe open.
    os.register_at_fork(after_in_child=connection.close)
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, calls), daemon=True).start()
    with handing_over():
        try:
            _serve(connection, calls, load, module)
        except BaseException:  # an answer could not be made or sent
            logger.exception("a pool process ends")
    os._exit(1)  # at once: threads of the app could keep the process alive while the worker waits


def _serve(
    connection: Connection, calls: "SimpleQueue[bytes]", load: Load | None, module: str
) -> NoReturn:
    find: Find | None = None
    try:
        if load is None:
            importlib.import_module(module)  # now, so the time limit of the first job excludes it
        else:
            find = load()
        answer = PoolAnswer.of_returned(None, ())
    except BaseException as raised:  # noqa: BLE001  # the job that needs this process reports it
        answer = PoolAnswer.of_raised(raised, ())
    number = 0
    while True:
        flush_deliveries()  # so the log has the lines of the job before the line about its end
        connection.send_bytes(pickle.dumps((number, answer)))
        answer = _answer(find, calls.get())
        number += 1


def _answer(find: Find | None, data: bytes) -> PoolAnswer:
    jobs: Sequence[object] = ()
    try:
        request: FunctionCall = pickle.loads(data)  # noqa: S301  # from our own worker
        jobs = list(request.jobs)  # a copy: the function can change its list
        return PoolAnswer.of_returned(_run(_function(find, request), request), jobs)
    except BaseException as raised:  # noqa: BLE001  # SystemExit in a job is a failed job
        return PoolAnswer.of_raised(raised, jobs)


def _read(connection: Connection, calls: "SimpleQueue[bytes]") -> None:
    """Read calls in a thread of its own; end this process if the worker ends for any reason."""
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
    # A decorated job is a task under its own name. Other decorators are part of its function.
    function: Any = target.processor if isinstance(target, AsyncTask) else target
    if not callable(function):
        raise FunctionNotFound(
            f"a pool process cannot find the function of job {request.job_name!r}",
            why=f"{request.module}.{request.qualified_name} is not a function at module level",
            next="move it to the top level of a module that can be imported",
        )
    return function  # type: ignore[no-any-return]  # checked above
