"""dramatiq with dramatiq-sqs.

dramatiq -p 1 -t 8 benchmarks.worker.contestants.dramatiq_app
"""

import dramatiq
from dramatiq_sqs import SQSBroker

broker = SQSBroker(namespace=None)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="bench")
def job(**_: object) -> None:
    """Do nothing."""


if __name__ == "__main__":
    job.send(user=4711, text="Hello, this is a small job like many others")
