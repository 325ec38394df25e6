#!/usr/bin/env python3
"""Make the pictures of the documentation: real runs of sqsw on a terminal, as SVG.

``docs/pictures/make.py [DIRECTORY]`` runs the commands on the embedded SQS, in a temporary
directory, and writes one file per picture. It replaces only the names of the machine and of the
directory.
"""

import os
import re
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import click
import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from sqsw import LocalSession, SQSEnv  # noqa: E402 - found by the line above
from sqsw.sqs_manage.create import create_queue  # noqa: E402
from tests.docs.terminal import run_in_terminal  # noqa: E402

APP = """
from sqsw import Delays, SQSEnv, current_job

env = SQSEnv(backoff_policy=Delays(1, 300), give_up_on=(ValueError,))


@env.processor("emails", "send_email")
def send_email(to: str, subject: str = "Hello") -> None:
    if "@" not in to:
        raise ValueError(f"{to!r} is not an address")
    if to == "ben@example.com" and current_job().attempt == 1:
        raise ConnectionError("smtp.example.com does not answer")


@env.processor("orders.fifo", "ship")
def ship(order: int) -> None: ...
"""
#: colors of the emulator that differ in name, or that we chose
COLORS = {"brown": "yellow"} | {name: name for name in ("red", "green", "blue", "magenta", "cyan")}
#: picture name to its width and the commands that it shows
PICTURES = {
    "work": (120, ["sqsw work myapp.tasks:env --concurrency 1 --max-jobs 4"]),
    "inspect": (96, ["sqsw inspect", "sqsw inspect emails_dead"]),
    "error": (96, ["sqsw send emials send_email to=ben@example.com"]),
}


def main(target: Path) -> None:
    """Run the commands, and draw their output."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        (here / "myapp").mkdir()
        (here / "myapp" / "tasks.py").write_text(APP, encoding="utf-8")
        prepare(here)
        for picture, (columns, commands) in PICTURES.items():
            seen = [f"\x1b[1m$ {line}\x1b[0m\n{run(line, here, columns)}" for line in commands]
            (target / f"{picture}.svg").write_text(draw("\n".join(seen), columns), encoding="utf-8")


def prepare(here: Path) -> None:
    """Create the queues, and send the jobs for the first picture."""
    session = LocalSession(here / ".sqsw" / "local.db")
    env = SQSEnv(session, queue_prefix="")
    create_queue(env, "emails", dead_letter_queue="emails_dead")
    create_queue(env, "orders.fifo", dead_letter_queue="orders_dead.fifo")
    create_queue(env, "reports")
    env.add_job("emails", "send_email", to="ann@example.com")
    env.add_job("emails", "send_email", to="ben@example.com")
    env.add_job("emails", "send_email", to="nobody")
    env.add_job("reports", "build", year=2026, _delay_seconds=300)
    session.close()


def run(line: str, here: Path, columns: int) -> str:
    """Return what a command writes on a terminal, with colors."""
    environment = {
        **{name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "SQSW_CONFIG": "none",
        "SQSW_LOCAL": "1",
        "TERM": "xterm-256color",
        "COLUMNS": str(columns),
    }
    command = [sys.executable, "-m", "sqsw_cli", *shlex.split(line)[1:]]
    _, written = run_in_terminal(command, here, environment, columns=columns)
    if "\x1b[J" in written:
        written = left_on_screen(written)
    return written.replace(socket.gethostname(), "web-1").replace(os.path.realpath(here), "/srv")


def left_on_screen(written: str) -> str:
    """Return what is on the screen at the end, if a command redraws it."""
    # Wider than any line; draw() wraps the lines.
    screen = pyte.Screen(1_000, 100)
    pyte.Stream(screen).feed(written.replace("\n", "\r\n"))
    lines = ([screen.buffer[y][x] for x in range(1_000)] for y in range(screen.cursor.y))
    return "\n".join(colored(line).rstrip() for line in lines)


def colored(line: Iterable[pyte.screens.Char]) -> str:
    """Return a line of the screen with its colors; the emulator does not support dim text."""
    runs = groupby(line, key=lambda char: (COLORS.get(char.fg), bool(char.bold)))
    texts = (("".join(char.data for char in chars), style) for style, chars in runs)
    return "".join(
        click.style(text, fg=shade, bold=is_bold) if shade or is_bold else text
        for text, (shade, is_bold) in texts
    )


def draw(written: str, columns: int) -> str:
    """Return text with terminal colors as an SVG that loads no external files."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=columns, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(written.rstrip("\n")))
        template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.S)
        return console.export_svg(title="sqsw", theme=MONOKAI, code_format=template) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
