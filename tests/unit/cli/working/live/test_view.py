"""``sqsw work`` on a terminal, as a user sees it."""

import io
import os
import pty
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sqsw.worker.signals import ECHO_SECONDS
from sqsw_cli.invocation import Invocation
from sqsw_cli.working.live.view import wants_view
from tests.screen import Terminal
from tests.unit.cli.conftest import Sqsw

TASKS = """
import logging, os, subprocess, sys, time
from pathlib import Path
from sqsw.sqs_env import SQSEnv

env = SQSEnv()

@env.processor("emails", "talk")
def talk():
    print("printed")
    subprocess.run(["echo", "from a child of mine"], check=True)
    os.write(2, b"written\\n")
    logging.getLogger("tasks").info("logged")
    sys.stdout.write("without an end")
    sys.stdout.flush()

@env.processor("emails", "wait")
def wait():
    while not Path("go-on").exists():
        time.sleep(0.01)

    print("printed at the end")

@env.processor("emails", "fail")
def fail():
    raise ValueError("no such address")
"""
SAID = ("printed", "from a child of mine", "written", "without an end")


@contextmanager
def working(sqsw: Sqsw, words: str, **environment: str) -> Iterator[Terminal]:
    sqsw("create-queue emails --dlq emails_dead --max-receives 1")
    (sqsw.home / "tasks.py").write_text(TASKS)
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", **environment}
    with Terminal(sqsw.command(f"work tasks:env {words}"), env=env) as terminal:
        yield terminal


def row(terminal: Terminal) -> dict[str, str]:
    """Return the figures of the only queue, by column title; nothing while they are being drawn."""
    block = terminal.block()
    if len(block) < 3 or " · up " not in block[2]:
        return {}
    titles = block[0].replace("in flight", "flight").split()
    return dict(zip(titles, block[1].split(), strict=True))


def is_said(terminal: Terminal) -> bool:
    """Return whether all texts are there, each at the beginning of a line."""
    return all(any(line.startswith(said) for line in terminal.lines) for said in SAID)


def test_lines_scroll_above_a_block_that_is_updated(sqsw: Sqsw) -> None:
    with working(sqsw, "-Q emails -c 3 --drain-timeout 20s") as terminal:
        before = termios.tcgetattr(terminal._ours)
        for job in ("talk", "wait", "wait", "fail"):
            sqsw(f"send emails {job}")
        terminal.wait_until(
            lambda: (
                is_said(terminal)
                and row(terminal).get("running") == "2"
                and row(terminal).get("ready") == "0"
            )
        )
        seen = row(terminal)
        assert (seen["done"], seen["failed"], seen["retry"]) == ("1", "1", "0")
        assert seen["flight"].isdecimal() and seen["dead"].isdecimal()
        assert seen["longest"].endswith("s")
        assert len([line for line in terminal.lines if line.startswith("queue ")]) == 1
        assert terminal.block()[-1].startswith("2 of 3 slots busy · up ")
        terminal.wait_until(lambda: row(terminal)["flight"] == "2" and row(terminal)["dead"] == "1")
        os.kill(terminal.process.pid, signal.SIGUSR1)
        terminal.wait_until(lambda: any("running for" in line for line in terminal.lines))

        terminal.resize(40)
        titles = ["queue", "done", "failed", "ready", "dead"]
        terminal.wait_until(lambda: terminal.block()[0].split() == titles)

        terminal.resize(100)
        terminal.press("\x03")
        terminal.wait_until(lambda: "draining: 2 jobs running" in terminal.block()[-1])
        (sqsw.home / "go-on").touch()
        assert terminal.end() == 0
        # The last block stays, the summary is below it, and the terminal is restored.
        assert terminal.block()[2].startswith("stopped · up ")
        assert (row(terminal)["running"], row(terminal)["done"]) == ("0", "3")
        # It queries once more at the end, if the answer takes less than a second.
        assert (row(terminal)["flight"], row(terminal)["dead"]) in (("0", "1"), ("2", "1"))
        assert terminal.block()[3].startswith("3 done, 1 failed, 1 dead-lettered in ")
        assert b"\x1b[?" not in terminal.written
        assert termios.tcgetattr(terminal._ours) == before


def test_several_processes_share_one_block(sqsw: Sqsw) -> None:
    with working(sqsw, "-Q emails -c 1 --processes 2", NO_COLOR="", COLORTERM="") as terminal:
        for job in ("wait", "wait", "talk"):
            sqsw(f"send emails {job}")
        terminal.wait_until(lambda: row(terminal).get("running") == "2")
        assert "2 of 2 slots busy" in terminal.block()[-1]
        (sqsw.home / "go-on").touch()
        terminal.wait_until(lambda: row(terminal).get("done") == "3")
        assert is_said(terminal)
        # Processes format their lines for a terminal, although they write to a pipe.
        terminal.wait_until(  # the terminal can have read a part of a line
            lambda: [len(line) for line in terminal.lines if " ✓ emails wait " in line] == [100] * 2
        )
        assert "\x1b[32m✓\x1b[0m".encode() in terminal.written
        terminal.press("\x1a")
        terminal.wait_until(lambda: terminal.block()[-1].startswith("quiet: 0 jobs running"))
        terminal.wait_until(lambda: sum(" quiet (" in line for line in terminal.lines) == 2)
        terminal.press("\x03")
        assert terminal.end() == 0
        assert terminal.lines[-1].startswith("3 done, 0 failed in ")


def test_a_second_ctrl_c_ends_it_at_once(sqsw: Sqsw) -> None:
    with working(sqsw, "-Q emails -c 1") as terminal:
        sqsw("send emails wait")
        terminal.wait_until(lambda: row(terminal).get("running") == "1")
        terminal.press("\x03")
        terminal.wait_until(lambda: "draining: 1 job running" in terminal.block()[-1])
        time.sleep(2 * ECHO_SECONDS)
        terminal.press("\x03")
        assert terminal.end() == 130
        assert terminal.block()[2].startswith("stopped")


def test_the_view_needs_a_terminal_and_can_be_turned_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    terminal, file = os.fdopen(theirs, "w"), (tmp_path / "log").open("w")
    streams: list[tuple[io.TextIOWrapper, io.TextIOWrapper]] = [
        (terminal, terminal),
        (terminal, file),
        (file, terminal),
    ]
    with terminal, file:

        def wanted(stdout: int = 0, term: str = "xterm", **options: object) -> bool:
            monkeypatch.setattr(sys, "stdout", streams[stdout][0])
            monkeypatch.setattr(sys, "stderr", streams[stdout][1])
            monkeypatch.setenv("TERM", term)
            return wants_view(Invocation(**options))  # type: ignore[arg-type]  # rows of a table

        assert wanted()
        assert wanted(color="never")
        assert not wanted(1) and not wanted(2)
        assert not wanted(term="dumb") and not wanted(term="")
        assert not wanted(quiet=True) and not wanted(json=True)
        assert not wanted(log_format="console") and not wanted(log_format="json")
    os.close(ours)


@pytest.mark.parametrize(
    "words", ["", "--log-format console", "--log-format console --processes 2"]
)
def test_closing_the_terminal_ends_the_worker_and_harms_no_job(sqsw: Sqsw, words: str) -> None:
    with working(sqsw, f"-Q emails -c 1 {words}") as terminal:
        sqsw("send emails wait")
        terminal.wait_until(lambda: sqsw("inspect emails --json").objects[0]["in_flight"] == 1)
        terminal.hang_up()
        time.sleep(2 * ECHO_SECONDS)
        os.kill(terminal.process.pid, signal.SIGHUP)  # the shell sends it again
        sqsw("send emails talk")
        (sqsw.home / "go-on").touch()
        terminal.process.wait(30)
        left = sqsw("inspect emails emails_dead --json").objects
        assert [(queue["visible"], queue["in_flight"]) for queue in left[:2]] == [(1, 0), (0, 0)]
