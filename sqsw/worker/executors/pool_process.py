"""What a process of the pool does: it takes a call, runs its function, and answers."""

import faulthandler
import importlib
import logging
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from sqsw.context import job_scope
from sqsw.core.arguments import call_handler
from sqsw.core.errors import SQSError
from sqsw.core.job_host import Find, FunctionCall, Load

logger = logging.getLogger(__name__)


class FunctionNotFound(SQSError):
    """A process of the pool has no such job."""


#: has this process write where it is, at any time
SHOW = signal.SIGUSR1


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
    calls: SimpleQueue[FunctionCall] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, calls), daemon=True).start()
    try:
        find = None if load is None else load()
        if find is None:
            importlib.import_module(module)  # now, and not in the time of the first job
        _answer(connection)
    except BaseException as raised:  # noqa: BLE001  # the job that needs this process shall tell
        _answer(connection, raised)
        return
    while True:
        request = calls.get()
        try:
            returned = _run(_function(find, request), request)
        except BaseException as raised:  # noqa: BLE001  # SystemExit in a job is a failed job
            _answer(connection, raised)
        else:
            _answer(connection, returned=returned)


def _answer(
    connection: Connection, error: BaseException | None = None, returned: object = None
) -> None:
    """What was raised, and what was returned, as far as that can travel: few look at it."""
    try:
        data = pickle.dumps((error and _portable(error), returned))
    except Exception as unable:  # noqa: BLE001  # whatever an object does to refuse it
        logger.debug("what a job returned stays in its process: %s", unable)
        data = pickle.dumps((None, None))
    connection.send_bytes(data)


def _read(connection: Connection, calls: "SimpleQueue[FunctionCall]") -> None:
    """Beside the jobs: the end of the worker, whatever it died of, is the end of this process."""
    try:
        while True:
            calls.put(pickle.loads(connection.recv_bytes()))  # noqa: S301  # of our own worker
    except (EOFError, OSError):
        os._exit(0)


def _run(function: Callable[..., Any], request: FunctionCall) -> object:
    with nullcontext() if request.job is None else job_scope(request.job):
        return call_handler(function, request.args, request.kwargs)


def _function(find: Find | None, request: FunctionCall) -> Callable[..., Any]:
    found = None if find is None else find(request.queue_name, request.job_name)
    if found is not None:
        return found
    target: Any = None
    if "<" not in request.qualified_name:
        target = importlib.import_module(request.module)
        for name in request.qualified_name.split("."):
            target = getattr(target, name, None)
    # Where it was decorated, a task stands under its name.
    function: Any = getattr(target, "__wrapped__", target)
    if not callable(function):
        raise FunctionNotFound(
            f"a process of the pool cannot find the job {request.job_name!r}",
            why=f"{request.module}.{request.qualified_name} is no function of a module there",
            next="put it at the top of a module that can be imported",
        )
    return function  # type: ignore[no-any-return]  # checked above


def _portable(error: BaseException) -> BaseException:
    """The error as the worker can read it, with the traceback that it has here."""
    trace = "".join(traceback.format_exception(error))
    error.add_note(f"in a process of the pool:\n{trace}")
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception:  # noqa: BLE001  # not every error can travel
        return SQSError(f"{type(error).__name__}: {error}", why=trace)
    return error
