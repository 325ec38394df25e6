"""Handle SIGTERM and SIGHUP like Ctrl-C, so a command returns its messages before it ends."""

import signal
import threading
import time
from types import FrameType

#: seconds within which signals count as one: ``timeout`` sends two, systemd can send both kinds
_ECHO_SECONDS = 0.3


class EndBySignal:
    """A block in which SIGTERM and SIGHUP raise KeyboardInterrupt instead of ending the process.

    A signal that is ignored (under ``nohup``) or has a handler is left alone. Outside the main
    thread, no signal is changed.

    Attributes
    ----------
    exit_code :
        128 plus the number of the signal; None if there was none.
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
