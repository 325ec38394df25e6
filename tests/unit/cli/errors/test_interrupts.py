"""Signals that end a command."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsw_cli.errors.interrupts import EndBySignal
from tests.screen import Terminal
from tests.unit.cli.conftest import Sqsw


@pytest.fixture(autouse=True)
def as_in_a_shell() -> Iterator[None]:
    former = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGHUP)}
    for sign in former:
        signal.signal(sign, signal.SIG_DFL)
    yield
    for sign, handler in former.items():
        signal.signal(sign, handler)


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_command_like_ctrl_c(sign: signal.Signals, code: int) -> None:
    with EndBySignal() as taken:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(sign)
        assert taken.exit_code == code
    assert signal.getsignal(sign) is signal.SIG_DFL


def test_an_echo_does_not_interrupt_the_cleanup_but_a_second_signal_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("sqsw_cli.errors.interrupts.time.monotonic", lambda: now)
    with EndBySignal():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        now += 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_ignored_or_handled_signals_are_left_alone_and_so_are_threads() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    with EndBySignal() as taken:
        for sign in (signal.SIGHUP, signal.SIGTERM):
            signal.raise_signal(sign)
    assert (seen, taken.exit_code) == ([signal.SIGTERM], None)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def enter() -> None:
        with EndBySignal():
            seen.append(0)  # no error: only the main thread can set a signal handler

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.SIGTERM, 0]


GONE = """
import os, pty, sys
from sqsw_cli.main import _drop_closed_streams
ours, theirs = pty.openpty()
os.dup2(theirs, 2)
os.close(ours)
sys.stderr.reconfigure(line_buffering=False)
print("kept")
print("lost", file=sys.stderr)
_drop_closed_streams()
"""


def test_output_that_a_closed_terminal_refuses_is_not_an_error() -> None:
    env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run([sys.executable, "-c", GONE], stdout=subprocess.PIPE, env=env, check=False)
    assert (ran.returncode, ran.stdout) == (0, b"kept\n")


def test_a_closed_terminal_is_not_reported_as_a_bug(sqsw: Sqsw, tmp_path: Path) -> None:
    sqsw("create-queue emails")
    sqsw("send emails x")
    env = {**os.environ, "TERM": "xterm", "TMPDIR": str(tmp_path)}
    with Terminal(sqsw.command("purge emails"), env=env) as terminal:
        terminal.wait_until(lambda: "type" in "\n".join(terminal.lines).lower())
        terminal.hang_up()
        assert terminal.process.wait(60) == 129
    assert not list(tmp_path.glob("sqsw-traceback-*"))
