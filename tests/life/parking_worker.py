"""A worker process that handles parked jobs once, and is killed at one of its calls.

Arguments: the file of the queues, the time in seconds since 1970, the action, and ``before`` or
``after`` the call.
"""

import os
import signal
import sys
from typing import Any

from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv


def main(path: str, now: str, action: str, moment: str) -> None:
    env = SQSEnv(LocalSession(path, clock=lambda: float(now)), parking="parked")
    make_call = env.clients.call

    def call(called: str, params: dict[str, Any], kind: Any = None) -> Any:
        if (called, moment) == (action, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        answer = make_call(called, params, kind)
        if (called, moment) == (action, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    env.clients.call = call  # type: ignore[method-assign, assignment]  # only this one calls it
    lane = env.parking_lane()
    assert lane is not None
    lane.step()


if __name__ == "__main__":
    main(*sys.argv[1:])
