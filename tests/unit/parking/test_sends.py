"""Jobs with long delays, as their senders see it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from sqsw.core.errors import (
    ConnectionFailed,
    MessageRefused,
    QueueNotFound,
    SettingsError,
    SQSBatchError,
)
from sqsw.core.job_metadata import SQSW, metadata_of
from sqsw.core.message import Message
from sqsw.memory_sqs import MemorySession
from sqsw.middleware.send_chain import OutgoingEntry
from sqsw.parking.parked_entry import to_milliseconds
from sqsw.parking.places import ParkedJob
from sqsw.queue.raw_queue import RawQueue
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_standard_queue
from sqsw.transport.batches import Entry, EntryFailure
from sqsw.transport.queue_client import QueueClient
from sqsw.transport.sending import Outcome, send_entries
from tests.unit.parking.conftest import DAY, Parking


def received(parking: Parking, seconds: float = 900) -> list[Message]:
    """Return the parked messages, after SQS's delay."""
    parking.clock.advance(seconds=seconds)
    found = []
    while messages := parking.queue.receive(10):
        found += messages
    return found


def hello(name: str) -> None: ...


def test_every_form_of_a_send_takes_a_delay_and_a_time(parking: Parking) -> None:
    task = parking.jobs.connect_processor("hello", hello)
    raw = parking.env.queue("raw", RawQueue)
    create_standard_queue(parking.env, "raw")
    due, long = parking.now + 3 * DAY, 3 * 86_400
    sent = [
        task.delay("ann", _delay_seconds=long),
        task.delay("ann", _delay_seconds=3 * DAY),
        task.delay("ann", _run_at=due),
        task.options(delay=long).delay("ann"),
        task.options(delay=3 * DAY).delay("ann"),
        task.options(run_at=due).delay("ann"),
        task.options(run_at=due).bake("ann").delay(),
        asyncio.run(task.options(delay=3 * DAY).adelay("ann")),
        parking.jobs.add_job("hello", _delay_seconds=long, name="ann"),
        parking.jobs.add_job("hello", _run_at=due, name="ann"),
        parking.env.add_job("jobs", "hello", _run_at=due, name="ann"),
        parking.jobs.add_raw_job("hello", '{"name":"ann"}', delay_seconds=3 * DAY),
        parking.jobs.add_raw_job("hello", '{"name":"ann"}', run_at=due),
        raw.add_raw_job("text", 3 * DAY),
        raw.add_raw_job("text", run_at=due),
    ]
    messages = received(parking)
    assert sorted(message.message_id for message in messages) == sorted(map(str, sent))
    assert {metadata_of(message).due for message in messages} == {to_milliseconds(due)}
    assert [metadata_of(message).to for message in messages] == ["jobs"] * 13 + ["raw"] * 2
    assert parking.counts(parking.jobs) == 0


def test_short_delays_are_left_to_sqs(parking: Parking) -> None:
    parking.jobs.add_job("hello", _delay_seconds=900, name="ann")
    parking.jobs.add_job("hello", _run_at=parking.now + timedelta(minutes=2), name="ann")
    parking.jobs.add_job("hello", _run_at=parking.now - DAY, name="ann")
    assert parking.counts(parking.queue) == 0
    assert parking.counts(parking.jobs) == 3
    assert len(parking.jobs.get_raw_messages()) == 1


def test_a_fifo_queue_gets_any_delay(parking: Parking) -> None:
    parking.fifo_jobs.add_job("hello", _delay_seconds=5, _group_id="g", _job_id="j", name="ann")
    (message,) = received(parking, 5)
    assert (message.group_id, message.deduplication_id) == (None, None)
    assert (metadata_of(message).to, metadata_of(message).group) == ("jobs.fifo", "g")
    assert metadata_of(message).job_id == "j"


def test_a_batch_makes_one_call_for_ten_parked_jobs(parking: Parking) -> None:
    task = parking.jobs.connect_processor("hello", hello)
    parking.events.clear()
    with task.batch():
        for number in range(25):
            assert task.delay(f"name {number}", _delay_seconds=DAY) is None
            task.delay("now")
    actions = [getattr(event, "action", None) for event in parking.events]
    assert actions.count("SendMessageBatch") == 6
    assert parking.counts(parking.queue) == parking.counts(parking.jobs) == 25


def test_the_first_call_for_a_large_batch_counts_if_the_second_one_fails(
    parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def send(queue: QueueClient, entries: list[Entry]) -> Outcome:
        calls.append(entries)
        if len(calls) == 2:
            raise ConnectionFailed("no answer")
        return send_entries(queue, entries)

    monkeypatch.setattr("sqsw.parking.queue_parking.send_entries", send)
    with pytest.raises(SQSBatchError) as caught, parking.jobs.add_batch():
        for _ in range(10):
            parking.jobs.add_raw_job("hello", "x" * 104_730, delay_seconds=3 * 86_400)
    assert len(calls) == 2
    assert len(caught.value.errors) == len(calls[1]) < 10
    assert parking.counts(parking.queue) == len(calls[0])


def test_a_batch_of_large_parked_jobs_is_split(parking: Parking) -> None:
    with parking.jobs.add_batch():
        for _ in range(10):
            # Ten of them fill a call without the keys of parked messages.
            parking.jobs.add_raw_job("hello", "x" * 104_730, delay_seconds=DAY)
    assert parking.counts(parking.queue) == 10


def test_a_batch_that_raises_parks_nothing(parking: Parking) -> None:
    with pytest.raises(ValueError, match="no"), parking.jobs.add_batch():
        parking.jobs.add_job("hello", _delay_seconds=DAY, name="ann")
        raise ValueError("no")
    assert parking.counts(parking.queue) == 0


def test_a_batch_reports_jobs_that_cannot_be_parked(parking: Parking) -> None:
    parking.queue.delete_queue()
    with pytest.raises(SQSBatchError, match="2 job") as caught, parking.jobs.add_batch():
        parking.jobs.add_job("hello", _delay_seconds=DAY, name="ann")
        parking.jobs.add_job("hello", _delay_seconds=DAY, name="bob")
        parking.jobs.add_job("hello", name="cat")
    bodies = [failure["_message"]["MessageBody"] for failure in caught.value.errors]
    assert bodies == ['{"name": "ann"}', '{"name": "bob"}']
    assert "no parking queue named 'parked'" in (caught.value.why or "")
    assert parking.counts(parking.jobs) == 1


def test_a_missing_parking_queue_is_named_with_the_right_cure(parking: Parking) -> None:
    parking.queue.delete_queue()
    with pytest.raises(QueueNotFound, match="no parking queue named 'parked'") as caught:
        parking.jobs.add_job("hello", _delay_seconds=DAY, name="ann")
    assert caught.value.reason == "parking"
    assert caught.value.next == "create it: create_parking_queue(env, 'parked')"


def test_middlewares_see_the_job_as_for_its_own_queue(parking: Parking) -> None:
    seen: list[OutgoingEntry] = []

    class Tracing:
        def before_send(self, message: OutgoingEntry) -> None:
            seen.append(message)
            message.set_attribute("traceparent", "1")
            message.entry["DelaySeconds"] = 5  # has no effect on a parked job

        def around(self, job: object) -> Any: ...

    parking.env.middlewares = [Tracing()]
    parking.jobs.add_job("hello", _delay_seconds=DAY, name="ann")
    (message,) = received(parking)
    assert (seen[0].queue_name, seen[0].job_name) == ("jobs", "hello")
    assert message.string_attribute("traceparent") == "1"


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({"_group_id": "with a space"}, "the message group"),
        ({"_group_id": "g", "_deduplication_id": "with a space"}, "the deduplication ID"),
    ],
)
def test_values_that_sqs_would_refuse_later_are_refused_now(
    parking: Parking, keywords: dict[str, Any], reason: str
) -> None:
    with pytest.raises(MessageRefused, match=reason), parking.fifo_jobs.add_batch():
        parking.fifo_jobs.add_job("hello", _delay_seconds=5, **keywords, name="ann")
    assert parking.counts(parking.queue) == 0


def test_a_job_without_room_for_its_due_time_is_refused(parking: Parking) -> None:
    body = "x" * (1_048_576 - 130)
    with pytest.raises(MessageRefused, match="the limit is 1048576"), parking.jobs.add_batch():
        parking.jobs.add_raw_job("hello", body, delay_seconds=DAY)
    parking.jobs.add_raw_job("hello", body[:-100], delay_seconds=DAY)
    assert parking.counts(parking.queue) == 1


def test_a_job_with_its_own_sqsw_attribute_is_refused(parking: Parking) -> None:
    class Own:
        def before_send(self, message: OutgoingEntry) -> None:
            message.set_attribute(SQSW, "mine")

        def around(self, job: object) -> Any: ...

    parking.env.middlewares = [Own()]
    with pytest.raises(MessageRefused, match="without a job id cannot be parked"):
        parking.jobs.add_job("hello", _delay_seconds=DAY, name="ann")


class Notebook:
    """A parking place of another kind."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Entry, str, datetime]] = []

    def check(self, entry: Entry, destination: QueueClient, due: datetime) -> None:
        if entry["MessageBody"] == "{}":
            raise MessageRefused("this one has no arguments")

    def park(self, entry: Entry, destination: QueueClient, due: datetime) -> str:
        self.jobs.append((entry, destination.name, due))
        return "1"

    def park_batch(
        self, entries: list[Entry], destination: QueueClient, dues: list[datetime]
    ) -> list[EntryFailure]:
        for entry, due in list(zip(entries, dues, strict=True))[1:]:
            self.park(entry, destination, due)
        return [EntryFailure(0, "Full", "no room", False)]

    def cancel(self, job_id: str) -> bool:
        return False

    def list(self) -> Any:
        return iter(list[ParkedJob]())


def test_an_environment_can_have_another_parking_place(parking: Parking) -> None:
    place: Any = Notebook()
    env = SQSEnv(parking.session, parking=place)
    queue = env.job_queue("jobs")
    assert (env.parking_queue, env.parking_place, env.companions()) == (None, place, [])
    due = parking.now + DAY
    assert queue.add_job("hello", _run_at=due, name="ann") == "1"
    assert [(name, at) for _, name, at in place.jobs] == [("jobs", due)]
    with pytest.raises(MessageRefused, match="no arguments"), queue.add_batch():
        queue.add_job("hello", _run_at=due)
    with pytest.raises(SQSBatchError, match="Full: no room") as caught, queue.add_batch():
        for name in ("ann", "bob"):
            queue.add_job("hello", _run_at=due, name=name)
    assert [each["_message"]["MessageBody"] for each in caught.value.errors] == ['{"name": "ann"}']
    assert len(place.jobs) == 2


def test_the_parking_queue_can_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    env = SQSEnv(MemorySession())
    assert (env.parking_queue, env.parking_place) == (None, None)
    monkeypatch.setenv("SQSW_PARKING", "later")
    assert env.parking_queue == "later"
    assert SQSEnv(MemorySession(), parking="parked").parking_queue == "parked"
    monkeypatch.setenv("SQSW_PARKING", "")
    assert env.parking_queue is None


@pytest.mark.parametrize("name", ["parked.fifo", "", "a b", "https://sqs/1/parked", "arn:aws:x"])
def test_other_names_of_a_parking_queue_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="parking queue"):
        SQSEnv(MemorySession(), parking=name)
    if name:
        monkeypatch.setenv("SQSW_PARKING", name)
        with pytest.raises(SettingsError, match="parking queue"):
            _ = SQSEnv(MemorySession()).parking_queue


def test_the_parking_queue_has_no_jobs_of_its_own(parking: Parking) -> None:
    with pytest.raises(SettingsError, match="'parked' cannot have jobs of its own"):
        parking.env.processor("parked", "hello")(hello)
    with pytest.raises(SettingsError, match="'parked' cannot have jobs of its own"):
        parking.env.raw_processor("parked")
    with pytest.raises(SettingsError, match="'parked' cannot have jobs of its own"):
        parking.env.add_job("parked", "hello")
    with pytest.raises(SettingsError, match="'parked' cannot have jobs of its own"):
        parking.env.process_batch("parked")


def test_jobs_on_the_parking_queue_by_another_name_are_found_at_the_start(
    parking: Parking,
) -> None:
    queue = parking.env.queue("other", queue_url=parking.queue.url)
    queue.connect_processor("hello", hello)
    for polls in (True, False):
        with pytest.raises(SettingsError, match="'other' cannot have jobs of its own"):
            parking.env.companions(parking=polls)


def test_a_parking_queue_cannot_list_or_cancel_jobs_on_aws() -> None:
    place = SQSEnv(region="eu-west-1", parking="parked").parking_place
    assert place is not None
    with pytest.raises(SettingsError, match="cannot cancel a job in the parking queue 'parked'"):
        place.cancel("j")
    with pytest.raises(SettingsError, match="cannot list the jobs of the parking queue 'parked'"):
        list(place.list())


def test_a_queue_of_jobs_is_not_its_own_parking_queue(parking: Parking) -> None:
    place = SQSEnv(parking.env.session, parking="jobs").parking_place
    assert place is not None
    with pytest.raises(MessageRefused, match="the parking queue of its own jobs"):
        place.check({"MessageBody": "x"}, parking.jobs.client, parking.now + DAY)
