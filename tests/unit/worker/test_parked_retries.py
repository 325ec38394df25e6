"""Jobs whose next attempt is more than twelve hours away wait in the parking place."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from sqsw import (
    GiveUp,
    MemorySession,
    RawQueue,
    RetryJob,
    SQSEnv,
    current_job,
    redrive,
)
from sqsw.backoff_policies import ConstantBackoff, Delays
from sqsw.batching import BatchMessages
from sqsw.core.dead_record import DeadRecord
from sqsw.core.errors import (
    AccessDenied,
    ConnectionFailed,
    MessageRefused,
    QueueNotFound,
    SettingsError,
    SQSError,
)
from sqsw.core.events import (
    AckFailed,
    JobFailed,
    JobParked,
    JobRetry,
    MessageReturned,
    QueueWarning,
    RetriesPlanned,
)
from sqsw.core.job_metadata import MAX_METADATA_BYTES, SQSW, JobMetadata, metadata_of
from sqsw.core.limits import MAX_MESSAGE_BYTES
from sqsw.core.message import Message
from sqsw.core.results import FailedJobs, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.observe.logs import LogListener
from sqsw.parking.places import ParkedJob
from sqsw.queue.work import work_queues
from sqsw.shutdown_policies import IdleShutdown
from sqsw.sqs_manage.create import (
    create_fifo_queue,
    create_parking_queue,
    create_standard_queue,
)
from sqsw.sqs_manage.depth import DepthReader
from sqsw.sqs_manage.selection import Selection
from sqsw.transport.batches import Entry, EntryFailure
from sqsw.transport.queue_client import QueueClient
from sqsw.worker.lane import Lane
from tests.unit.worker.doubles import WorkerKit, lane, refused, throttled

DAY = 86_400

#: how the jobs of a queue are run: by a worker, or with ``process_batch``
WAYS = ["worker", "batch"]

Run = Callable[[SQSEnv], None]


class NoSuchOrder(Exception):
    """An error of the app."""


class Place:
    """A parking place that keeps nothing and takes its answers from a list."""

    def __init__(self, *answers: list[EntryFailure] | Exception) -> None:
        self.answers = list(answers)
        self.parked: list[tuple[Entry, datetime]] = []
        self.calls = 0
        self.refuses: Exception | None = None
        self.waits_for: threading.Event | None = None

    def check(self, entry: Entry, destination: QueueClient, due: datetime) -> None:
        if self.refuses is not None:
            raise self.refuses

    def park(self, entry: Entry, destination: QueueClient, due: datetime) -> str:
        raise NotImplementedError

    def park_batch(
        self, entries: Sequence[Entry], destination: QueueClient, dues: Sequence[datetime]
    ) -> list[EntryFailure]:
        self.calls += 1
        if self.waits_for is not None:
            self.waits_for.wait(10)
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        failed = {failure.index for failure in answer}
        pairs = enumerate(zip(entries, dues, strict=True))
        self.parked += [pair for index, pair in pairs if index not in failed]
        return answer

    def cancel(self, job_id: str) -> bool:
        raise NotImplementedError

    def list(self) -> Iterator[ParkedJob]:
        raise NotImplementedError


def new_env(parking: Any = "parked", receives: int = 3, **options: Any) -> SQSEnv:
    env = SQSEnv(MemorySession(), parking=parking, backoff_policy=ConstantBackoff(600), **options)
    create_standard_queue(env, "dead")
    policy = env.redrive_policy("dead", receives)
    create_standard_queue(env, "orders", redrive_policy=policy)
    if parking == "parked":
        create_parking_queue(env, "parked")
    return env


@pytest.fixture
def env() -> SQSEnv:
    return new_env()


def run_worker(env: SQSEnv, idle_seconds: float = 0, queue: str = "orders") -> None:
    work_queues(
        [env.queue(queue)],
        settings=WorkerSettings(concurrency=4, wait_seconds=0),
        events=env.events,
        policy_of=lambda name: IdleShutdown(idle_seconds),
    )


def run_batch(env: SQSEnv) -> None:
    while env.queue("orders").process_batch().total_count():
        pass


RUNS: dict[str, Run] = {"worker": run_worker, "batch": run_batch}


def messages(env: SQSEnv, name: str) -> list[Message]:
    """Return the messages of a queue that can be received."""
    found = env.queue_client(name).peek()
    assert found is not None
    return list(found)


def waiting_jobs(env: SQSEnv) -> list[Message]:
    """Return the messages of the parking queue, after SQS's part of their delay."""
    env.clients.session.clock.advance(seconds=901)
    return messages(env, "parked")


def count(env: SQSEnv, name: str) -> int:
    """Return the number of messages of a queue, hidden and delayed ones included."""
    depth = DepthReader(env).read(name)
    return depth.ready + depth.in_flight + depth.delayed


def pass_days(env: SQSEnv, days: float) -> None:
    """Move the clock, and send the parked jobs that are due then."""
    env.clients.session.clock.advance(seconds=days * DAY)
    parking_lane = env.parking_lane()
    assert parking_lane is not None
    while parking_lane.step():
        pass


def heard(env: SQSEnv, *kinds: type) -> list[Any]:
    found: list[Any] = []
    env.events.subscribe(found.append, *kinds)
    return found


def retry_in_three_days() -> None:
    raise RetryJob(backoff_policy=Delays(3 * DAY))


async def retry_in_three_days_async() -> None:
    raise RetryJob(backoff_policy=Delays(3 * DAY))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["thread", "loop", "process"])
def test_a_job_can_ask_for_a_retry_in_days(env: SQSEnv, kind: str, way: str) -> None:
    function = retry_in_three_days_async if kind == "loop" else retry_in_three_days
    executor: Literal["auto", "process"] = "process" if kind == "process" else "auto"
    env.queue("orders").connect_processor("ship", function, executor=executor)
    published = heard(env, JobRetry, JobParked, MessageReturned, AckFailed, QueueWarning)
    env.add_job("orders", "ship", _job_id="order-7")
    begin = env.wall_clock()
    RUNS[way](env)

    retry, parked = published
    assert (type(retry), retry.hidden_seconds) == (JobRetry, 3 * DAY)
    assert (type(parked), parked.job_id, parked.job_name) == (JobParked, "order-7", "ship")
    assert count(env, "orders") == 0
    (waiting,) = waiting_jobs(env)
    metadata = metadata_of(waiting)
    assert (metadata.job_id, metadata.to, metadata.attempts) == ("order-7", "orders", 1)
    assert metadata.due == pytest.approx((begin + 3 * DAY) * 1000, abs=60_000)
    assert parked.due.timestamp() * 1000 == pytest.approx(metadata.due, abs=1)

    pass_days(env, 2.9)
    assert count(env, "orders") == 0
    pass_days(env, 0.2)
    (back,) = messages(env, "orders")
    assert count(env, "parked") == 0
    kept = metadata_of(back)
    assert (kept.job_id, kept.attempts, kept.due, kept.to) == ("order-7", 1, None, None)
    RUNS[way](env)
    assert [metadata_of(each).attempts for each in waiting_jobs(env)] == [2]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", ["maxReceiveCount", "max_attempts", "both"])
def test_attempts_count_over_several_lives(limit: str, way: str) -> None:
    env = new_env(receives=3 if limit != "max_attempts" else 12)
    seen: list[tuple[int, int]] = []
    most = {"maxReceiveCount": None, "max_attempts": 3, "both": 7}[limit]

    @env.processor("orders", "ship", max_attempts=most, backoff_policy=Delays(DAY, 2 * DAY))
    def ship() -> None:
        job = current_job()
        assert job is not None
        seen.append((job.attempt, job.receive_count))
        raise NoSuchOrder("no such order")

    failures = heard(env, JobFailed)
    sent = ship.delay()
    for days in (1.1, 2.1, 3):
        RUNS[way](env)
        pass_days(env, days)
    assert seen == [(1, 1), (2, 1), (3, 1)]
    assert [(each.hidden_seconds, each.verdict) for each in failures] == [
        (DAY, None),
        (2 * DAY, None),
        (pytest.approx(43_190, abs=10), "last_attempt"),
    ]
    assert count(env, "orders") == count(env, "parked") == 0
    (letter,) = messages(env, "dead")
    metadata = metadata_of(letter)
    assert metadata.dead is not None
    assert (metadata.dead.verdict, metadata.dead.attempts) == ("last_attempt", 3)
    assert metadata.dead.message == "no such order"
    # A redrive begins to count again.
    assert (metadata.attempts, metadata.due, metadata.to) == (None, None, None)
    assert sent


def test_short_and_long_waits_count_together(env: SQSEnv) -> None:
    seen: list[int] = []

    @env.processor("orders", "ship", backoff_policy=Delays(0, 2 * DAY, 7 * DAY))
    def ship() -> None:
        job = current_job()
        assert job is not None
        seen.append(job.attempt)
        raise NoSuchOrder

    ship.delay()
    run_worker(env)
    (waiting,) = waiting_jobs(env)
    assert (seen, metadata_of(waiting).attempts) == ([1, 2], 2)
    pass_days(env, 2.1)
    run_worker(env)
    assert seen == [1, 2, 3]
    assert len(messages(env, "dead")) == 1


def test_a_parked_job_can_give_up_later(env: SQSEnv) -> None:
    @env.processor("orders", "ship")
    def ship() -> None:
        job = current_job()
        assert job is not None
        raise RetryJob(backoff_policy=ConstantBackoff(DAY)) if job.attempt == 1 else GiveUp

    ship.delay()
    run_worker(env)
    pass_days(env, 1.1)
    run_worker(env)
    (letter,) = messages(env, "dead")
    record = metadata_of(letter).dead
    assert record is not None
    assert (record.verdict, record.attempts) == ("gave_up", 2)


def test_a_job_is_not_parked_after_its_last_attempt_if_sqs_moves_it() -> None:
    # Its attempts are used up, but the worker cannot send it to the dead-letter queue.
    env = new_env()
    runs: list[int] = []

    @env.processor("orders", "ship", backoff_policy=ConstantBackoff(DAY))
    def ship() -> None:
        job = current_job()
        assert job is not None
        runs.append(job.attempt)
        raise NoSuchOrder

    ship.delay()
    settings = WorkerSettings(wait_seconds=0, dead_letters="native")
    for _ in range(8):
        work_queues(
            [env.queue("orders")],
            settings=settings,
            events=env.events,
            policy_of=lambda name: IdleShutdown(0),
        )
        pass_days(env, 0.55)
    assert runs == [1, 2, 3, 4, 5]  # the message of the third attempt has three receives
    (letter,) = messages(env, "dead")
    assert metadata_of(letter).attempts == 2
    assert redrive(env, "dead", target="orders", selection=Selection(limit=1)).moved == 1
    assert [metadata_of(each).attempts for each in messages(env, "orders")] == [None]


@pytest.mark.parametrize("group", [None, "customer 7", "customer-7"])
def test_a_message_without_a_job_id_keeps_its_id(env: SQSEnv, group: str | None) -> None:
    queue = env.queue("orders", RawQueue)

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise RetryJob(backoff_policy=ConstantBackoff(DAY))

    text = {"DataType": "String", "StringValue": "red"}
    entry: dict[str, Any] = {"MessageBody": "order", "MessageAttributes": {"color": text}}
    if group is not None:
        entry["MessageGroupId"] = group.replace(" ", "_")
    message_id = queue.client.send(entry)["MessageId"]
    run_worker(env)
    pass_days(env, 1.1)
    (back,) = messages(env, "orders")
    assert metadata_of(back) == JobMetadata(message_id, attempts=1)
    assert back.message_id != message_id
    assert (back.body, back.string_attribute("color")) == ("order", "red")
    assert back.group_id == (group and group.replace(" ", "_"))


@pytest.mark.parametrize("way", WAYS)
def test_each_job_of_a_list_waits_for_its_own_time(env: SQSEnv, way: str) -> None:
    queue = env.queue("orders", batching_policy=BatchMessages(3))
    runs: list[list[int]] = []

    @queue.processor("ship")
    def ship(jobs: list[dict[str, int]]) -> None:
        runs.append([each["number"] for each in jobs])
        raise FailedJobs(jobs[1:], ConstantBackoff(DAY))

    for number in range(3):
        queue.add_job("ship", number=number)
    RUNS[way](env)
    assert runs == [[0, 1, 2]]
    assert count(env, "orders") == 0
    assert count(env, "parked") == 2
    pass_days(env, 1.1)
    RUNS[way](env)
    assert runs[1] == [1, 2]
    assert [metadata_of(each).attempts for each in waiting_jobs(env)] == [2]


def test_work_off_moves_the_clock_over_long_waits(env: SQSEnv) -> None:
    runs: list[int] = []

    @env.processor("orders", "ship", backoff_policy=ConstantBackoff(5 * DAY))
    def ship() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise NoSuchOrder

    ship.delay()
    result = env.work_off(max_seconds=30 * DAY)
    assert (len(runs), result.failed, result.succeeded, result.left) == (3, 2, 1, {})
    assert result.moved_seconds == pytest.approx(10 * DAY, abs=DAY)


# What cannot be parked.


def _hidden_seconds(env: SQSEnv) -> float:
    seconds = env.queue("orders").client.seconds_until_due()
    assert seconds is not None
    return seconds


def _missing() -> QueueNotFound:
    return QueueNotFound("no parking queue named 'parked'", queue="parked")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "answer",
    [
        [refused(code="InvalidParameterValue")],
        _missing(),
        AccessDenied("not allowed", reason="denied"),
        SettingsError("there is no schedule group 'shop'"),
    ],
)
def test_a_refused_job_comes_back_after_twelve_hours_with_a_warning(
    answer: list[EntryFailure] | Exception, way: str
) -> None:
    env = new_env(place := Place(answer))
    published = heard(env, QueueWarning, JobParked, MessageReturned, AckFailed, JobFailed)

    @env.processor("orders", "ship", backoff_policy=ConstantBackoff(DAY))
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    RUNS[way](env)
    failed, warning, returned = published
    assert failed.hidden_seconds == DAY
    assert (warning.queue_name, warning.reason) == ("orders", "parking")
    assert "comes back after 12h" in warning.text
    assert returned.hidden_seconds == pytest.approx(43_195, abs=10)
    assert _hidden_seconds(env) == pytest.approx(43_195, abs=10)
    assert place.parked == []

    env.clients.session.clock.advance(seconds=DAY / 2)  # and this time it is taken
    RUNS[way](env)
    assert len(place.parked) == 1
    assert count(env, "orders") == 0


def test_a_refusal_is_reported_once_for_a_queue() -> None:
    env = new_env(Place([refused()], [refused()], [refused()]))
    published = heard(env, QueueWarning)

    @env.processor("orders", "ship", backoff_policy=ConstantBackoff(DAY))
    def ship() -> None:
        raise NoSuchOrder

    for _ in range(3):
        ship.delay()
    run_worker(env)
    assert [event.reason for event in published] == ["parking"]


def test_only_the_refused_job_of_a_batch_comes_back() -> None:
    env = new_env(place := Place([refused(1)]))
    queue = env.queue("orders", batching_policy=BatchMessages(3))

    @queue.processor("ship", backoff_policy=ConstantBackoff(DAY))
    def ship(jobs: list[dict[str, int]]) -> None:
        raise NoSuchOrder

    for number in range(3):
        queue.add_job("ship", number=number)
    run_batch(env)
    assert place.calls == 1
    assert len(place.parked) == 2
    assert count(env, "orders") == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "answer",
    [
        [throttled()],
        ConnectionFailed("no answer", reason="no_answer"),
        AccessDenied("expired", reason="expired"),
        RuntimeError("of the parking place"),
    ],
)
def test_a_call_that_can_succeed_later_is_repeated(
    answer: list[EntryFailure] | Exception, way: str
) -> None:
    env = new_env(place := Place(answer))
    published = heard(env, QueueWarning, AckFailed, MessageReturned)

    @env.processor("orders", "ship", backoff_policy=ConstantBackoff(DAY))
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    RUNS[way](env)
    assert (place.calls, len(place.parked)) == (2, 1)
    assert count(env, "orders") == 0
    assert published == []


@pytest.mark.parametrize("number", [9, 10])
def test_a_message_needs_room_for_the_attribute(env: SQSEnv, number: int) -> None:
    queue = env.queue("orders", RawQueue)
    published = heard(env, QueueWarning)

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise RetryJob(backoff_policy=ConstantBackoff(DAY))

    text = {"DataType": "String", "StringValue": "x"}
    attributes = {f"a{index}": text for index in range(number)}
    queue.client.send({"MessageBody": "order", "MessageAttributes": attributes})
    run_worker(env)
    has_room = number < 10
    assert [event.reason for event in published] == ([] if has_room else ["parking"])
    assert count(env, "parked") == has_room
    assert count(env, "orders") == (not has_room)


def test_a_message_needs_room_for_its_size(env: SQSEnv) -> None:
    queue = env.queue("orders", RawQueue)
    published = heard(env, QueueWarning)

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise RetryJob(backoff_policy=ConstantBackoff(DAY))

    queue.client.send({"MessageBody": "x" * MAX_MESSAGE_BYTES})
    for _ in range(3):  # together, they do not fit into one call
        queue.client.send({"MessageBody": "x" * (MAX_MESSAGE_BYTES // 2 - 300)})
    run_worker(env)
    assert [event.reason for event in published] == ["parking"]
    assert count(env, "parked") == 3
    assert count(env, "orders") == 1


@pytest.mark.parametrize("text", ["theirs", "[]", '{"id": 7}'])
def test_an_attribute_that_is_not_ours_is_kept(env: SQSEnv, text: str) -> None:
    queue = env.queue("orders", RawQueue)
    published = heard(env, QueueWarning)

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise RetryJob(backoff_policy=ConstantBackoff(DAY))

    attributes = {SQSW: {"DataType": "String", "StringValue": text}}
    queue.client.send({"MessageBody": "order", "MessageAttributes": attributes})
    run_worker(env)
    assert [event.reason for event in published] == ["parking"]
    env.clients.session.clock.advance(seconds=DAY / 2)
    (left,) = messages(env, "orders")
    assert left.string_attribute(SQSW) == text


def test_a_long_record_of_an_earlier_death_is_shortened(env: SQSEnv) -> None:
    record = DeadRecord(
        *("gave_up", "ValueError", "m" * 500, "app.ship:1", "0123456789ab", 1, 1),
        *(None, "2026-11-30T10:00:00.000Z", "orders", "host:1"),
        trace="t" * 3_100,
    )
    queue = env.queue("orders", RawQueue)

    @queue.raw_processor()
    def ship(message: Message) -> None:
        raise RetryJob(backoff_policy=ConstantBackoff(DAY))

    sent = JobMetadata("j" * 128, dead=record).to_attribute()
    assert MAX_METADATA_BYTES - 200 < len(sent["StringValue"]) <= MAX_METADATA_BYTES
    queue.client.send({"MessageBody": "order", "MessageAttributes": {SQSW: sent}})
    run_worker(env)
    metadata = metadata_of(waiting_jobs(env)[0])
    assert metadata.dead == record.without_trace()
    assert metadata.job_id == "j" * 128


# Without a parking place, and on FIFO queues.


@pytest.mark.parametrize("suffix", ["", ".fifo"])
@pytest.mark.parametrize("is_known", [True, False])
def test_without_parking_a_long_wait_is_shortened_with_one_warning(
    suffix: str, is_known: bool
) -> None:
    env = new_env("parked" if suffix else None)
    name = f"bills{suffix}"
    create = create_fifo_queue if suffix else create_standard_queue
    create(env, f"dead_bills{suffix}")
    create(env, name, redrive_policy=env.redrive_policy(f"dead_bills{suffix}", 12))
    published = heard(env, QueueWarning, JobFailed, RetriesPlanned, JobParked)
    policy = ConstantBackoff(3 * DAY)

    @env.processor(name, "pay", backoff_policy=policy if is_known else None)
    def pay() -> None:
        if is_known:
            raise NoSuchOrder
        raise RetryJob(backoff_policy=policy)

    fifo: dict[str, Any] = {"_deduplication_id": "1", "_group_id": "g"} if suffix else {}
    pay.delay(**fifo)
    if suffix:
        fifo = {"_deduplication_id": "2", "_group_id": "h"}
    pay.delay(**fifo)
    run_worker(env, queue=name)
    warnings = [event for event in published if isinstance(event, QueueWarning)]
    (warning,) = [event for event in warnings if event.reason == "long_backoff"]
    assert "a backoff of 3d is shortened to 12h" in warning.text
    assert ("FIFO" in warning.text) == bool(suffix)
    planned = next(event for event in published if isinstance(event, RetriesPlanned))
    assert (planned.horizon.seconds == 11 * 43_200) == is_known
    failures = [event for event in published if isinstance(event, JobFailed)]
    assert len(failures) == (2 if is_known else 0)
    assert all(each.hidden_seconds <= 43_200 for each in failures)
    seconds = env.queue(name).client.seconds_until_due()
    assert seconds == pytest.approx(43_195, abs=10)
    assert not [event for event in published if isinstance(event, JobParked)]


def test_the_horizon_counts_long_waits_if_jobs_are_parked(env: SQSEnv) -> None:
    env.queue("orders", backoff_policy=Delays(DAY, 30 * DAY))
    assert env.retry_horizon("orders", 4).seconds == 61 * DAY
    assert env.retry_horizon("orders", 4).cut_seconds is None
    env.backoff_policy = ConstantBackoff(DAY)
    assert env.retry_horizon("unknown", 3).seconds == 2 * DAY
    assert env.retry_horizon("unknown.fifo", 3).seconds == DAY
    published = heard(env, RetriesPlanned, QueueWarning)
    run_worker(env)
    (planned,) = published
    assert planned.horizon.until("dead") == "for 31d, then dead"


def test_a_backoff_of_twelve_hours_needs_no_parking() -> None:
    env = new_env(place := Place())

    @env.processor("orders", "ship", backoff_policy=ConstantBackoff(43_200))
    def ship() -> None:
        raise NoSuchOrder

    ship.delay()
    run_worker(env)
    assert place.calls == 0
    assert _hidden_seconds(env) == pytest.approx(43_195, abs=10)


# While the worker stops, and while the parking place is slow.


def test_a_drain_waits_until_a_job_is_parked() -> None:
    place = Place()
    place.waits_for = threading.Event()
    env = new_env(place)

    @env.processor("orders", "ship", backoff_policy=ConstantBackoff(DAY))
    def ship() -> None:
        assert place.waits_for is not None
        threading.Timer(1.0, place.waits_for.set).start()
        raise NoSuchOrder

    ship.delay()
    run_worker(env)
    assert len(place.parked) == 1
    assert count(env, "orders") == 0


def test_a_drain_that_cannot_park_a_job_keeps_its_message() -> None:
    place = Place(*[ConnectionFailed("no answer", reason="no_answer")] * 1_000)
    kit = WorkerKit(lane_with(place))
    kit.accept("a")
    kit.acknowledger.stop(kit.clock())
    assert kit.client.deletes == kit.client.changes == []
    (failed,) = [event for event in kit.told if isinstance(event, AckFailed)]
    assert failed.action == "park"


def fail_for_a_day(messages: Sequence[Message]) -> list[ProcessingResult]:
    result = ProcessingResult(False, backoff_policy=ConstantBackoff(DAY))
    return [result] * len(messages)


def lane_with(place: Place) -> Lane:
    return replace(lane(handle=fail_for_a_day), parking=place, wall_clock=lambda: 1e9)


def test_the_lease_is_renewed_until_the_job_is_parked() -> None:
    place = Place([throttled()])
    kit = WorkerKit(lane_with(place))
    (sent,) = kit.accept("a")
    kit.acknowledger.flush()
    kit.clock.advance(16)
    kit.heartbeat.beat()
    assert sent.lease.expires_at == kit.clock() + 30
    assert kit.client.deletes == []
    kit.acknowledger.flush()
    assert kit.client.deletes == [["a"]]
    ((_, due),) = place.parked
    assert due == datetime.fromtimestamp(1e9, UTC) + timedelta(days=1)
    assert kit.in_flight.is_empty()


def test_a_job_is_not_parked_after_its_lease_has_ended() -> None:
    kit = WorkerKit(lane_with(place := Place()))
    kit.accept("a")
    kit.clock.advance(31)
    kit.acknowledger.flush()
    assert place.calls == 0
    (failed,) = [event for event in kit.told if isinstance(event, AckFailed)]
    assert (failed.action, "before it was parked" in failed.reason) == ("park", True)


def test_jobs_are_parked_in_tens() -> None:
    kit = WorkerKit(lane_with(place := Place()), concurrency=30)
    kit.accept(*map(str, range(10)))
    kit.accept(*map(str, range(10, 20)))
    kit.acknowledger.flush()
    assert (place.calls, len(place.parked)) == (2, 20)
    assert sorted(map(len, kit.client.deletes)) == [10, 10]


@pytest.mark.parametrize("error", [MessageRefused, SettingsError, ValueError])
def test_a_place_that_refuses_by_its_check_is_not_called(error: type[Exception]) -> None:
    place = Place()
    place.refuses = error("its name is too long")
    kit = WorkerKit(lane_with(place))
    kit.accept("a")
    kit.acknowledger.flush()
    assert place.calls == 0
    (warning,) = [event for event in kit.told if isinstance(event, QueueWarning)]
    assert "its name is too long" in warning.text
    assert kit.client.changes == [[("a", 43_195)]]


# The attribute.


def test_most_messages_need_no_json_to_count_their_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parsed(text: str | None) -> JobMetadata:
        raise AssertionError("parsed")

    monkeypatch.setattr("sqsw.core.job_metadata.read_metadata", parsed)
    for attributes in ({}, {SQSW: JobMetadata("a-job").to_attribute()}):
        sent = Message("id", "handle", "body", message_attributes=attributes)
        assert (sent.attempt, sent.earlier_attempts) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        '{"attempts":-1}',
        '{"attempts":"9"}',
        '{"attempts":1e3}',
        '{"attempts":true}',
        '{"attempts":1000001}',
        '{"attempts":' * 500,
        '"attempts"',
        '{"dead":{"attempts":7}}',
        '{"attempts":7}' + " " * 5_000,
    ],
)
def test_attempts_that_no_worker_writes_do_not_count(text: str) -> None:
    attributes = {SQSW: {"DataType": "String", "StringValue": text}}
    sent = Message("id", "handle", "body", message_attributes=attributes)
    assert sent.attempt == 1


def test_a_parked_job_is_logged(env: SQSEnv, caplog: pytest.LogCaptureFixture) -> None:
    LogListener().subscribe_to(env.events)
    env.queue("orders").connect_processor("ship", retry_in_three_days)
    env.add_job("orders", "ship")
    with caplog.at_level("INFO"):
        run_batch(env)
    (record,) = [each for each in caplog.records if vars(each).get("event") == "job_parked"]
    values = vars(record)
    assert (values["queue"], values["job"], values["attempt"]) == ("orders", "ship", 1)
    assert values["due"].endswith("Z")


def test_an_error_of_sqs_itself_is_repeated() -> None:
    kit = WorkerKit(lane_with(place := Place(SQSError("busy"))))
    kit.accept("a")
    kit.acknowledger.flush()
    kit.clock.advance(1)
    kit.acknowledger.flush()
    assert (place.calls, len(place.parked)) == (2, 1)
