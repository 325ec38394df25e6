"""``sqsw inspect --watch``: show queues repeatedly, with rates."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from sqsw_cli.output.track import Track
from sqsw_cli.terminal import pressed_keys

if TYPE_CHECKING:
    from sqsw.sqs_manage.describe import QueueReport
    from sqsw_cli.output.printer import Printer

#: seconds over which the rate of a queue is measured
_RATE_SECONDS = 10.0

Rates = Mapping[str, float]


def watch(
    printer: "Printer",
    seconds: int,
    read: "Callable[[], Sequence[QueueReport]]",
    show: "Callable[[Sequence[QueueReport], Rates], None]",
) -> None:
    """Read and show queues until a person presses q or Ctrl-C.

    Parameters
    ----------
    seconds :
        The time between two reads.
    show :
        Called with the queues, and the ready messages that each gains per second, by queue name.
    """
    tracks: dict[str, Track] = {}
    with ExitStack() as stack:
        wait = stack.enter_context(pressed_keys()) if printer.terminal else None
        while True:
            reports = read()
            for report in reports:
                track = tracks.setdefault(report.name, Track(_RATE_SECONDS))
                if report.visible is not None:
                    track.add(time.monotonic(), report.visible)
            if printer.terminal:
                if os.environ.get("TERM") != "dumb":
                    click.clear()  # after the requests, so the screen is not empty meanwhile
                keys = "q quits" if wait else "Ctrl-C quits"
                printer.say(f"{time.strftime('%H:%M:%S')} · every {seconds}s · {keys}")
                printer.say()
            show(reports, {name: track.slope() for name, track in tracks.items()})
            if wait is None:
                time.sleep(seconds)
            elif wait(seconds) == "q":
                return
