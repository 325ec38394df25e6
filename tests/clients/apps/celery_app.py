"""A Celery app as in its manual; run as a script, it sends tasks."""

import os
import time
from pathlib import Path
from urllib.parse import urlsplit

from celery import Celery

url = urlsplit(os.environ["AWS_ENDPOINT_URL_SQS"])
options = {"region": "local", "wait_time_seconds": 2, "polling_interval": 0.1}
if queue_url := os.environ.get("QUEUE_URL"):
    options["predefined_queues"] = {
        "jobs": {
            "url": queue_url,
            "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        }
    }

app = Celery("celery_app", broker=f"sqs://{url.hostname}:{url.port}//")
app.conf.update(
    task_default_queue="jobs",
    broker_transport_options=options,
    task_ignore_result=True,
    worker_enable_remote_control=False,
)


def write(text: str) -> None:
    with Path("done").open("a") as lines:
        lines.write(f"{text}\n")


@app.task
def note(text: str) -> None:
    write(text)


@app.task
def slow(text: str) -> None:
    while not Path("go").exists():
        time.sleep(0.05)
    write(text)


@app.task(bind=True)
def stubborn(self, text: str) -> None:
    if self.request.retries < 2:
        raise self.retry(countdown=1)
    write(f"{text} after {self.request.retries} retries")


@app.task
def late(sent: float) -> None:
    assert time.time() >= sent + 2
    write("late")


if __name__ == "__main__":
    for number in range(10):
        note.delay(f"note {number}")
    stubborn.delay("stubborn")
    late.apply_async((time.time(),), countdown=2)
    for number in range(6):
        slow.delay(f"slow {number}")
