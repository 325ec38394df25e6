# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Usage: create a queue, register a function, add jobs, run workers."""

from collections.abc import Callable

import pytest

from sqsw import SQSEnv, create_standard_queue
from tests.seed.conftest import Script, receive, work

pytestmark = pytest.mark.usefixtures("place")

TASKS = """
from sqsw import SQSEnv

sqs = SQSEnv()
queue = sqs.queue("emails")

@queue.processor("send_email")
def send_email(to, subject, body):
    print(f"Sending email {subject} to {to}")

@sqs.processor("sms", "send_sms")
def send_sms(to):
    print(f"Sending text to {to}")

if __name__ == "__main__":
"""


def test_jobs_run_however_they_were_added(capsys: pytest.CaptureFixture[str]) -> None:
    # This environment will use AWS requisites from ~/.aws/ directory
    sqs = SQSEnv()

    # Create a new queue.
    create_standard_queue(sqs, "emails")

    # Get the queue object
    queue = sqs.queue("emails")

    # Register a queue processor
    @queue.processor("send_email")
    def send_email(to, subject, body):
        print(f"Sending email {subject} to {to}")

    explicit = queue.add_job(
        "send_email", to="user@example.com", subject="Hello world", body="hello world"
    )
    celery = send_email.delay(to="user@example.com", subject="Hello world", body="hello world")

    assert explicit
    assert celery
    assert explicit != celery
    assert work(sqs, "emails", 2) == (2, 0)
    assert capsys.readouterr().out == "Sending email Hello world to user@example.com\n" * 2


def test_creating_a_queue_returns_its_url_and_can_be_repeated() -> None:
    sqs = SQSEnv()
    url = create_standard_queue(sqs, "emails")
    assert url.endswith(sqs.get_sqs_queue_name("emails"))
    assert create_standard_queue(sqs, "emails") == url
    assert sqs.get_all_known_queues() == ["emails"]


def test_process_queue_runs_until_a_signal_stops_it(run_script: Callable[[str], Script]) -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")
    queue = sqs.queue("emails")
    sent = []

    def send(subject="One more"):
        sent.append(queue.add_job("send_email", to="ann@example.com", subject=subject, body=""))

    worker = run_script(TASKS + "    sqs.queue('emails').process_queue()\n")
    send("One")
    worker.wait_for("Sending email One to ann@example.com")
    send("Two")
    worker.wait_for("Sending email Two to ann@example.com")
    worker.ask_to_stop()
    assert worker.wait_for_end(send) == 0
    # Jobs received after the signal ran or were returned: none is lost or hidden.
    left = len(sent) - worker.output.count("Sending email")
    assert len(receive(queue, left)) == left


@pytest.fixture
def send_to_both() -> Callable[[], None]:
    sqs = SQSEnv()
    create_standard_queue(sqs, "emails")
    create_standard_queue(sqs, "sms")

    def send():
        sqs.queue("emails").add_job("send_email", to="ann@example.com", subject="One", body="")
        sqs.queue("sms").add_job("send_sms", to="ann")

    return send


def test_process_queues_runs_all_queues_at_once(
    run_script: Callable[[str], Script], send_to_both: Callable[[], None]
) -> None:
    worker = run_script(TASKS + "    sqs.process_queues()\n")
    send_to_both()
    worker.wait_for("Sending email One to ann@example.com")
    worker.wait_for("Sending text to ann")
    worker.ask_to_stop()
    assert worker.wait_for_end(send_to_both) == 0


def test_process_queues_runs_the_named_queues_until_their_policies_stop_them(
    run_script: Callable[[str], Script], send_to_both: Callable[[], None]
) -> None:
    worker = run_script(
        "from sqsw.shutdown_policies import IdleShutdown, MaxTasksShutdown, OrShutdown\n"
        + TASKS
        + "    sqs.process_queues(\n"
        "        ['emails', 'sms'],\n"
        "        lambda: OrShutdown(MaxTasksShutdown(1), IdleShutdown(20)),\n"
        "    )\n"
        "    print('all have left')\n"
    )
    assert worker.wait_for_end(send_to_both) == 0
    assert "Sending email One to ann@example.com" in worker.output
    assert "Sending text to ann" in worker.output
    assert worker.output.endswith("all have left\n")
