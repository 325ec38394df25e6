"""Ends a process of the command line within two seconds, whatever its jobs left behind."""

import atexit
import gc
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

from sqsw.core.delivery import flush_deliveries
from sqsw.core.safe_logger import LOG

logger = logging.getLogger(__name__)

#: seconds for threads to end, and for threads, child processes and atexit handlers together
_THREAD_SECONDS, _LEFT_SECONDS = 0.8, 1.3

#: seconds that the atexit handlers wait for the line about what is left
_TELL_SECONDS = 0.1

#: seconds to write what is still to be written
_WRITE_SECONDS = 0.4

#: threads and processes that are named in the log, and characters of a name
_MOST_NAMES, _NAME_LENGTH = 5, 60


def end_process(exit_code: int, *, at_once: bool = False, is_forked: bool = False) -> NoReturn:
    """End this process; to be called by its main thread.

    Threads, child processes and ``atexit`` handlers can end as usual, and open files are closed.
    Those that take longer than about a second are named in the log and abandoned. The exit code
    does not change.

    Parameters
    ----------
    at_once :
        Wait for nothing: jobs still run that run elsewhere, too.
    is_forked :
        Whether ``multiprocessing`` forked this process. The ``atexit`` handlers are those of its
        parent then.
    """
    teller = _Teller()
    guard = threading.Thread(
        target=_end_late, args=(exit_code, at_once, teller), name="sqsw-end", daemon=True
    )
    try:
        with suppress(RuntimeError, MemoryError):  # no thread is available, so nothing is bounded
            guard.start()
        if not at_once and guard.ident is not None:
            # The interpreter does all this itself, but without a time limit.
            waiter = threading.Thread(target=_wait_for_threads, name="sqsw-wait", daemon=True)
            waiter.start()
            waiter.join(_THREAD_SECONDS)
            if waiter.is_alive():
                # A log that hangs must not hold up what follows.
                telling = threading.Thread(target=teller.tell, name="sqsw-tell", daemon=True)
                telling.start()
                telling.join(_TELL_SECONDS)
            if is_forked:
                sys.modules["multiprocessing.util"]._exit_function()
            else:
                atexit._run_exitfuncs()
        write_last_words()
        if not at_once:
            _close_files()
    finally:
        os._exit(exit_code)


def _wait_for_threads() -> None:
    # The handlers of concurrent.futures end the threads of pools and wait for them.
    for handler in reversed(getattr(threading, "_threading_atexits", ())):
        with suppress(Exception):  # of the app
            handler()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()


def write_last_words() -> None:
    """Write what log handlers and standard streams still hold."""
    flush_deliveries()
    if LOG.flush(0):  # else it would wait for the lock of the handler that hangs
        with suppress(Exception):  # a handler of the app
            logging.shutdown()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]  # or AttributeError
    with suppress(Exception):  # what C libraries hold
        import ctypes

        ctypes.CDLL(None).fflush(None)


def _close_files() -> None:
    """Close open files, so their data is written, as the interpreter does when it ends."""
    file_class: Any = io.IOBase.__base__  # a plain class, so the check of every object is fast
    gc.unfreeze()  # the start of a worker froze its objects, and open files can be among them
    files = [each for each in gc.get_objects() if issubclass(type(each), file_class)]
    for each in sorted(files, key=_layer):
        with suppress(Exception):  # closed, or no real file
            each.close() if each.fileno() > 2 else each.flush()


def _layer(file: object) -> int:
    """Return the order to close files: a file that writes into another one comes first."""
    if isinstance(file, io.TextIOBase):
        return 0
    if isinstance(file, io.RawIOBase):
        return 3
    return 2 if type(file) in (io.BufferedWriter, io.BufferedRandom) else 1


def _end_late(exit_code: int, at_once: bool, teller: "_Teller") -> None:
    if at_once:
        time.sleep(_WRITE_SECONDS)
    else:
        time.sleep(_LEFT_SECONDS)
        # In another thread, because a stuck log must not delay the end either.
        with suppress(RuntimeError, MemoryError):
            last = threading.Thread(target=teller.tell_and_write, name="sqsw-last", daemon=True)
            last.start()
            last.join(_WRITE_SECONDS)
    os._exit(exit_code)


class _Teller:
    def __init__(self) -> None:
        self._has_told = False

    def tell(self) -> None:
        if self._has_told:
            return
        self._has_told = True
        names = list(_left())
        text = ", ".join(names[:_MOST_NAMES]) or "an atexit handler or a file"
        if len(names) > _MOST_NAMES:
            text += f" and {len(names) - _MOST_NAMES} more"
        logger.warning("the process ends without waiting for what jobs left behind: %s", text)

    def tell_and_write(self) -> None:
        self.tell()
        write_last_words()
        _close_files()


def _left() -> Iterator[str]:
    # Daemon threads too: a thread pool waits for its own when Python ends.
    for thread in sorted(threading.enumerate(), key=lambda each: each.daemon):
        is_own = thread in (threading.main_thread(), threading.current_thread())
        if not is_own and not thread.name.startswith("sqsw-"):
            yield f"thread {thread.name[:_NAME_LENGTH]!a}"
    if "multiprocessing.process" in sys.modules:
        from multiprocessing import active_children

        for process in active_children():
            yield f"process {process.pid} {process.name[:_NAME_LENGTH]!a}"
