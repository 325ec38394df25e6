"""The inbox of a worker's main thread: signals, and notices from other threads."""

import os
import select
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Literal, NamedTuple

from sqsw.worker.hangup import ControllingTerminal

#: ``drain`` and ``quiet``: as in the documented table of signals; ``slots``: show what runs;
#: ``reload``: replace the processes, if there is a supervisor; ``look``: only wake up; ``fail``: a
#: role cannot continue; ``decided``: a shutdown policy decided to stop its lanes; ``force``: stop
#: now.
Verb = Literal["drain", "force", "quiet", "slots", "reload", "look", "fail", "decided"]

#: what each signal asks a worker to do
VERBS: Mapping[signal.Signals, Verb] = {
    signal.SIGTERM: "drain",
    signal.SIGINT: "drain",
    signal.SIGUSR1: "slots",
    signal.SIGUSR2: "quiet",
    signal.SIGTSTP: "quiet",
    signal.SIGHUP: "reload",
}

#: The second signal of a supervisor to its children. It cannot be SIGTERM: service managers that
#: signal all processes of a service send that one too, in addition to the supervisor.
FORCE = signal.SIGQUIT

#: seconds within which a repeated signal counts as the same one: people press Ctrl-C more slowly
ECHO_SECONDS = 0.3


class InboxNotice(NamedTuple):
    """One thing to do. ``reason`` is the signal, or the reason that the report gives."""

    verb: Verb
    reason: str
    error: BaseException | None = None

    @property
    def is_signal(self) -> bool:
        """Whether it came as a signal."""
        return self.reason in signal.Signals.__members__


class SignalCounter:
    """Counts the signals that ask to stop, without their echoes.

    Some programs signal a process and then its whole group: ``timeout`` and some supervisors do.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._count = 0

    def note(self, notice: InboxNotice) -> None:
        """Count a notice to stop if it is a signal and not an echo."""
        if notice.is_signal:
            now, before = self._clock(), self._heard.get(notice.reason)
            self._heard[notice.reason] = now
            self._count += before is None or now - before >= ECHO_SECONDS

    @property
    def has_second(self) -> bool:
        """Whether a second signal arrived."""
        return self._count > 1


class _Role:
    """Whether this process is the child of a supervisor."""

    is_child = False


def become_child() -> None:
    """Make this process a child: only its supervisor acts on the terminal and on second signals."""
    _Role.is_child = True
    for number in VERBS:
        # Ctrl-C on a terminal reaches every process, but must start one drain only. The other
        # signals would end a child that has no worker yet.
        ends = number == signal.SIGTERM
        signal.signal(number, signal.SIG_DFL if ends else signal.SIG_IGN)
    terminal = ControllingTerminal()
    # If the terminal is closed, the supervisor drains. Its children only stop writing to it.
    signal.signal(signal.SIGHUP, lambda *_: terminal.release_if_gone())
    # The default action of this signal dumps a core.
    signal.signal(FORCE, lambda *_: os._exit(128 + FORCE))


def is_child() -> bool:
    """Return whether this process is the child of a supervisor."""
    return _Role.is_child


class SignalInbox:
    """Notices for the main thread, from signals and from ``post``.

    As a context manager in the main thread, it handles the signals and restores their handlers at
    the end. SIGINT and SIGHUP stay ignored if they were ignored before, for example by ``nohup``.
    In the children of a supervisor, their handlers are not changed.
    """

    def __init__(self) -> None:
        self._notices: deque[InboxNotice] = deque()
        #: a byte that is written to the second socket wakes the thread that waits for the first
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._former: dict[signal.Signals, Any] = {}
        self._former_fd = -1
        self._told_to_drain = False
        self._terminal = ControllingTerminal()
        self._has_hung_up = False

    def __enter__(self) -> "SignalInbox":
        self._sockets = socket.socketpair()
        for each in self._sockets:
            each.setblocking(False)
        if self._notices:
            self._wake(self._sockets)  # they were posted before the sockets existed
        if threading.current_thread() is threading.main_thread():
            # The kernel can deliver a signal to any thread, and this one would keep waiting. The
            # byte that the interpreter writes here always wakes it.
            self._former_fd = signal.set_wakeup_fd(
                self._sockets[1].fileno(), warn_on_full_buffer=False
            )
            for number in (*VERBS, FORCE) if _Role.is_child else VERBS:
                is_left = _Role.is_child or signal.getsignal(number) is signal.SIG_IGN
                if not (is_left and number in (signal.SIGINT, signal.SIGHUP)):
                    self._former[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._former:
            signal.set_wakeup_fd(self._former_fd)
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._former = {}
        sockets, self._sockets = self._sockets, None
        for each in sockets or ():
            each.close()

    def fileno(self) -> int:
        """Return a file descriptor for ``select``, readable if there is a notice."""
        return -1 if self._sockets is None else self._sockets[0].fileno()

    def post(self, verb: Verb, reason: str, error: BaseException | None = None) -> None:
        """Add a notice, from any thread. It is kept until the main thread waits."""
        self._notices.append(InboxNotice(verb, reason, error))
        sockets = self._sockets
        if sockets is not None:
            self._wake(sockets)

    def _wake(self, sockets: tuple[socket.socket, socket.socket]) -> None:
        # A full socket wakes the reader anyway. A closed one has no reader any more.
        with suppress(OSError):
            sockets[1].send(b"\0")

    def wait(self, timeout: float | None = None) -> list[InboxNotice]:
        """Return the notices, or an empty list after ``timeout`` seconds; None: wait for one."""
        if not self._notices and self._sockets is not None:
            select.select([self._sockets[0]], [], [], timeout)
            with suppress(BlockingIOError):
                while self._sockets[0].recv(4096):
                    pass
        notices = []
        while self._notices:
            notices.append(self._notices.popleft())
        return notices

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        sign = signal.Signals(number)
        if sign is signal.SIGTERM and _Role.is_child and self._told_to_drain:
            return  # the supervisor and a service manager both sent one: still one drain
        self._told_to_drain = self._told_to_drain or sign is signal.SIGTERM
        verb = VERBS.get(sign, "force")
        if sign is signal.SIGHUP and self._terminal.release_if_gone():
            # Once: the system sends it, and the shell sends it again.
            verb = "look" if self._has_hung_up else "drain"
            self._has_hung_up = True
        self._notices.append(InboxNotice(verb, sign.name))
