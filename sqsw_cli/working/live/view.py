"""The live view of ``sqsw work``: when there is one, and what it is made of."""

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
    """Whether somebody looks: stdout and stderr are terminals, and no option says otherwise.

    The answers for the log are settled then, since stderr will be a pipe to the view.
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
    """Show the figures until the block ends, and leave the last ones; they are a listener."""
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
