"""Redrives of dead letters that workers sent, on every backend."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sqsw.core.job_metadata import metadata_of
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.moves import redrive_status
from sqsw.sqs_manage.peek import find_message, peek_messages
from sqsw.sqs_manage.redrive import RedriveReport, redrive
from sqsw.sqs_manage.selection import Filter, Selection
from tests.backends import Backend
from tests.unit.sqs_manage.queues import bodies, dead_letter, failure, send_jobs, send_letter


@pytest.fixture(params=["memory", "file", "served", "elasticmq"])
def env(
    request: pytest.FixtureRequest, started_backends: dict[str, Backend], tmp_path: Path
) -> Iterator[SQSEnv]:
    backend = started_backends[request.param]
    backend.start()
    session = backend.session(tmp_path)
    yield SQSEnv(session, queue_prefix=f"t{uuid.uuid4().hex[:12]}_")
    if hasattr(session, "close"):
        session.close()


def by_sqsw(env: SQSEnv, queue: str, text: str = "receives>=0", **options: Any) -> RedriveReport:
    selection = Selection(filters=(Filter.parse(text),))
    return redrive(env, queue, selection=selection, poll_seconds=0, **options)


def test_sqs_moves_sent_and_moved_letters_of_one_source(env: SQSEnv, emails: str) -> None:
    record = failure()
    send_letter(env, "emails_dead", {"n": 0}, record, job_id="job-0")
    send_jobs(env, emails, {"n": 1})
    dead_letter(env, emails)
    report = redrive(env, "emails_dead", poll_seconds=1)
    assert (report.moved, report.failed) == (2, 0)
    assert report.by_sqs == bool(redrive_status(env, "emails_dead"))
    messages = env.queue_client(emails).receive(10)
    assert sorted(message.body for message in messages) == ['{"n": 0}', '{"n": 1}']
    [sent] = [message for message in messages if metadata_of(message).job_id == "job-0"]
    assert metadata_of(sent).dead == record


def test_with_several_sources_each_letter_goes_to_the_queue_it_failed_in(env: SQSEnv) -> None:
    for name in ("a", "b"):
        create_queue(env, name, dead_letter_queue="dead", max_receives=1)
        send_letter(env, "dead", {"sent": name}, failure(name))
        send_jobs(env, name, {"moved": name})
        dead_letter(env, name)
    assert redrive(env, "dead", dry_run=True, poll_seconds=0).would_move == 4
    report = redrive(env, "dead", poll_seconds=0)
    assert (report.moved, report.failed, report.by_sqs) == (4, 0, False)
    for name in ("a", "b"):
        assert sorted(bodies(env, name)) == [f'{{"moved": "{name}"}}', f'{{"sent": "{name}"}}']


def test_a_fifo_group_keeps_its_order_and_its_records(env: SQSEnv) -> None:
    create_queue(env, "orders.fifo", dead_letter_queue="dead.fifo", max_receives=1)
    for number in range(12):
        for group in ("a", "b"):
            letter = {"group": group, "n": number}
            send_letter(env, "dead.fifo", letter, failure("orders.fifo"), group=group)
    assert by_sqsw(env, "dead.fifo").moved == 24
    client = env.queue_client("orders.fifo")
    found: dict[str, list[str]] = {"a": [], "b": []}
    while messages := client.receive(10):
        for message in messages:
            found[message.group_id or ""].append(message.body)
            dead = metadata_of(message).dead
            assert dead is not None and dead.deaths == 1
        client.delete_batch(messages)
    for group in ("a", "b"):
        assert found[group] == [f'{{"group": "{group}", "n": {n}}}' for n in range(12)]


def test_one_twin_is_moved_and_the_other_is_deleted(env: SQSEnv, emails: str) -> None:
    original = send_letter(env, emails, {"n": 1}, None, job_id="job-1")
    sent = send_letter(*(env, "emails_dead", {"n": 1}, failure()), job_id="job-1", copy_of=original)
    dead_letter(env, emails)
    seen = list(peek_messages(env, "emails_dead", 10, poll_seconds=0))
    assert [one.twin_of for one in seen] in ([None, sent], [None, seen[0].id])
    told: list[Any] = []
    report = by_sqsw(env, "emails_dead", on_progress=told.append)
    assert (report.moved, report.dropped_twins, report.failed) == (1, 1, 0)
    [dropped] = [one.view for one in told if one.view.action == "dropped_twin"]
    assert (dropped.twin_of, dropped.args) == (sent, {"n": 1})
    [message] = env.queue_client(emails).receive(10)
    assert metadata_of(message).dead == failure()
    assert bodies(env, "emails_dead") == []


def test_one_message_is_found_by_its_id_or_its_job_id(env: SQSEnv) -> None:
    create_queue(env, "jobs")
    ids = [
        send_letter(env, "jobs", {"n": number}, failure(), job_id=f"job-{number}")
        for number in range(12)
    ]
    for wanted in (ids[5], ids[5][:8], "job-5"):
        found = find_message(env, "jobs", wanted, poll_seconds=0)
        assert found is not None and found.id == ids[5]
    assert find_message(env, "jobs", "job", poll_seconds=0) is None
    assert find_message(env, "jobs", ids[5][:7], poll_seconds=0) is None
    assert len(bodies(env, "jobs")) == 12
