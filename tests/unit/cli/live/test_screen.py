"""What happens to everything that is written while a block is on the terminal."""

import os
import sys
from pathlib import Path

from tests.screen import Terminal

ROOT = Path(__file__).parents[4]

PROGRAM = """
import os, sys, time
from sqsw_cli.live.screen import Screen

drawn = 0
def draw(columns, lines):
    global drawn
    drawn += 1
    if {fails}:
        raise ValueError("no block")
    return ["first", f"{{columns}} x {{lines}}", "n" * 70]

screen = Screen(draw)
screen.take()
for number in range({count}):
    print("line", number)
sys.stdout.write("half a line")
sys.stdout.flush()
while drawn < 1:
    time.sleep(0.01)
time.sleep({wait})
screen.give_back()
print("after")
"""


def run(
    *, count: int = 3, fails: bool = False, wait: float = 0.0, looks: bool = True, **env: str
) -> Terminal:
    program = PROGRAM.format(count=count, fails=fails, wait=wait)
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    with Terminal([sys.executable, "-c", program], env=env, columns=60, lines=20) as terminal:
        assert terminal.end(looks=looks) == 0
    return terminal


def test_the_last_block_stays_below_what_was_written() -> None:
    assert run().lines == [
        *("line 0", "line 1", "line 2", "half a line"),
        *("", "first", "60 x 18", "n" * 60, "n" * 10, "after"),
    ]


def test_a_line_without_an_end_is_shown_after_a_while_and_columns_are_those_asked_for() -> None:
    terminal = run(wait=1.4, COLUMNS="50")
    assert b"half a line\n" in terminal.written.replace(b"\r", b"")
    assert terminal.written.count(b"\x1b[J") > 2  # drawn before, with it, and at the end
    assert "50 x 18" in terminal.lines


def test_nothing_is_lost_however_much_is_written() -> None:
    terminal = run(count=200_000, looks=False)
    written = terminal.written.replace(b"\r", b"").replace(b"\x1b[J", b"\n").split(b"\n")
    numbers = [line for line in written if line.startswith(b"line ")]
    assert numbers == [b"line %d" % number for number in range(200_000)]


def test_without_a_block_what_is_written_still_goes_on() -> None:
    terminal = run(fails=True, wait=0.3)
    assert "line 2" in terminal.lines
    assert any("the live view ends" in line for line in terminal.lines)
    assert terminal.lines[-1] == "after"
