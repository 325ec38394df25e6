"""Decide whether ``sqsw work`` shows a live view, and run it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqsw_cli.invocation import Invocation
from sqsw_cli.terminal import is_terminal, set_in_view

if TYPE_CHECKING:
    from sqsw.core.settings import QueueShare
    from sqsw.sqs_env import SQSEnv
    from sqsw_cli.working.live.figures import Figures


def wants_view(invocation: Invocation) -> bool:
    """Return whether to show the view: on a terminal, unless an option forbids it.

    If so, set the color and the format of the log now, because stderr becomes a pipe to the view.
    """
    wanted = (
        invocation.log_format == "auto"
        and not invocation.as_json
        and not invocation.quiet
        and is_terminal(sys.stdout)
        and is_terminal(sys.stderr)
        and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    )
    if wanted:
        invocation.color = "always" if invocation.color_on_stderr else "never"
        invocation.log_format = "console"
    return wanted


@contextmanager
def live_view(
    invocation: Invocation, env: "SQSEnv", shares: "Sequence[QueueShare]"
) -> "Iterator[Figures]":
    """Show the live view inside the block, and leave the last one; yield the figures' listener."""
    from sqsw.sqs_manage.depth import DepthReader
    from sqsw_cli.working.live.block import lines_of
    from sqsw_cli.working.live.depths import Depths
    from sqsw_cli.working.live.figures import Figures
    from sqsw_cli.working.live.screen import Screen

    queues = {env.queue_client(share.queue_name).name: share.queue_name for share in shares}
    figures = Figures(list(queues))
    colored = invocation.color == "always"
    screen = Screen(
        lambda columns, lines: lines_of(figures.look(), columns, lines, colored=colored)
    )
    depths = Depths(DepthReader(env), queues, figures.told, figures.is_up)
    try:
        screen.take()
        set_in_view(True)
        depths.start()
        yield figures
    finally:
        depths.stop()
        figures.has_ended = True
        screen.give_back()
        set_in_view(False)
