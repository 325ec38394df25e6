"""taskiq with taskiq-aio-sqs.

taskiq worker -w 1 --max-async-tasks 8 MODULE:broker
"""

import asyncio
import os

from taskiq_aio_sqs import SQSBroker

broker = SQSBroker(
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    sqs_queue_name="bench",
    aws_access_key_id="x",
    aws_secret_access_key="x",
    region_name="us-east-1",
    max_number_of_messages=10,
    wait_time_seconds=20,
)


@broker.task(task_name="job")
async def job(**_: object) -> None:
    """Do nothing."""


async def main() -> None:
    await broker.startup()
    await job.kiq(user=4711, text="Hello, this is a small job like many others")


if __name__ == "__main__":
    asyncio.run(main())
