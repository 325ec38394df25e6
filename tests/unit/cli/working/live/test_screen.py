"""Output that is written while a block is on the terminal."""

import os
import re
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.screen import Terminal

ROOT = Path(__file__).parents[5]

PROGRAM = """
import ctypes, faulthandler, os, signal, subprocess, sys, time
from sqsw_cli.working.live.screen import Screen

drawn = 0
def draw(columns, lines):
    global drawn
    drawn += 1
    return ["first", f"{columns} x {lines}", "n" * 70, *more()]

def more():
    return []

def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()

screen = Screen(draw)
"""
THREE_LINES = """
screen.take()
for number in range(3):
    print("line", number)
write("half a line")
while drawn < 1:
    time.sleep(0.01)
"""
THE_END = """
screen.give_back()
print("after")
"""


def run(*parts: str, code: int = 0, looks: bool = True, late: float = 0.0, **env: str) -> Terminal:
    """Run a program on a terminal until it ends."""
    program = [sys.executable, "-c", "".join((PROGRAM, *parts))]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    with Terminal(program, env=env, columns=60, lines=20) as terminal:
        time.sleep(late)
        assert terminal.end(looks=looks) == code
    return terminal


def numbers(terminal: Terminal) -> list[int]:
    """Return the numbers of the printed lines, in order."""
    return [int(number) for number in re.findall(rb"line (\d+)\r\n", terminal.written)]


def test_the_last_block_stays_below_the_output() -> None:
    assert run(THREE_LINES, THE_END).lines == [
        *("line 0", "line 1", "line 2", "half a line"),
        *("", "first", "60 x 18", "n" * 60, "n" * 10, "after"),
    ]


def test_an_unfinished_line_is_shown_after_a_while_even_if_it_grows() -> None:
    writes_on = "for _ in range(28): write('.'); time.sleep(0.05)"
    terminal = run(THREE_LINES, writes_on, THE_END, COLUMNS="50")
    assert re.search(rb"half a line\.+\r\n.*\x1b\[J\.+\r\n", terminal.written, re.DOTALL)
    assert "50 x 18" in terminal.lines  # the requested number of columns


def test_a_ctrl_c_that_the_terminal_echoes_does_not_indent_the_next_line() -> None:
    echo = "time.sleep(0.5)\nos.write(screen._terminal, b'^C')\nprint()\n"
    assert "half a line" in run(THREE_LINES, echo, THE_END).lines


def test_no_output_is_lost_however_much_is_written() -> None:
    lines = "screen.take()\nfor number in range(200_000): print('line', number)"
    assert numbers(run(lines, THE_END, looks=False)) == list(range(200_000))


def test_no_output_is_lost_on_a_terminal_that_was_made_non_blocking() -> None:
    lines = "for number in range(20_000): print('line', number)"
    parts = ("os.set_blocking(2, False)\nscreen.take()\n", lines, "\nscreen.give_back()")
    assert numbers(run(*parts, looks=False, late=0.5)) == list(range(20_000))


@pytest.mark.parametrize(
    ("crash", "code"),
    [
        ("faulthandler.enable(); faulthandler._sigsegv()", 139),
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
    ],
)
def test_after_a_crash_the_shell_works_normally(crash: str, code: int) -> None:
    program = "".join((PROGRAM, THREE_LINES, "time.sleep(0.2)\n", crash))
    # As for a user, a shell owns the terminal, so the crash causes no hangup.
    shell = ["sh", "-c", '"$0" -c "$1"; code=$?; echo; echo "$ "; exit $code', sys.executable]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Terminal([*shell, program], env=env, columns=60, lines=40) as terminal:
        before = termios.tcgetattr(terminal._ours)
        assert terminal.end() == code
        assert terminal.lines[:3] == ["line 0", "line 1", "line 2"]
        assert "n" * 10 in terminal.lines and terminal.lines[-2:] == ["", "$"]
        assert b"\x1b[?" not in terminal.written  # no terminal mode to restore, no hidden cursor
        assert termios.tcgetattr(terminal._ours) == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_fast_writer_does_not_delay_the_block_or_use_memory() -> None:
    program = """
more = lambda: [f"drawn {drawn}"]
screen.take()
before = open("/proc/self/status").read().partition("VmRSS:")[2].split()[0]
zeros = [subprocess.Popen(["dd", "if=/dev/zero", "bs=1M"]) for _ in range(2)]
time.sleep(1.5)
status = open("/proc/self/status").read()
for process in zeros:
    process.kill()
    process.wait()
print("\\npeak", int(status.partition("VmHWM:")[2].split()[0]) - int(before))
"""
    terminal = run(program, THE_END, looks=False)
    (grown,) = re.findall(rb"peak (\d+)\r", terminal.written)
    assert int(grown) < 20_000
    assert len(set(re.findall(rb"drawn \d+", terminal.written))) > 2


def test_output_continues_without_a_block() -> None:
    terminal = run("more = lambda: 1 / 0\n", THREE_LINES, "time.sleep(0.3)", THE_END)
    assert "line 2" in terminal.lines
    assert any("the live view failed" in line for line in terminal.lines)
    assert terminal.lines[-1] == "after"
