"""What happens to everything that is written while a block is on the terminal."""

import os
import re
import sys
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
    """A program on a terminal, which also says that none of its processes is left."""
    program = [sys.executable, "-c", "".join((PROGRAM, *parts))]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    with Terminal(program, env=env, columns=60, lines=20) as terminal:
        time.sleep(late)
        assert terminal.end(looks=looks) == code
    return terminal


def numbers(terminal: Terminal) -> list[int]:
    """Of the lines that were written, as they came."""
    return [int(number) for number in re.findall(rb"line (\d+)\r\n", terminal.written)]


def is_there(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for has no command any more."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends as it is read
        return False


def test_the_last_block_stays_below_what_was_written() -> None:
    assert run(THREE_LINES, THE_END).lines == [
        *("line 0", "line 1", "line 2", "half a line"),
        *("", "first", "60 x 18", "n" * 60, "n" * 10, "after"),
    ]


def test_a_line_without_an_end_is_shown_after_a_while_also_if_it_is_written_on() -> None:
    writes_on = "for _ in range(28): write('.'); time.sleep(0.05)"
    terminal = run(THREE_LINES, writes_on, THE_END, COLUMNS="50")
    assert re.search(rb"half a line\.+\r\n.*\x1b\[J\.+\r\n", terminal.written, re.DOTALL)
    assert "50 x 18" in terminal.lines  # the columns that were asked for


def test_nothing_is_lost_however_much_is_written() -> None:
    lines = "screen.take()\nfor number in range(200_000): print('line', number)"
    assert numbers(run(lines, THE_END, looks=False)) == list(range(200_000))


def test_nothing_is_lost_on_a_terminal_that_others_have_made_non_blocking() -> None:
    lines = "for number in range(20_000): print('line', number)"
    parts = ("os.set_blocking(2, False)\nscreen.take()\n", lines, "\nscreen.give_back()")
    assert numbers(run(*parts, looks=False, late=0.5)) == list(range(20_000))


def test_a_c_call_that_keeps_the_interpreter_may_write_more_than_the_pipe_holds() -> None:
    call = "screen.take()\nctypes.PyDLL(None).write(1, b'0123456\\n' * 400_000, 3_200_000)"
    terminal = run(call, THE_END, looks=False)
    assert terminal.written.count(b"0123456\r\n") == 400_000


@pytest.mark.parametrize(
    ("crash", "code", "said"),
    [
        ("faulthandler.enable(); faulthandler._sigsegv()", 139, "Segmentation fault"),
        ("os._exit(3)", 3, "line 2"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "line 2"),
    ],
)
def test_the_last_words_of_a_process_that_crashes_are_seen(
    crash: str, code: int, said: str
) -> None:
    # One that was forked, and writes when the process has gone, keeps nothing of the view.
    child = "os.fork() or (time.sleep(0.4), write('a child'), os._exit(0))\n"
    lines = (THREE_LINES, "print('\\ncopier', screen._copier.pid)\n")
    program = "".join((PROGRAM, *lines, child, "time.sleep(0.1)\n", crash))
    # As with a person, a shell has the terminal, and no hangup comes with the crash.
    shell = ["sh", "-c", '"$0" -c "$1"; code=$?; read line; exit $code', sys.executable, program]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Terminal(shell, env=env, columns=60, lines=40) as terminal:
        terminal.wait_until(lambda: "a child" in terminal.lines)
        assert "half a line" in terminal.lines and "first" not in terminal.lines
        assert said in "\n".join(terminal.lines)
        (copier,) = re.findall(rb"copier (\d+)\r\n", terminal.written)
        terminal.wait_until(lambda: not is_there(int(copier)))
        terminal.press("\n")
        assert terminal.end() == code


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
def test_a_quick_writer_holds_up_no_block_and_takes_no_memory() -> None:
    program = """
more = lambda: [f"drawn {drawn}"]
screen.take()
zeros = [subprocess.Popen(["dd", "if=/dev/zero", "bs=1M"]) for _ in range(2)]
time.sleep(1.5)
status = open(f"/proc/{screen._copier.pid}/status").read()
for process in zeros:
    process.kill()
    process.wait()
print("\\npeak", *status.partition("VmHWM:")[2].split()[:2])
"""
    terminal = run(program, THE_END, looks=False)
    (peak,) = re.findall(rb"peak (\d+) kB", terminal.written)
    assert int(peak) < 30_000
    assert len(set(re.findall(rb"drawn \d+", terminal.written))) > 2


def test_no_signal_ends_the_copier() -> None:
    signals = """
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    os.kill(screen._copier.pid, number)
"""
    three_lines = THREE_LINES.replace("screen.take()", "")
    lines = run("screen.take()", signals, three_lines, THE_END).lines
    assert lines[-6:] == ["", "first", "60 x 18", "n" * 60, "n" * 10, "after"]


def test_the_work_goes_on_where_the_copier_dies() -> None:
    kill = """
os.kill(screen._copier.pid, signal.SIGKILL)
print("in the pipe"), sys.stdout.flush()
child = subprocess.Popen(["sh", "-c", "for n in 1 2 3 4 5 6; do echo a child; sleep 0.1; done"])
while os.fstat(1).st_rdev != os.fstat(screen._ours[0]).st_rdev:
    time.sleep(0.01)
child.wait()
"""
    terminal = run(THREE_LINES, kill, THE_END)
    assert b"the live view ends: its process has died\r\n" in terminal.written
    assert b"in the pipe\r\n" in terminal.written
    assert terminal.written.count(b"a child\r\n") == 6
    assert terminal.lines[-1] == "after"


def test_the_work_goes_on_where_the_copier_cannot_be_started() -> None:
    lines = run("sys.executable = '/nowhere'\n", THREE_LINES.replace("drawn", "1"), THE_END).lines
    assert lines[0].startswith("there is no live view, its process cannot be started: ")
    assert lines[-1] == "half a lineafter"


def test_without_a_block_what_is_written_still_goes_on() -> None:
    terminal = run("more = lambda: 1 / 0\n", THREE_LINES, "time.sleep(0.3)", THE_END)
    assert "line 2" in terminal.lines
    assert any("the live view ends" in line for line in terminal.lines)
    assert terminal.lines[-1] == "after"
