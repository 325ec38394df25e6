"""Signals that end a command: as a Ctrl-C does, so that what it holds is put back first."""

import signal
import threading
import time
from types import FrameType

#: seconds in which several signals are one: ``timeout`` sends it twice, systemd may send both
_ECHO_SECONDS = 0.3


class EndBySignal:
    """Makes SIGTERM and SIGHUP a KeyboardInterrupt inside the block, where they would end it.

    What is ignored (under ``nohup``) or has a handler stays as it is, and so does everything where
    this is not the main thread.

    Attributes
    ----------
    exit_code :
        128 and the number of such a signal; None: there was none.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._at = 0.0
        self._taken: list[int] = []

    def __enter__(self) -> "EndBySignal":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._on_signal)
                    self._taken.append(number)
        return self

    def __exit__(self, *_: object) -> None:
        while self._taken:
            signal.signal(self._taken.pop(), signal.SIG_DFL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now, before = time.monotonic(), self._at
        self._at = now
        if self.exit_code is None or now - before >= _ECHO_SECONDS:
            self.exit_code = 128 + number
            raise KeyboardInterrupt
