"""Listing and canceling parked jobs on the embedded SQS."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.memory_sqs import LocalSession
from sqsw.parking.queue_parking import QueueParking
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.checks import Check, check_queue
from sqsw.sqs_manage.create import create_parking_queue, create_standard_queue
from sqsw.sqs_manage.describe import describe_queue, list_queues
from sqsw.transport.queue_client import QueueClient
from tests.unit.parking.conftest import DAY, Parking


def park(parking: Parking, days: float = 3, **args: Any) -> str:
    """Park a job; return its message ID."""
    return str(parking.jobs.add_job("hi", _delay_seconds=days * 86_400, **args))


def job_ids(parking: Parking) -> list[str]:
    return [job.job_id for job in parking.env.parked_jobs()]


def test_parked_jobs_have_all_that_is_known(parking: Parking) -> None:
    message_id = park(parking, n=1)
    (job,) = parking.env.parked_jobs()
    assert (job.message_id, job.job_name, job.queue_name) == (message_id, "hi", "jobs")
    assert (job.arguments, job.due) == ({"n": 1}, parking.now + 3 * DAY)
    assert job.sent_at == parking.now
    assert job.job_id != message_id


def test_a_job_that_the_lane_hides_is_found(parking: Parking) -> None:
    park(parking)
    parking.run(parking.lane(), until=parking.now + timedelta(hours=1))
    assert list(parking.queue.peek() or ()) == []
    (job_id,) = job_ids(parking)
    assert parking.env.cancel(job_id) is True
    assert parking.env.cancel(job_id) is False
    parking.run(parking.lane(), until=parking.now + 4 * DAY)
    assert (parking.counts(parking.queue), parking.counts(parking.jobs)) == (0, 0)


def test_the_message_id_of_the_send_cancels_the_job(parking: Parking) -> None:
    message_ids = [park(parking, n=n) for n in range(3)]
    assert parking.env.cancel(message_ids[1]) is True
    assert [job.message_id for job in parking.env.parked_jobs()] == [message_ids[0], message_ids[2]]


def test_a_renewed_job_is_canceled_by_its_job_id(parking: Parking) -> None:
    message_id = park(parking, 30)
    (job_id,) = job_ids(parking)
    parking.run(parking.lane(), until=parking.now + 15 * DAY)
    (job,) = parking.env.parked_jobs()
    assert (job.job_id, job.message_id != message_id) == (job_id, True)
    assert parking.env.cancel(message_id) is False
    assert parking.env.cancel(job_id) is True


def test_a_job_that_was_sent_is_not_canceled(parking: Parking) -> None:
    park(parking)
    (job_id,) = job_ids(parking)
    parking.run(parking.lane(), until=parking.now + 4 * DAY)
    assert parking.env.cancel(job_id) is False
    assert parking.counts(parking.jobs) == 1


def test_both_copies_of_a_job_are_canceled(parking: Parking) -> None:
    park(parking)
    (message,) = list(parking.queue.peek(hidden=True) or ())
    copied = {"MessageBody": message.body, "MessageAttributes": dict(message.message_attributes)}
    parking.queue.send(copied)
    assert parking.env.cancel(job_ids(parking)[0]) is True
    assert job_ids(parking) == []


def test_a_due_job_that_no_worker_has_is_canceled_at_once(
    parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(parking)
    parking.clock.advance(seconds=4 * 86_400)
    monkeypatch.setattr(time, "sleep", _never)
    assert parking.env.cancel(job_ids(parking)[0]) is True


def _never(seconds: float) -> None:
    raise AssertionError("it waited")


def test_a_worker_that_sends_the_job_meanwhile_wins(
    parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(parking)
    (job_id,) = job_ids(parking)
    parking.clock.advance(seconds=4 * 86_400)
    (message,) = parking.queue.receive(visibility_timeout=60)
    monkeypatch.setattr(time, "sleep", lambda seconds: parking.queue.delete_batch([message]))
    assert parking.env.cancel(job_id) is False


def test_a_due_job_that_stays_with_its_worker_is_canceled_in_the_end(
    parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(parking)
    (job_id,) = job_ids(parking)
    parking.clock.advance(seconds=4 * 86_400)
    parking.queue.receive(visibility_timeout=600)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert parking.env.cancel(job_id) is True
    assert sum(pauses) == pytest.approx(0.95)
    assert parking.counts(parking.queue) == 0


def test_cancel_and_workers_never_both_have_a_job(parking: Parking) -> None:
    lane = parking.lane()
    for n in range(100):
        parking.jobs.add_job("hi", _delay_seconds=1_000, n=n)
    ids = job_ids(parking)
    parking.clock.advance(seconds=1_001)
    worker = threading.Thread(target=_drain, args=(lane.step,))
    worker.start()
    canceled = sum(parking.env.cancel(job_id) for job_id in reversed(ids))
    worker.join()
    assert canceled + parking.counts(parking.jobs) == 100
    assert parking.counts(parking.queue) == 0


def _drain(step: Callable[[], int]) -> None:
    while step():
        pass


def test_other_messages_in_the_queue_are_not_jobs(parking: Parking) -> None:
    bad = ("{", "[1]", '{"due": "x", "to": "jobs"}', '{"due": 5}', "[" * 4_000)
    for text in bad:
        attribute = {"DataType": "String", "StringValue": text}
        parking.queue.send({"MessageBody": "x", "MessageAttributes": {"Sqsw": attribute}})
    assert job_ids(parking) == []
    assert parking.env.cancel("x") is False


@pytest.mark.parametrize("body", ["{", '{"n": NaN}', '{"n":' + "[" * 5_000 + "]" * 5_000 + "}"])
def test_arguments_that_cannot_be_read_are_unknown(parking: Parking, body: str) -> None:
    texts = {
        "Sqsw": '{"id":"j","due":1900000000000,"to":"jobs"}',
        "JobName": "hi",
        "ContentType": "json",
    }
    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
    parking.queue.send({"MessageBody": body, "MessageAttributes": attributes})
    (job,) = parking.env.parked_jobs()
    assert (job.job_id, job.job_name, job.arguments) == ("j", "hi", None)
    assert parking.env.cancel("j") is True


def test_a_raw_message_can_be_parked_and_canceled(parking: Parking) -> None:
    raw = parking.env.queue("raw", RawQueue)
    create_standard_queue(parking.env, "raw")
    message_id = str(raw.add_raw_job("x", delay_seconds=200_000))
    (job,) = parking.env.parked_jobs()
    assert (job.job_name, job.arguments, job.queue_name) == (None, None, "raw")
    assert parking.env.cancel(message_id) is True


def test_an_environment_without_a_parking_place_has_no_parked_jobs(parking: Parking) -> None:
    env = SQSEnv(parking.session)
    with pytest.raises(SettingsError, match="there are no parked jobs to cancel"):
        env.cancel("j")
    with pytest.raises(SettingsError, match="there are no parked jobs to list"):
        env.parked_jobs()


def test_a_missing_parking_queue_is_an_error(parking: Parking) -> None:
    env = SQSEnv(parking.session, parking="elsewhere")
    with pytest.raises(QueueNotFound) as caught:
        env.cancel("j")
    assert caught.value.reason == "parking"


def test_a_parking_queue_on_aws_names_a_place_that_can_cancel(parking: Parking) -> None:
    place = SQSEnv(region="eu-west-1", parking="parked").parking_place
    assert isinstance(place, QueueParking)
    with pytest.raises(SettingsError) as caught:
        place.cancel("j")
    assert caught.value.next and "EventBridgeScheduler" in caught.value.next


def test_jobs_in_a_file_are_found_from_another_session(tmp_path: Path) -> None:
    envs = [SQSEnv(LocalSession(tmp_path / "local.db"), parking="parked") for _ in range(2)]
    create_parking_queue(envs[0], "parked")
    create_standard_queue(envs[0], "jobs")
    message_id = str(envs[0].job_queue("jobs").add_job("hi", _delay_seconds=200_000))
    assert [job.message_id for job in envs[1].parked_jobs()] == [message_id]
    assert envs[1].cancel(message_id) is True
    assert list(envs[0].parked_jobs()) == []


# -- reports and checks ---------------------------------------------------------------------------


def test_reports_count_parked_jobs_of_parking_queues_only(parking: Parking) -> None:
    park(parking)
    found = {report.name: report.parked for report in list_queues(parking.env)}
    assert found == {"jobs": None, "jobs.fifo": None, "parked": 1}
    without = SQSEnv(parking.session)  # knows it by its tag
    assert describe_queue(without, "parked").parked == 1
    assert {report.name: report.parked for report in list_queues(without)}["parked"] == 1


def check(parking: Parking, name: str) -> Check:
    (found,) = (one for one in check_queue(parking.env, "parked") if one.name == f"parked: {name}")
    return found


def test_a_parked_message_that_no_worker_renewed_is_reported(parking: Parking) -> None:
    assert check(parking, "oldest job").detail == "no jobs"
    park(parking, 30)
    parking.clock.advance(seconds=12 * 86_400)
    assert check(parking, "oldest job").status == "ok"
    parking.clock.advance(seconds=86_400)
    found = check(parking, "oldest job")
    assert (found.status, found.reason) == ("warn", "parked_too_old")
    parking.run(parking.lane(), until=parking.now + timedelta(minutes=1))
    assert check(parking, "oldest job").status == "ok"


def test_a_fifo_queue_with_the_tag_is_refused(parking: Parking) -> None:
    client: QueueClient = parking.env.queue_client("jobs.fifo")
    client.boto3_client.tag_queue(QueueUrl=client.url, Tags={"sqsw": "parking"})
    found = [one.reason for one in check_queue(parking.env, "jobs.fifo") if one.status == "fail"]
    assert found == ["parking_fifo", "parking_settings"]
