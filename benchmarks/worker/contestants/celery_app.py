"""celery[sqs], tuned: prefetch, late acknowledgement, no results, no events, threads.

    celery -A benchmarks.worker.contestants.celery_app worker -P threads -c 8 \
        --without-gossip --without-mingle --without-heartbeat
"""

import os

from celery import Celery

app = Celery(broker="sqs://x:x@")
app.conf.update(
    broker_transport_options={
        "region": "us-east-1",
        "wait_time_seconds": 20,
        "polling_interval": 0,
        "predefined_queues": {
            "bench": {
                "url": f"{os.environ['AWS_ENDPOINT_URL']}/000000000000/bench",
                "access_key_id": "x",
                "secret_access_key": "x",
            }
        },
    },
    task_default_queue="bench",
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=10,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)


@app.task(name="job")
def job(**_: object) -> None:
    """Do nothing."""


if __name__ == "__main__":
    job.delay(user=4711, text="Hello, this is a small job like many others")
