"""Twins (two messages of one job): how they are found, and how a redrive treats them."""

from typing import Any

import pytest

from sqsw.memory_sqs.embedded_session import EmbeddedSession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage import twins
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.peek import peek_messages
from sqsw.sqs_manage.redrive import RedriveReport, redrive
from sqsw.sqs_manage.selection import Filter, Selection
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import bodies, counts, dead_letter, failure, send_letter


def marked(env: SQSEnv, queue: str = "emails_dead") -> list[bool]:
    return [one.twin_of is not None for one in peek_messages(env, queue, 1_000)]


def by_sqsw(env: SQSEnv, text: str = "receives>=0", **options: Any) -> RedriveReport:
    selection = Selection(filters=(Filter.parse(text),))
    return redrive(env, "emails_dead", selection=selection, poll_seconds=0, **options)


def send_twin(env: SQSEnv, n: int = 1, *, job_id: str | None = "job-1") -> str:
    """Send a message and dead-letter it by SQS, as after a worker crash; return its id."""
    message_id = send_letter(env, "emails", {"n": n}, None, job_id=job_id)
    dead_letter(env, "emails")
    return message_id


def send_twins(env: SQSEnv) -> None:
    """Send the dead letter of a worker that crashed afterward, then the one that SQS moved."""
    original = send_letter(env, "emails", {"n": 1}, None, job_id="job-1")
    send_letter(env, "emails_dead", {"n": 1}, failure(), job_id="job-1", copy_of=original)
    dead_letter(env, "emails")


@pytest.fixture(autouse=True)
def _queues(emails: str) -> None:
    """Create ``emails`` and ``emails_dead``."""


def test_the_message_id_is_used_if_there_is_no_job_id(env: SQSEnv) -> None:
    message_id = send_twin(env, job_id=None)
    send_letter(env, "emails_dead", {"n": 1}, failure(), job_id=message_id, copy_of=message_id)
    assert marked(env) == [False, True]


def test_a_message_that_is_given_up_twice_creates_twins(env: SQSEnv) -> None:
    for at in ("2026-11-01T10:05:00.000Z", "2026-11-01T10:06:00.000Z"):
        send_letter(env, "emails_dead", {"n": 1}, failure(at=at), job_id="job-1", copy_of="m-1")
    assert marked(env) == [False, True]
    report = by_sqsw(env)
    assert (report.moved, report.dropped_twins) == (1, 1)


@pytest.mark.parametrize(
    ("letter", "options"),
    [
        ({"n": 2}, {"job_id": "job-1"}),
        ({"n": 1}, {"job_id": "job-2"}),
        ({"n": 1}, {"job_id": "job-1", "job": "other"}),
    ],
)
def test_other_jobs_are_not_twins(
    env: SQSEnv, letter: dict[str, Any], options: dict[str, str]
) -> None:
    original = send_twin(env)
    send_letter(env, "emails_dead", letter, failure(), copy_of=original, **options)
    assert marked(env) == [False, False]
    assert (by_sqsw(env).moved, counts(env, "emails_dead")) == (2, (0, 0))


def test_a_reused_job_id_does_not_create_twins(env: SQSEnv) -> None:
    for day in range(3):
        send_letter(env, "emails_dead", {}, failure(), job_id="nightly", copy_of=f"m-{day}")
        send_letter(env, "emails_dead", {"x": 3}, failure(), job_id="nightly", copy_of=f"n-{day}")
        send_letter(env, "emails_dead", {"x": 2}, None, job_id="nightly")
        send_letter(env, "emails", {"x": 3}, None, job_id="nightly")
    dead_letter(env, "emails")
    assert marked(env) == [False] * 12
    report = by_sqsw(env)
    assert (report.moved, report.dropped_twins) == (12, 0)


@pytest.mark.parametrize("between", [0, 25])
@pytest.mark.parametrize("twin_first", [True, False])
def test_the_record_is_kept_whichever_twin_is_first(
    env: SQSEnv, between: int, twin_first: bool
) -> None:
    original = send_letter(env, "emails", {"n": 1}, None, job_id="job-1")
    if twin_first:
        dead_letter(env, "emails")
    else:
        send_letter(env, "emails_dead", {"n": 1}, failure(), job_id="job-1", copy_of=original)
    for n in range(between):
        send_letter(env, "emails_dead", {"n": 100 + n}, failure(), job_id=f"other-{n}")
    if twin_first:
        send_letter(env, "emails_dead", {"n": 1}, failure(), job_id="job-1", copy_of=original)
    else:
        dead_letter(env, "emails")
    report = by_sqsw(env)
    assert (report.moved, report.dropped_twins) == (between + 1, 1)
    errors = [one.error for one in peek_messages(env, "emails", 100)]
    assert errors == [failure().to_json()] * (between + 1)


def test_the_first_twin_in_a_group_is_moved(env: SQSEnv, orders: str) -> None:
    original = send_letter(env, orders, {"n": 1}, None, job_id="job-1")
    dead_letter(env, orders)
    for n in range(15):
        letter, job_id = ({"n": 100 + n}, f"other-{n}")
        send_letter(env, "orders_dead.fifo", letter, failure(orders), job_id=job_id)
    send_letter(
        *(env, "orders_dead.fifo", {"n": 1}, failure(orders)), job_id="job-1", copy_of=original
    )
    selection = Selection(filters=(Filter.parse("receives>0"),))
    report = redrive(env, "orders_dead.fifo", selection=selection, poll_seconds=0)
    assert (report.moved, report.dropped_twins) == (16, 1)
    assert bodies(env, orders) == [f'{{"n": {n}}}' for n in (1, *range(100, 115))]


@pytest.mark.parametrize("between", [0, 25])
def test_a_twin_that_is_not_selected_is_dropped_as_well(env: SQSEnv, between: int) -> None:
    twin = send_twin(env)
    for n in range(between):
        send_letter(env, "emails_dead", {"n": 100 + n}, None, job_id=f"other-{n}")
    send_letter(env, "emails_dead", {"n": 1}, failure(), job_id="job-1", copy_of=twin)
    told: list[Any] = []
    report = by_sqsw(env, "error.type=Timeout", on_progress=told.append)
    assert (report.moved, report.dropped_twins, report.failed) == (1, 1, 0)
    assert counts(env, "emails_dead") == (between, 0)
    [dropped] = [one.view for one in told if one.view.action == "dropped_twin"]
    assert (dropped.id, dropped.job, dropped.args, dropped.error) == (twin, "send", {"n": 1}, None)


def test_a_dry_run_reports_twins_that_would_be_dropped(env: SQSEnv) -> None:
    send_twins(env)
    told: list[Any] = []
    report = by_sqsw(env, dry_run=True, on_progress=told.append)
    assert (report.would_move, report.dropped_twins) == (1, 1)
    assert [one.view.action for one in told] == ["would_move", "would_drop_twin"]
    assert counts(env, "emails_dead") == (2, 0)


def test_a_twin_stays_if_its_sibling_is_not_sent(env: SQSEnv, faults: Faults) -> None:
    send_twins(env)
    faults.refuse_entries("SendMessageBatch", lambda entry: True, sender_fault=True)
    report = by_sqsw(env)
    assert (report.moved, report.dropped_twins, report.skipped, report.failed) == (0, 0, 0, 2)
    assert counts(env, "emails_dead") == (2, 0)


def test_a_twin_that_cannot_be_deleted_is_reported_and_not_moved(
    env: SQSEnv, faults: Faults
) -> None:
    send_twins(env)
    deletes: list[Any] = []

    def is_second(entry: dict[str, Any]) -> bool:
        deletes.append(entry)
        return len(deletes) > 1

    faults.refuse_entries("DeleteMessageBatch", is_second, sender_fault=True)
    report = by_sqsw(env)
    assert (report.moved, report.dropped_twins, report.failed) == (1, 0, 1)
    assert report.failures[0].message.startswith("its twin was moved")
    assert (counts(env, "emails"), counts(env, "emails_dead")) == ((1, 0), (1, 0))


def test_twins_beyond_the_memory_limit_are_not_dropped(
    env: SQSEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twins, "_MAX_SIGHTINGS", 3)
    for _ in range(2):
        for n in range(5):
            ids = {"job_id": f"job-{n}", "copy_of": f"m-{n}"}
            send_letter(env, "emails_dead", {"n": n}, failure(), **ids)
    assert marked(env) == [False] * 5 + [True] * 3 + [False] * 2
    assert by_sqsw(env).dropped_twins == 3


def test_a_group_is_moved_in_order_and_its_twin_is_dropped(
    env: SQSEnv, orders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(EmbeddedSession, "direct_calls")  # as on AWS
    original = send_letter(env, orders, {"n": 1}, None, job_id="job-1")
    for n in range(3):
        send_letter(
            *(env, "orders_dead.fifo", {"n": n}, failure(orders)),
            job_id=f"job-{n}",
            copy_of=original if n == 1 else f"m-{n}",
        )
    dead_letter(env, orders)
    selection = Selection(filters=(Filter.parse("receives>0"),))
    report = redrive(env, "orders_dead.fifo", selection=selection, poll_seconds=0)
    assert (report.moved, report.dropped_twins) == (3, 1)
    assert bodies(env, orders) == [f'{{"n": {n}}}' for n in range(3)]


class TestRoutes:
    def test_a_record_cannot_name_a_queue_that_has_another_dead_letter_queue(
        self, env: SQSEnv
    ) -> None:
        create_queue(env, "news", dead_letter_queue="emails_dead")
        create_queue(env, "payments")
        send_letter(env, "emails_dead", {"n": 1}, failure("payments"))
        report = redrive(env, "emails_dead", poll_seconds=0)
        [failed] = report.failures
        assert (report.moved, failed.code) == (0, "NoSource")
        assert failed.message == (
            "it came from 'payments', which does not use this dead-letter queue; 'emails_dead' "
            "is the dead-letter queue of emails, news; name a target queue"
        )
        assert (counts(env, "payments"), counts(env, "emails_dead")) == ((0, 0), (1, 0))

    def test_sqs_does_not_move_messages_that_it_cannot_move(
        self, env: SQSEnv, faults: Faults
    ) -> None:
        create_queue(env, "news", dead_letter_queue="emails_dead")
        send_letter(env, "emails_dead", {"n": 1}, failure("news"))
        report = redrive(env, "emails_dead", poll_seconds=0, per_second=900)
        assert (report.moved, report.by_sqs, counts(env, "news")) == (1, False, (1, 0))
        assert faults.count("StartMessageMoveTask") == 0

    def test_sqs_does_a_move_in_the_background(self, env: SQSEnv) -> None:
        create_queue(env, "news", dead_letter_queue="emails_dead")
        send_twin(env)
        report = redrive(env, "emails_dead", wait=False)
        assert (report.by_sqs, report.status, counts(env, "emails")) == (True, "RUNNING", (1, 0))
