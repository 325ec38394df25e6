"""Peeks on the embedded SQS, which can show messages without receiving them."""

from typing import Any

from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.peek import peek_messages
from sqsw.sqs_manage.redrive import redrive
from sqsw.sqs_manage.remove import purge_selected
from sqsw.sqs_manage.selection import Filter, Selection
from tests.unit.sqs_manage.queues import counts, dead_letter, send_jobs


def test_a_peek_does_not_count_as_a_receive(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1})
    for _ in range(3):  # the queue lets a message be received once
        (view,) = peek_messages(env, emails, 5)
        assert (view.args, view.receives, view.action) == ({"n": 1}, 0, "peeked")
        assert view.first_received_at is None
    assert counts(env, emails) == (1, 0)
    assert len(env.queue_client(emails).receive(1)) == 1


def test_a_peek_reads_several_parts_without_waiting(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, *[{"n": n} for n in range(230)])
    selection = Selection(filters=(Filter.parse("args.n>=120"),))
    seen = list(peek_messages(env, emails, 105, selection=selection, poll_seconds=20))
    assert [(view.args or {})["n"] for view in seen] == list(range(120, 225))


def test_messages_in_flight_are_not_shown(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1}, {"n": 2})
    env.queue_client(emails).receive(1)
    assert [view.args for view in peek_messages(env, emails, 5)] == [{"n": 2}]


def test_an_empty_queue_shows_nothing_at_once(env: SQSEnv, emails: str) -> None:
    assert list(peek_messages(env, emails, 5, poll_seconds=20)) == []


def test_a_dry_run_of_a_purge_does_not_count_as_a_receive(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1}, {"n": 2}, {"n": 3})
    selection = Selection(filters=(Filter.parse("args.n>=2"),), limit=2)
    for _ in range(3):  # the queue lets a message be received once
        handled = list(purge_selected(env, emails, selection, dry_run=True, poll_seconds=20))
        actions = sorted(one.view.action or "" for one in handled)
        assert actions == ["skipped", "would_delete", "would_delete"]
    assert {one.view.receives for one in handled} == {0}
    assert counts(env, emails) == (3, 0)


def test_a_dry_run_of_a_redrive_does_not_count_as_a_receive(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1}, {"n": 2})
    dead_letter(env, emails)
    for _ in range(2):
        told: list[Any] = []
        report = redrive(
            env,
            "emails_dead",
            selection=Selection(filters=(Filter.parse("args.n=2"),)),
            dry_run=True,
            on_progress=told.append,
            poll_seconds=20,
        )
        assert (report.would_move, report.skipped) == (1, 1)
    (first, _) = told
    (message,) = env.queue_client("emails_dead").receive(1)
    assert message.receive_count == first.view.receives + 1
