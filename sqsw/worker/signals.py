"""Signals as an inbox: what the main thread of a worker reads while it waits."""

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

#: ``drain`` and ``quiet`` as in the command line's table of signals, ``slots``: show what runs,
#: ``reload``: replace the processes, where there is a supervisor, ``look``: only wake up, ``fail``:
#: a role cannot go on, ``decided``: a shutdown policy wants its lanes to leave, ``force``: stop
#: now.
Verb = Literal["drain", "force", "quiet", "slots", "reload", "look", "fail", "decided"]

#: what the signals say to a worker
VERBS: Mapping[signal.Signals, Verb] = {
    signal.SIGTERM: "drain",
    signal.SIGINT: "drain",
    signal.SIGUSR1: "slots",
    signal.SIGUSR2: "quiet",
    signal.SIGTSTP: "quiet",
    signal.SIGHUP: "reload",
}

#: what a supervisor says to its children instead of a second SIGTERM: that one may reach them from
#: outside, where all processes of a service are signalled, beside the one that the supervisor sends
FORCE = signal.SIGQUIT

#: seconds within which a repeated signal is the same one; nobody presses Ctrl-C twice that fast
ECHO_SECONDS = 0.3


class InboxNotice(NamedTuple):
    """One thing to do, and who asks for it."""

    verb: Verb
    reason: str
    error: BaseException | None = None

    @property
    def is_signal(self) -> bool:
        """Whether it came as a signal."""
        return self.reason in signal.Signals.__members__


class SignalCounter:
    """Counts the signals that mean to end, each without its echo.

    Some programs signal a process and then its whole group: `timeout` does, and some supervisors.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._count = 0

    def note(self, notice: InboxNotice) -> None:
        """Somebody means to end."""
        if notice.is_signal:
            now, before = self._clock(), self._heard.get(notice.reason)
            self._heard[notice.reason] = now
            self._count += before is None or now - before >= ECHO_SECONDS

    @property
    def are_two(self) -> bool:
        """Whether there was a second one."""
        return self._count > 1


class _Role:
    """Whether this process is the child of a supervisor."""

    is_child = False


def become_child() -> None:
    """Obey the supervisor from now on: it speaks for the terminal, and for second signals."""
    _Role.is_child = True
    for number in VERBS:
        # A terminal's Ctrl-C reaches every process, and one press is to be one drain. The others
        # would end a child that has no worker yet.
        ends = number == signal.SIGTERM
        signal.signal(number, signal.SIG_DFL if ends else signal.SIG_IGN)
    terminal = ControllingTerminal()
    # The supervisor drains where a terminal is closed; its children only write there no more.
    signal.signal(signal.SIGHUP, lambda *_: terminal.let_go_if_gone())
    # Its default would leave a core behind.
    signal.signal(FORCE, lambda *_: os._exit(128 + FORCE))


def is_child() -> bool:
    """Whether this process obeys a supervisor."""
    return _Role.is_child


class SignalInbox:
    """Notices for the main thread: from signals, and by ``post`` from any thread.

    As a context manager it takes the signals over, in the main thread only, and gives them back at
    the end. SIGINT and SIGHUP stay ignored where they are at the beginning, under ``nohup``; and in
    the children of a supervisor they are left as they are.
    """

    def __init__(self) -> None:
        self._notices: deque[InboxNotice] = deque()
        self._doors: tuple[socket.socket, socket.socket] | None = None
        self._former: dict[signal.Signals, Any] = {}
        self._former_fd = -1
        self._told_to_drain = False
        self._terminal = ControllingTerminal()
        self._has_hung_up = False

    def __enter__(self) -> "SignalInbox":
        self._doors = socket.socketpair()
        for door in self._doors:
            door.setblocking(False)
        if self._notices:
            self._ring(self._doors)  # they came too early to make the door readable
        if threading.current_thread() is threading.main_thread():
            # The kernel may give a signal to any thread, and then the wait of this one would go on;
            # the byte that the interpreter writes here ends the wait in any case.
            self._former_fd = signal.set_wakeup_fd(
                self._doors[1].fileno(), warn_on_full_buffer=False
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
        doors, self._doors = self._doors, None
        for door in doors or ():
            door.close()

    def fileno(self) -> int:
        """What to wait for beside other things; readable once there is a notice."""
        return -1 if self._doors is None else self._doors[0].fileno()

    def post(self, verb: Verb, reason: str, error: BaseException | None = None) -> None:
        """Leave a notice; it is kept where nobody waits yet."""
        self._notices.append(InboxNotice(verb, reason, error))
        doors = self._doors
        if doors is not None:
            self._ring(doors)

    def _ring(self, doors: tuple[socket.socket, socket.socket]) -> None:
        # Full, so the reader wakes anyway; or closed just now, so nobody reads any more.
        with suppress(OSError):
            doors[1].send(b"\0")

    def wait(self, timeout: float | None = None) -> list[InboxNotice]:
        """The notices there are, after ``timeout`` seconds at the latest; None waits for one."""
        if not self._notices and self._doors is not None:
            select.select([self._doors[0]], [], [], timeout)
            with suppress(BlockingIOError):
                while self._doors[0].recv(4096):
                    pass
        notices = []
        while self._notices:
            notices.append(self._notices.popleft())
        return notices

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        sign = signal.Signals(number)
        if sign is signal.SIGTERM and _Role.is_child and self._told_to_drain:
            return  # from outside, beside the one of the supervisor: still one drain
        self._told_to_drain = self._told_to_drain or sign is signal.SIGTERM
        verb = VERBS.get(sign, "force")
        if sign is signal.SIGHUP and self._terminal.let_go_if_gone():
            # Once: the system says it, and the shell says it again.
            verb = "look" if self._has_hung_up else "drain"
            self._has_hung_up = True
        self._notices.append(InboxNotice(verb, sign.name))
