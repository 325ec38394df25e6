"""Workers and tests of an environment with a parking queue."""

import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest

from sqsw.app.running import queues_to_work, run_queues
from sqsw.core.errors import QueueDiffers, QueueNotFound, SettingsError
from sqsw.core.settings import QueueSettings, QueueShare, WorkerSettings
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_missing_queues, create_parking_queue, create_queue
from sqsw.sqs_manage.queue_calls import tags_of
from tests.unit.parking.conftest import DAY, Parking


def test_a_worker_runs_a_parked_job_when_it_is_due(parking: Parking) -> None:
    done = threading.Event()
    task = parking.jobs.connect_processor("hello", done.set)
    task.delay(_delay_seconds=2 * DAY)

    class Idle:
        """Ends the worker after the job."""

        def update_state(self, batch_result: object) -> None: ...

        def need_shutdown(self) -> bool:
            return done.is_set()

    def move() -> None:
        for _ in range(100):
            if done.is_set():
                return
            time.sleep(0.02)
            parking.clock.advance(hours=5)

    mover = threading.Thread(target=move)
    mover.start()
    run_queues(
        parking.env,
        [QueueShare("jobs")],
        settings=WorkerSettings(drain_seconds=1),
        shutdown_policy_maker=Idle,
    )
    mover.join()
    assert done.is_set()
    assert all(thread.name != "sqsw-parking" for thread in threading.enumerate())


def test_a_worker_does_not_start_without_the_parking_queue(parking: Parking) -> None:
    parking.queue.delete_queue()
    parking.jobs.connect_processor("hello", lambda: None)
    with pytest.raises(QueueNotFound, match="no parking queue named 'parked'"):
        run_queues(parking.env, [QueueShare("jobs")], settings=WorkerSettings())


def test_the_parking_queue_cannot_be_worked(parking: Parking) -> None:
    parking.jobs.connect_processor("hello", lambda: None)
    for text in ("parked", parking.queue.url, parking.env.get_queue_arn("parked")):
        with pytest.raises(SettingsError, match="cannot run jobs of the parking queue 'parked'"):
            queues_to_work(parking.env, [QueueShare(text)])
    with pytest.raises(SettingsError, match="'parked' cannot have jobs of its own"):
        run_queues(
            parking.env,
            [QueueShare("parked")],
            settings=WorkerSettings(),
            processors_from="jobs",
        )


def test_work_off_moves_the_clock_over_parked_jobs(parking: Parking) -> None:
    done = []

    @parking.env.task(queue="jobs")
    def remind(number: int) -> None:
        done.append((number, parking.now))
        if number < 3:
            remind.delay(number + 1, _delay_seconds=5 * DAY)

    start = parking.now
    remind.delay(1, _run_at=start + 5 * DAY)
    result = parking.env.work_off(max_seconds=15 * 86_400 + 60)
    assert (result.succeeded, result.left) == (3, {})
    assert [number for number, _ in done] == [1, 2, 3]
    for number, at in done:
        assert timedelta(0) <= at - (start + number * 5 * DAY) < timedelta(seconds=5)


def test_work_off_stops_before_a_job_that_is_due_later(parking: Parking) -> None:
    parking.jobs.connect_processor("hello", lambda: None).delay(_delay_seconds=DAY)
    result = parking.env.work_off()
    assert (result.succeeded, result.left) == (0, {"parked": 1})


def test_work_off_needs_no_parking_queue(parking: Parking) -> None:
    parking.queue.delete_queue()
    parking.jobs.connect_processor("hello", lambda: None).delay()
    assert parking.env.work_off().succeeded == 1


def test_a_parking_queue_keeps_messages_for_14_days() -> None:
    env = SQSEnv(MemorySession(), parking="parked")
    report = create_parking_queue(env, "parked", tags={"team": "a"})
    assert (report.action, report.dlq, report.tags) == (
        "created",
        None,
        {"sqsw": "parking", "team": "a"},
    )
    assert report.attributes["MessageRetentionPeriod"] == "1209600"
    assert create_parking_queue(env, "parked").action == "unchanged"
    with pytest.raises(SettingsError, match=r"parked\.fifo"):
        create_parking_queue(env, "parked.fifo")


def test_an_existing_queue_can_become_the_parking_queue() -> None:
    env = SQSEnv(MemorySession())
    create_queue(env, "parked", dead_letter_queue="parked_dead")
    with pytest.raises(QueueDiffers, match="'parked' exists with other settings") as caught:
        create_parking_queue(env, "parked")
    assert "MessageRetentionPeriod" in (caught.value.why or "")
    report = create_parking_queue(env, "parked", update=True)
    assert (report.action, report.dlq) == ("updated", None)
    lane = SQSEnv(env.session, parking="parked").parking_lane()
    assert lane is not None
    lane.check()


def test_creating_the_queues_of_an_app_creates_its_parking_queue() -> None:
    env = SQSEnv(MemorySession(), parking="parked")
    reports = create_missing_queues(
        env, ["parked", "jobs"], {"parked": QueueSettings(attributes={"VisibilityTimeout": "45"})}
    )
    assert [report.name for report in reports] == ["parked", "jobs_dead", "jobs"]
    client = env.queue_client("parked")
    assert client.attributes()["MessageRetentionPeriod"] == "1209600"
    assert client.attributes()["VisibilityTimeout"] == "45"
    assert tags_of(client) == {"sqsw": "parking"}
    assert tags_of(env.queue_client("jobs")) == {}


def test_an_environment_without_parking_loads_and_asks_nothing() -> None:
    code = """
import sys
from sqsw import MemorySession, SQSEnv, create_standard_queue
from sqsw.core.event_bus import RequestSent
env = SQSEnv(MemorySession())
create_standard_queue(env, "jobs")
requests = []
env.events.subscribe(requests.append, RequestSent, quick=True)
env.job_queue("jobs").connect_processor("hello", lambda: None).delay()
assert env.companions() == []
env.process_batch("jobs")
print(*(name for name in sys.modules if name.startswith("sqsw.parking")))
print(len(requests))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["5"]


def test_a_test_can_use_another_parking_queue_for_a_while(parking: Parking) -> None:
    create_parking_queue(parking.env, "other")
    with parking.env.connected_to(parking="other"):
        assert parking.env.parking_queue == "other"
        parking.jobs.add_job("hello", _delay_seconds=DAY)
        assert [job.job_name for job in parking.env.parked_jobs()] == ["hello"]
    assert parking.env.parking_queue == "parked"
    assert list(parking.env.parked_jobs()) == []
    with parking.env.connected_to():
        parking.env.connect_to(parking="other")
    assert parking.env.parking_queue == "parked"
