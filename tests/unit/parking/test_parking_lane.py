"""What the parking lane does with each message."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from sqsw.core.errors import AccessDenied, ConnectionFailed, QueueNotFound, SettingsError, SQSError
from sqsw.core.events import ParkedFailed, ParkedSent, QueueWarning, ReceiveDone, ReceiveError
from sqsw.core.job_metadata import SQSW, job_id_of, metadata_of
from sqsw.core.lease_clock import lease_time
from sqsw.core.message import Message
from sqsw.parking.parked_entry import to_milliseconds
from sqsw.parking.parking_lane import ParkingLane, ParkingLimits
from sqsw.sqs_manage.create import create_queue, create_standard_queue
from sqsw.transport.queue_client import QueueClient
from tests.unit.parking.conftest import DAY, Parking


def park(parking: Parking, count: int = 1, wait: timedelta = DAY) -> None:
    with parking.jobs.add_batch():
        for number in range(count):
            parking.jobs.add_job("hello", _delay_seconds=wait, _job_id=f"job-{number}")


def calls(parking: Parking) -> list[str]:
    """Return the actions since the last call of this, without lookups of URLs."""
    found = [getattr(event, "action", "GetQueueUrl") for event in parking.events]
    parking.events.clear()
    return [action for action in found if action != "GetQueueUrl"]


def send(parking: Parking, metadata: object, **attributes: Any) -> None:
    """Send a message to the parking queue as anyone can."""
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    attribute = {SQSW: {"DataType": "String", "StringValue": text}}
    parking.queue.send({"MessageBody": "body", "MessageAttributes": attribute | attributes})


def of_kind(parking: Parking, kind: type) -> list[Any]:
    return [event for event in parking.events if type(event) is kind]


# -- time --------------------------------------------------------------------------------------


def test_a_job_is_hidden_until_it_is_due(parking: Parking) -> None:
    park(parking, 10, 3 * DAY)
    parking.clock.advance(seconds=900)
    lane = parking.lane()
    calls(parking)
    assert lane.step() == 10
    assert calls(parking) == ["ReceiveMessage", "ChangeMessageVisibilityBatch"]
    assert parking.queue.seconds_until_due() == 43_200 - 120
    parking.run(lane, until=parking.now + 2.9 * DAY)
    assert parking.counts(parking.jobs) == 0
    parking.run(lane, until=parking.now + 0.1 * DAY)
    assert parking.counts(parking.jobs) == 10
    assert parking.counts(parking.queue) == 0


def test_a_job_is_sent_when_it_is_due_and_not_earlier(parking: Parking) -> None:
    due = parking.now + timedelta(hours=1, microseconds=300)
    parking.jobs.add_job("hello", _run_at=due, _job_id="job")
    lane = parking.lane()
    parking.run(lane, until=due - timedelta(milliseconds=1))
    assert parking.counts(parking.jobs) == 0
    parking.run(lane, until=due + timedelta(seconds=1))
    (message,) = parking.jobs.get_raw_messages()
    assert (job_id_of(message), metadata_of(message).due) == ("job", None)
    (sent,) = of_kind(parking, ParkedSent)
    assert (sent.queue_name, sent.job_id) == ("jobs", "job")
    assert to_milliseconds(sent.due) == to_milliseconds(due)
    assert 0 <= sent.late_seconds <= 1


def test_a_job_is_renewed_after_12_days(parking: Parking) -> None:
    park(parking, wait=30 * DAY)
    lane = parking.lane()
    parking.run(lane, until=parking.now + 31 * DAY)
    (message,) = parking.jobs.get_raw_messages()
    assert job_id_of(message) == "job-0"
    assert of_kind(parking, QueueWarning) == []
    assert calls(parking).count("SendMessageBatch") == 4  # to park, to renew twice, to the queue


def test_a_job_that_its_queue_refuses_is_renewed_too(parking: Parking) -> None:
    park(parking, wait=DAY)
    parking.jobs.client.delete_queue()
    lane = parking.lane()
    parking.run(lane, until=parking.now + 30 * DAY)
    create_standard_queue(parking.env, "jobs")
    parking.run(lane, until=parking.now + timedelta(minutes=16))
    (message,) = parking.jobs.get_raw_messages()
    assert job_id_of(message) == "job-0"
    assert parking.counts(parking.queue) == 0


def test_an_old_message_is_reported_once(parking: Parking) -> None:
    park(parking, 2, 20 * DAY)
    parking.clock.advance(days=12.6)
    lane = parking.lane()
    lane.step()
    parking.run(lane, until=parking.now + 8 * DAY)
    (warning,) = of_kind(parking, QueueWarning)
    assert (warning.queue_name, warning.reason) == ("parked", "parked_too_old")
    assert parking.counts(parking.jobs) == 2


# -- destinations ------------------------------------------------------------------------------


def test_a_fifo_queue_gets_group_and_deduplication_id(parking: Parking) -> None:
    queue = parking.fifo_jobs
    queue.add_job("hello", _delay_seconds=60, _group_id="g", _deduplication_id="d", _job_id="1")
    queue.add_job("hello", _delay_seconds=60, _job_id="2")
    parking.run(parking.lane(), until=parking.now + DAY)
    found = [(m.group_id, m.deduplication_id) for m in queue.get_raw_messages()]
    assert sorted(map(str, found)) == ["('default', '2')", "('g', 'd')"]


def test_jobs_of_several_queues_go_out_with_one_call_for_each(parking: Parking) -> None:
    create_standard_queue(parking.env, "others")
    for number in range(6):
        queue = parking.env.job_queue("jobs" if number % 2 else "others")
        queue.add_job("hello", _delay_seconds=DAY)
    lane = parking.lane()
    parking.clock.advance(days=1)
    calls(parking)
    assert lane.step() == 6
    assert calls(parking) == [
        "ReceiveMessage",
        *(["SendMessageBatch", "DeleteMessageBatch"] * 2),
    ]


def test_jobs_go_to_the_address_that_the_environment_has(parking: Parking) -> None:
    create_standard_queue(parking.env, "elsewhere")
    arn = parking.env.get_queue_arn("elsewhere")
    queue = parking.env.job_queue(arn)
    queue.add_job("hello", _delay_seconds=DAY)
    parking.run(parking.lane(), until=parking.now + 2 * DAY)
    assert len(queue.get_raw_messages()) == 1


@pytest.mark.parametrize("name", ["nowhere", "jobs_dead"])
def test_a_missing_queue_is_reported_once_until_it_works(parking: Parking, name: str) -> None:
    parking.env.job_queue(name).client._url = "http://sqsw.invalid/000000000000/jobs"
    parking.env.add_job(name, "hello", _delay_seconds=DAY)
    parking.env.queues.pop(name)
    lane = parking.lane()
    parking.run(lane, until=parking.now + 2 * DAY)
    (failed,) = of_kind(parking, ParkedFailed)
    assert (failed.queue_name, failed.retry_seconds) == (name, 15)
    assert f"no queue named '{name}'" in failed.reason
    # A day later, it is tried every 15 minutes.
    parking.events.clear()
    parking.run(lane, until=parking.now + timedelta(hours=1))
    assert 3 <= calls(parking).count("ChangeMessageVisibilityBatch") <= 5
    create_standard_queue(parking.env, name)
    parking.run(lane, until=parking.now + timedelta(minutes=16))
    assert parking.counts(parking.env.queue_client(name)) == 1
    parking.env.queue_client(name).delete_queue()
    parking.env.add_job("jobs", "hello")
    send(parking, {"id": "1", "due": 0, "to": name})
    parking.events.clear()
    lane.step()
    assert len(of_kind(parking, ParkedFailed)) == 1


def test_a_message_that_its_queue_refuses_does_not_hold_up_the_others(parking: Parking) -> None:
    parking.jobs.client.set_attributes({"MaximumMessageSize": "2048"})
    for number in range(5):
        body = "x" * (3_000 if number == 2 else 10)
        parking.jobs.add_raw_job("hello", body, delay_seconds=DAY, job_id=str(number))
    lane = parking.lane()
    parking.clock.advance(days=1)
    lane.step()
    assert {job_id_of(each) for each in parking.jobs.get_raw_messages()} == set("0134")
    assert parking.counts(parking.queue) == 1
    (failed,) = of_kind(parking, ParkedFailed)
    assert failed.queue_name == "jobs"


# -- crashes and failures ----------------------------------------------------------------------


class Faults(QueueClient):
    """A client whose methods fail, hang or are noted."""

    def __init__(self, client: QueueClient) -> None:
        super().__init__(client._clients, client.name, client.sqs_name)
        self.before: dict[str, Callable[[], None]] = {}

    def _do(self, name: str) -> None:
        self.before.get(name, lambda: None)()

    def receive(self, *args: Any, **keywords: Any) -> list[Message]:
        self._do("receive")
        return super().receive(*args, **keywords)

    def delete_batch(self, messages: Sequence[Message]) -> Any:
        self._do("delete")
        return super().delete_batch(messages)

    def change_visibility_batch(self, *args: Any, **keywords: Any) -> Any:
        self._do("hide")
        return super().change_visibility_batch(*args, **keywords)


def fails() -> None:
    raise ConnectionFailed("no answer")


def test_a_failed_delete_sends_no_job_twice(parking: Parking) -> None:
    park(parking, 3)
    client = Faults(parking.queue)
    client.before["delete"] = fails
    lane = parking.lane(client=client)
    parking.clock.advance(days=1)
    with pytest.raises(ConnectionFailed):
        lane.step()
    assert parking.counts(parking.jobs) == 3
    client.before.clear()
    parking.clock.advance(seconds=61)
    calls(parking)
    lane.step()
    assert calls(parking) == ["ReceiveMessage", "DeleteMessageBatch"]
    assert (parking.counts(parking.jobs), parking.counts(parking.queue)) == (3, 0)


def test_a_failed_call_does_not_keep_due_jobs(parking: Parking) -> None:
    park(parking, 2)
    park(parking, 2, 3 * DAY)
    client = Faults(parking.queue)
    client.before["hide"] = fails
    parking.clock.advance(days=1)
    with pytest.raises(ConnectionFailed):
        parking.lane(client=client).step()
    assert parking.counts(parking.jobs) == 2


def test_a_batch_whose_lease_is_over_is_not_used(parking: Parking) -> None:
    create_standard_queue(parking.env, "others")
    park(parking, 2)
    parking.env.job_queue("others").add_job("hello", _delay_seconds=DAY)
    park(parking, 2, 3 * DAY)
    parking.clock.advance(days=1)
    client = Faults(parking.queue)
    client.before["hide"] = lambda: time.sleep(1.05)
    lane = parking.lane(ParkingLimits(lease_seconds=1), client)
    assert lane.step() == 5
    assert parking.counts(parking.jobs) == parking.counts(parking.env.queue_client("others")) == 0
    client.before.clear()
    parking.clock.advance(seconds=1)
    lane.step()
    assert (parking.counts(parking.jobs), parking.counts(parking.queue)) == (2, 2)


def test_a_copy_that_was_sent_before_the_lease_ended_is_deleted(parking: Parking) -> None:
    park(parking, 2)
    parking.clock.advance(days=1)
    client = Faults(parking.queue)
    client.before["delete"] = lambda: time.sleep(1.05)
    parking.lane(ParkingLimits(lease_seconds=1), client).step()
    assert (parking.counts(parking.jobs), parking.counts(parking.queue)) == (2, 0)


# -- messages in flight ------------------------------------------------------------------------


def test_above_the_limit_of_messages_in_flight_jobs_hop(parking: Parking) -> None:
    park(parking, 150, DAY)
    lane = parking.lane(ParkingLimits(most_in_flight=100))
    end = parking.now + DAY
    most = 0
    while parking.now < end:
        while lane.step():
            counts = parking.queue.attributes("ApproximateNumberOfMessagesNotVisible")
            most = max(most, *map(int, counts.values()))
        parking.clock.advance(seconds=parking.queue.seconds_until_due() or 0)
        assert parking.counts(parking.jobs) == 0 or parking.now >= end
    parking.run(lane, until=parking.now + timedelta(minutes=15))
    assert most <= 120
    found = []
    while messages := parking.jobs.get_raw_messages():
        found += [job_id_of(message) for message in messages]
    assert sorted(found) == sorted(f"job-{number}" for number in range(150))


def test_a_start_above_the_limit_hops_at_once(parking: Parking) -> None:
    park(parking, 20, 3 * DAY)
    parking.clock.advance(seconds=900)
    parking.lane().step()
    lane = parking.lane(ParkingLimits(most_in_flight=9))
    lane.check()
    calls(parking)
    lane.step()
    assert calls(parking)[:3] == ["ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch"]
    assert parking.counts(parking.queue) == 20


def test_jobs_hop_after_sqs_refused_a_receive(parking: Parking) -> None:
    park(parking, 3, 3 * DAY)
    parking.clock.advance(seconds=900)
    client = Faults(parking.queue)

    def over_limit() -> None:
        raise SQSError("too many", code="OverLimit")

    client.before["receive"] = over_limit
    lane = parking.lane(client=client)
    with pytest.raises(SQSError, match="too many"):
        lane.step()
    client.before.clear()
    calls(parking)
    lane.step()
    assert calls(parking) == [
        "ReceiveMessage",
        "SendMessageBatch",
        "DeleteMessageBatch",
        "GetQueueAttributes",  # it is no longer crowded
    ]
    parking.clock.advance(seconds=900)
    lane.step()
    assert calls(parking) == ["ReceiveMessage", "ChangeMessageVisibilityBatch"]


# -- hostile messages --------------------------------------------------------------------------

HOSTILE = [
    "",
    "null",
    "[]",
    "{",
    '{"due":' + "9" * 4_000 + ',"to":"jobs"}',
    {"id": "1"},
    {"id": "1", "due": 0},
    {"id": "1", "to": "jobs"},
    {"id": "1", "due": 0, "to": ""},
    {"id": "1", "due": 0, "to": ["jobs"]},
    {"id": "1", "due": True, "to": "jobs"},
    {"id": "1", "due": -1, "to": "jobs"},
    {"id": "1", "due": 0.5, "to": "jobs"},
    {"id": "1", "due": "0", "to": "jobs"},
    {"id": "1", "due": 10**18, "to": "jobs"},
    {"id": "1", "due": 253_402_300_799_999, "to": "jobs"},
    '{"id":"1","due":0,"to":"jobs","x":' + "[" * 900 + "]" * 900 + "}",
]


UNKNOWN = [
    "https://sqs.eu-west-1.amazonaws.com/1/jobs",
    "http://sqsw.invalid/000000000000/jobs",
    "arn:aws:sqs:local:000000000000:jobs",
    "arn:aws:sqs",
    "parked",
    "../jobs",
]


@pytest.mark.parametrize("metadata", [one for one in HOSTILE if one], ids=lambda one: str(one)[:50])
def test_a_message_that_is_not_a_parked_job_stays(parking: Parking, metadata: object) -> None:
    send(parking, metadata)
    lane = parking.lane()
    parking.run(lane, until=parking.now + DAY)
    assert parking.counts(parking.jobs) == 0
    assert parking.counts(parking.queue) == 1
    (failed,) = of_kind(parking, ParkedFailed)
    assert (failed.queue_name, failed.retry_seconds) == ("parked", 43_200 - 120)
    assert calls(parking).count("DeleteMessageBatch") == 0


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_job_for_an_unknown_queue_is_kept(parking: Parking, name: str) -> None:
    send(parking, {"id": "1", "due": 0, "to": name})
    parking.run(parking.lane(), until=parking.now + 20 * DAY)
    assert parking.counts(parking.jobs) == 0
    assert parking.counts(parking.queue) == 1
    (failed,) = of_kind(parking, ParkedFailed)
    assert (failed.queue_name, failed.retry_seconds) == ("parked", 900)


def test_a_job_is_sent_when_a_release_of_the_app_has_its_queue_again(parking: Parking) -> None:
    create_standard_queue(parking.env, "elsewhere")
    arn = parking.env.get_queue_arn("elsewhere")
    queue = parking.env.job_queue(arn)
    queue.add_job("hello", _delay_seconds=DAY)
    due = parking.now + DAY
    del parking.env.queues[arn]
    parking.run(parking.lane(), until=due + timedelta(minutes=1))
    parking.env.queues[arn] = queue
    parking.run(parking.lane(), until=due + timedelta(minutes=3))
    assert parking.counts(queue) == 1
    assert parking.counts(parking.queue) == 0


def test_a_message_of_another_program_stays(parking: Parking) -> None:
    parking.queue.send({"MessageBody": "text"})
    parking.run(parking.lane(), until=parking.now + DAY)
    assert parking.counts(parking.queue) == 1


def test_hostile_messages_do_not_hold_up_jobs(parking: Parking) -> None:
    for metadata in [*HOSTILE, *({"id": "1", "due": 0, "to": name} for name in UNKNOWN)]:
        if metadata:
            send(parking, metadata)
    park(parking, 5)
    parking.run(parking.lane(), until=parking.now + DAY)
    assert parking.counts(parking.jobs) == 5


def test_odd_values_of_a_parked_job_are_kept_or_replaced(parking: Parking) -> None:
    send(parking, {"due": 0, "to": "jobs.fifo", "group": "a b", "dedup": 5, "dead": {"x": 1}})
    parking.lane().step()
    (message,) = parking.fifo_jobs.get_raw_messages()
    assert message.group_id == "default"
    assert message.deduplication_id == job_id_of(message)


def test_a_malformed_name_of_a_queue_of_the_environment_is_not_a_destination(
    parking: Parking,
) -> None:
    parking.env.job_queue("arn:nonsense")
    send(parking, {"id": "1", "due": 0, "to": "arn:nonsense"})
    parking.lane().step()
    assert len(of_kind(parking, ParkedFailed)) == 1


# -- start and stop ----------------------------------------------------------------------------


def test_the_start_checks_the_parking_queue(parking: Parking) -> None:
    parking.lane().check()
    parking.queue.set_attributes({"MessageRetentionPeriod": "345600"})
    with pytest.raises(SettingsError, match="'parked' keeps messages for only 4d"):
        parking.lane().check()
    parking.queue.set_attributes({"MessageRetentionPeriod": "1209600"})
    policy = {"deadLetterTargetArn": parking.env.get_queue_arn("jobs"), "maxReceiveCount": 5}
    parking.queue.set_attributes({"RedrivePolicy": json.dumps(policy)})
    with pytest.raises(SettingsError, match="'parked' has a dead-letter queue"):
        parking.lane().check()
    parking.queue.delete_queue()
    with pytest.raises(QueueNotFound, match="no parking queue named 'parked'") as caught:
        parking.lane().check()
    assert "create_parking_queue" in (caught.value.next or "")


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_thread_follows_the_clock_and_ends(parking: Parking) -> None:
    park(parking, 3, 2 * DAY)
    lane = parking.lane()
    assert lane.name == "parked"
    lane.start()
    for _ in range(10):
        parking.clock.advance(hours=5)
        time.sleep(0.02)
    wait_for(lambda: parking.counts(parking.jobs) == 3)
    lane.close()
    began = time.monotonic()
    lane.stop(lease_time() + 5)
    assert time.monotonic() - began < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "sqsw-parking"]


def test_failed_receives_are_repeated_and_reported(
    parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqsw.parking.parking_lane._FIRST_PAUSE", 0.01)
    client = Faults(parking.queue)
    answers = iter([AccessDenied("not allowed"), ValueError("a bug")])

    def fail() -> None:
        for error in answers:
            raise error

    client.before["receive"] = fail
    lane = parking.lane(client=client)
    lane.start()
    wait_for(lambda: len(of_kind(parking, ReceiveError)) == 2)
    park(parking, 1, timedelta(seconds=901))
    parking.clock.advance(seconds=901)
    wait_for(lambda: of_kind(parking, ReceiveDone))
    wait_for(lambda: parking.counts(parking.jobs) == 1)
    lane.stop(lease_time() + 5)


@pytest.mark.parametrize("hanging", ["receive", "delete"])
def test_the_stop_is_in_time_if_sqs_hangs(parking: Parking, hanging: str) -> None:
    park(parking, 1, timedelta(seconds=901))
    parking.clock.advance(seconds=901)
    client, hangs, end = Faults(parking.queue), threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        end.wait(10)

    client.before[hanging] = hang
    client.end_polls = lambda: False  # type: ignore[method-assign]  # as on AWS
    lane = parking.lane(client=client)
    lane.start()
    assert hangs.wait(5)
    began = time.monotonic()
    lane.stop(lease_time() + 0.3)
    # A receive is not waited for, other calls are.
    assert time.monotonic() - began < (0.2 if hanging == "receive" else 0.6)
    end.set()
    wait_for(lambda: all(each.name != "sqsw-parking" for each in threading.enumerate()))


def test_messages_received_after_the_end_are_returned(parking: Parking) -> None:
    park(parking, 3)
    parking.clock.advance(days=1)
    lane = parking.lane()
    lane.close()
    assert lane.step() == 0
    assert len(parking.queue.receive(10)) == 3


def test_the_lane_is_a_companion(parking: Parking) -> None:
    (lane,) = parking.env.companions()
    assert isinstance(lane, ParkingLane)
    assert parking.env.companions(parking=False) == []


def test_the_delay_of_a_queue_does_not_hold_up_a_due_job(parking: Parking) -> None:
    create_queue(parking.env, "slow", attributes={"DelaySeconds": "900"})
    slow = parking.env.job_queue("slow")
    slow.add_job("hello", _delay_seconds=DAY)
    parking.clock.advance(seconds=DAY.total_seconds())
    assert parking.lane().step() == 1
    assert len(slow.client.receive(10)) == 1
