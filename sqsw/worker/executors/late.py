"""Creates an executor for its first call, because most workers need only one kind."""

import contextvars
import threading
from collections.abc import Callable, Sequence

from sqsw.worker.executors.base import Executor, OnDone, Runnable


class LateExecutor:
    """Creates another executor for the first call, and passes everything on to it."""

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Executor | None = None
        self._stopped = False
        self._context = contextvars.Context()

    def start(self) -> None:
        """Keep the context variables of this thread: every job starts with a copy of them."""
        self._context = contextvars.copy_context()

    def submit(self, calls: Sequence[Runnable], on_done: OnDone) -> None:
        """Pass calls on; create the executor first if there is none."""
        made = self._get()
        if made is not None:
            made.submit(calls, on_done)

    def _get(self) -> Executor | None:
        with self._lock:
            if self._stopped:
                return None
            if self._made is None:
                made = self._make()
                self._context.run(made.start)
                self._made = made
            return self._made

    def check(self) -> None:
        """Pass it on; create the executor first if there is none."""
        made = self._get()
        if made is not None:
            made.check()

    def cancel(self, call: Runnable) -> None:
        """Pass it on."""
        if self._made is not None:
            self._made.cancel(call)

    def stop(self, deadline: float) -> None:
        """Pass it on, and never create the executor after this."""
        with self._lock:
            self._stopped = True
        if self._made is not None:
            self._made.stop(deadline)
