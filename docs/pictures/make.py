#!/usr/bin/env python3
"""Make the pictures of the documentation: real runs of sqsw on a terminal, as SVG.

``docs/pictures/make.py [DIRECTORY]`` runs the commands on the embedded SQS, in a directory of their
own, and writes one file a picture. Only the names of the machine and of the directory are replaced.
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
from sqsw import Delays, SQSEnv

env = SQSEnv(backoff_policy=Delays(1, 300))


@env.processor("emails", "send_email")
def send_email(to: str, subject: str = "Hello") -> None:
    if "@" not in to:
        raise ValueError(f"{to!r} is no address")


@env.processor("orders.fifo", "ship")
def ship(order: int) -> None: ...
"""
#: colours of the emulator, where it has names of its own or where they are ours
COLORS = {"brown": "yellow"} | {name: name for name in ("red", "green", "blue", "magenta", "cyan")}
#: name of a picture to its width, and to the commands that are seen in it
PICTURES = {
    "work": (120, ["sqsw work myapp.tasks:env --concurrency 1 --max-jobs 3"]),
    "inspect": (96, ["sqsw inspect", "sqsw inspect emails_dead --peek 10"]),
    "error": (96, ["sqsw send emials send_email to=ben@example.com"]),
}


def main(target: Path) -> None:
    """Run the commands, and draw what they said."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        (here / "myapp").mkdir()
        (here / "myapp" / "tasks.py").write_text(APP, encoding="utf-8")
        prepare(here)
        for picture, (columns, commands) in PICTURES.items():
            seen = [f"\x1b[1m$ {line}\x1b[0m\n{run(line, here, columns)}" for line in commands]
            (target / f"{picture}.svg").write_text(draw("\n".join(seen), columns), encoding="utf-8")


def prepare(here: Path) -> None:
    """Some queues, and what is in them before the first picture."""
    session = LocalSession(here / ".sqsw" / "local.db")
    env = SQSEnv(session, queue_prefix="")
    create_queue(env, "emails", dead_letter_queue="emails_dead")
    create_queue(env, "orders.fifo", dead_letter_queue="orders_dead.fifo")
    create_queue(env, "reports")
    emails = env.queue("emails").client
    env.add_job("emails", "send_email", to="ben")
    while emails.receive(1, wait_seconds=0, visibility_timeout=0):
        pass  # to its last receive, and then to the dead-letter queue
    env.add_job("emails", "send_email", to="ann@example.com")
    env.add_job("emails", "send_email", to="nobody")
    env.add_job("reports", "build", year=2026, _delay_seconds=300)
    session.close()


def run(line: str, here: Path, columns: int) -> str:
    """What a command writes on a terminal, with its colours."""
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
    """What is to be seen at the end, where something was drawn anew meanwhile."""
    # Wider than any line: where to wrap them is for the one who draws.
    screen = pyte.Screen(1_000, 100)
    pyte.Stream(screen).feed(written.replace("\n", "\r\n"))
    lines = ([screen.buffer[y][x] for x in range(1_000)] for y in range(screen.cursor.y))
    return "\n".join(colored(line).rstrip() for line in lines)


def colored(line: Iterable[pyte.screens.Char]) -> str:
    """A line of the screen with its colours; the emulator knows no dim."""
    runs = groupby(line, key=lambda char: (COLORS.get(char.fg), bool(char.bold)))
    texts = (("".join(char.data for char in chars), style) for style, chars in runs)
    return "".join(
        click.style(text, fg=shade, bold=is_bold) if shade or is_bold else text
        for text, (shade, is_bold) in texts
    )


def draw(written: str, columns: int) -> str:
    """Text with the colours of a terminal as SVG, which loads nothing from elsewhere."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=columns, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(written.rstrip("\n")))
        template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.S)
        return console.export_svg(title="sqsw", theme=MONOKAI, code_format=template) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
