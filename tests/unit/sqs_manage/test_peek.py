"""Peeks as on AWS, where the only way to see messages is to receive them."""

import time
from contextlib import closing
from typing import Any

import pytest

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.memory_sqs.embedded_session import EmbeddedSession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.message_view import MessageView
from sqsw.sqs_manage.peek import peek_messages
from sqsw.sqs_manage.receive_pass import Notice
from sqsw.sqs_manage.selection import Filter, Selection
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import counts, send_jobs


@pytest.fixture(autouse=True)
def _as_on_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the feature of the session that boto3 sessions do not have."""
    monkeypatch.delattr(EmbeddedSession, "direct_calls")


def peek(env: SQSEnv, queue: str, limit: int, **options: Any) -> list[MessageView]:
    return list(peek_messages(env, queue, limit, poll_seconds=0, **options))


def test_messages_are_shown_and_returned(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, *[{"n": n} for n in range(25)])
    seen = peek(env, emails, 100)
    assert [view.args for view in seen] == [{"n": n} for n in range(25)]
    assert {view.action for view in seen} == {"peeked"}
    assert counts(env, emails) == (25, 0)


def test_no_more_messages_are_received_than_shown(env: SQSEnv, emails: str, faults: Faults) -> None:
    send_jobs(env, emails, *[{"n": n} for n in range(25)])
    assert len(peek(env, emails, 12)) == 12
    # The first peek received 12 messages, so the other 13 still have a receive count of 0.
    assert [view.receives for view in peek(env, emails, 13)] == [1] * 13


def test_a_selection_shows_selected_messages_up_to_the_limit(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, *[{"n": n} for n in range(25)])
    selection = Selection(filters=(Filter.parse("args.n>=15"),), limit=1)
    assert [view.args for view in peek(env, emails, 3, selection=selection)] == [
        {"n": 15},
        {"n": 16},
        {"n": 17},
    ]
    assert counts(env, emails) == (25, 0)


def test_an_empty_queue_shows_nothing(env: SQSEnv, emails: str) -> None:
    assert peek(env, emails, 5) == []


def test_stopping_early_returns_all_messages_to_the_queue(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, *[{"n": n} for n in range(15)])
    with closing(peek_messages(env, emails, 15, poll_seconds=0)) as walk:
        next(walk)
        assert counts(env, emails) == (5, 10)
    assert counts(env, emails) == (15, 0)


def test_an_error_of_the_caller_returns_all_messages_to_the_queue(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1})
    with pytest.raises(BrokenPipeError), closing(peek_messages(env, emails, 5)) as walk:
        for _ in walk:
            raise BrokenPipeError
    assert counts(env, emails) == (1, 0)


def test_the_poll_waits_for_messages(env: SQSEnv, emails: str) -> None:
    begun = time.monotonic()
    assert list(peek_messages(env, emails, 5, poll_seconds=1)) == []
    assert time.monotonic() - begun >= 0.9


def test_fifo_groups_that_were_not_read_to_the_end_are_reported(env: SQSEnv) -> None:
    create_queue(env, "orders.fifo")
    send_jobs(env, "orders.fifo", *[{"group": "a", "n": n} for n in range(15)])
    send_jobs(env, "orders.fifo", *[{"group": "b", "n": n} for n in range(3)])
    notices: list[Notice] = []
    assert len(peek(env, "orders.fifo", 100, on_notice=notices.append)) == 13
    assert [notice.message for notice in notices] == [
        "1 message group of 'orders.fifo' was not read to the end"
    ]
    assert counts(env, "orders.fifo") == (18, 0)


def test_groups_that_were_read_to_the_end_are_not_reported(env: SQSEnv) -> None:
    create_queue(env, "orders.fifo")
    send_jobs(env, "orders.fifo", *[{"group": "a", "n": n} for n in range(10)])
    notices: list[Notice] = []
    assert len(peek(env, "orders.fifo", 100, on_notice=notices.append)) == 10
    assert notices == []


def test_invalid_numbers_and_names_are_refused(env: SQSEnv) -> None:
    with pytest.raises(SettingsError):
        peek(env, "emails", 0)
    with pytest.raises(QueueNotFound):
        peek(env, "nothing", 1)
