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
def test_they_end_it_as_a_ctrl_c_does(sign: signal.Signals, code: int) -> None:
    with EndBySignal() as taken:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(sign)
        assert taken.exit_code == code
    assert signal.getsignal(sign) is signal.SIG_DFL


def test_an_echo_does_not_end_the_cleaning_up_and_a_second_one_does(
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


def test_what_is_ignored_or_handled_stays_so_and_so_does_all_in_a_thread() -> None:
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
            seen.append(0)  # no error: only the main thread may take a signal

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


def test_what_a_closed_terminal_does_not_take_is_no_error_at_the_end() -> None:
    env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run([sys.executable, "-c", GONE], stdout=subprocess.PIPE, env=env, check=False)
    assert (ran.returncode, ran.stdout) == (0, b"kept\n")


def test_a_terminal_that_is_closed_is_no_defect(sqsw: Sqsw, tmp_path: Path) -> None:
    sqsw("create-queue emails")
    sqsw("send emails x")
    env = {**os.environ, "TERM": "xterm", "TMPDIR": str(tmp_path)}
    with Terminal(sqsw.command("purge emails"), env=env) as terminal:
        terminal.wait_until(lambda: "type" in "\n".join(terminal.lines).lower())
        terminal.hang_up()
        assert terminal.process.wait(60) == 129
    assert not list(tmp_path.glob("sqsw-traceback-*"))
