"""Worker process for the FIFO tests: ``python -m tests.life.fifo_worker WHERE QUEUE LEDGER``.

``WHERE`` is a file, or the address of a server. Each job that succeeds adds a line to the ledger.
"""

import os
import random
import sys
import time

from sqsw.backoff_policies import IMMEDIATE_RETURN
from sqsw.memory_sqs import LocalSession
from sqsw.sqs_env import SQSEnv
from tests.backends import EndpointSession

#: the share of jobs that fail
FAILURES = 0.15


def main(where: str, queue_name: str, ledger: str) -> None:
    """Work until a signal arrives."""
    session = EndpointSession(where, "elasticmq") if "://" in where else LocalSession(where)
    env = SQSEnv(session, backoff_policy=IMMEDIATE_RETURN)
    # Each is written with one call, so that lines of several processes do not mix.
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND)

    @env.processor(queue_name, "note")
    def note(group: str, number: int) -> None:
        if random.random() < FAILURES:
            raise ValueError("by chance")
        time.sleep(random.random() * 0.005)
        os.write(file, f"{group} {number}\n".encode())

    env.queue(queue_name).process_queue(wait_second=2, concurrency=4)


if __name__ == "__main__":
    main(*sys.argv[1:])
