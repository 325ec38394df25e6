"""``sqsw inspect --watch`` on a terminal."""

import os
import re
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.screen import Terminal
from tests.unit.cli.conftest import Sqsw


@contextmanager
def watching(
    sqsw: Sqsw, words: str = "inspect --watch --interval 1", term: str = "xterm"
) -> Iterator[Terminal]:
    sqsw("create-queue emails --dlq emails_dead")
    sqsw("create-queue reports")
    env = {**os.environ, "TERM": term, "NO_COLOR": "1"}
    with Terminal(sqsw.command(words), env=env) as terminal:
        terminal.wait_until(lambda: terminal.lines[-1].startswith(("total ", "  created ")))
        yield terminal


def test_a_watch_shows_the_time_and_the_rates_of_queues(sqsw: Sqsw) -> None:
    with watching(sqsw) as terminal:
        assert re.fullmatch(r"\d\d:\d\d:\d\d · every 1s · q quits", terminal.lines[0])
        assert terminal.lines[-1].split() == ["total", "0", "0", "0", "0"]
        for number in range(30):
            sqsw(f"send emails send_email to=u{number}")
        terminal.wait_until(
            lambda: re.search(r"\nemails +\d+ +\+[\d.]+/s +0", "\n".join(terminal.lines))
        )
        # The line below is drawn later than the row.
        terminal.wait_until(lambda: re.match(r"total +\d+ +\+[\d.]+/s ", terminal.lines[-1]))
        assert len([line for line in terminal.lines if line.startswith("queue ")]) == 1


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_q_and_ctrl_c_end_a_watch_and_restore_the_terminal(sqsw: Sqsw, key: str) -> None:
    with watching(sqsw) as terminal:
        before = termios.tcgetattr(terminal._ours)
        terminal.press(key)
        assert terminal.end() == 0
        after = termios.tcgetattr(terminal._ours)
        assert after[3] & termios.ECHO and not before[3] & termios.ECHO
        assert b"^C" not in terminal.written and terminal.lines[-1].startswith("total ")


def test_a_watch_of_one_queue_has_a_rate_too(sqsw: Sqsw) -> None:
    with watching(sqsw, "inspect emails --watch --interval 1") as terminal:
        for number in range(10):
            sqsw(f"send emails send_email to=u{number}")
        terminal.wait_until(
            lambda: re.search(r"  ready \d+ \(\+[\d.]+/s\) · ", "\n".join(terminal.lines))
        )


def test_a_dumb_terminal_gets_one_table_after_another(sqsw: Sqsw) -> None:
    with watching(sqsw, term="dumb") as terminal:
        terminal.wait_until(lambda: sum(line.startswith("total ") for line in terminal.lines) == 2)
        assert b"\x1b" not in terminal.written
