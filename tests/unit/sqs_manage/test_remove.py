from contextlib import closing
from typing import Any

import pytest

from sqsw.core.errors import Busy, QueueNotFound, SettingsError
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.message_view import HandledMessage
from sqsw.sqs_manage.receive_pass import Notice
from sqsw.sqs_manage.remove import delete_queue, purge_queue, purge_selected
from sqsw.sqs_manage.selection import Filter, Selection
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import counts, send_jobs


def where(*texts: str, **others: Any) -> Selection:
    return Selection(filters=tuple(map(Filter.parse, texts)), **others)


def purge(env: SQSEnv, queue: str, selection: Selection, **options: Any) -> list[HandledMessage]:
    return list(purge_selected(env, queue, selection, poll_seconds=0, **options))


def actions(handled: list[HandledMessage]) -> list[str | None]:
    return [one.view.action for one in handled]


def test_deleting_a_queue_reports_its_last_description(env: SQSEnv, client: Any) -> None:
    create_queue(env, "emails")
    send_jobs(env, "emails", {"n": 1})
    report = delete_queue(env, "emails")
    assert report is not None
    assert (report.name, report.action, report.visible) == ("emails", "deleted", 1)
    assert not client.list_queues().get("QueueUrls")
    assert delete_queue(env, "emails") is None


def test_a_purge_empties_the_queue_and_reports_its_former_depth(env: SQSEnv) -> None:
    create_queue(env, "emails")
    send_jobs(env, "emails", *[{"n": n} for n in range(3)])
    report = purge_queue(env, "emails")
    assert (report.action, report.visible) == ("purged", 3)
    assert counts(env, "emails") == (0, 0)


def test_a_second_purge_within_a_minute_is_busy() -> None:
    session = MemorySession()
    env = SQSEnv(session)
    create_queue(env, "emails")
    purge_queue(env, "emails")
    with pytest.raises(Busy) as caught:
        purge_queue(env, "emails")
    assert caught.value.message == "'emails' is already being purged"
    session.close()


def test_only_the_selected_messages_are_deleted(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, *[{"n": n} for n in range(25)])
    handled = purge(env, emails, where("args.n<12"))
    assert actions(handled).count("deleted") == 12
    assert actions(handled).count("skipped") == 13
    assert counts(env, emails) == (13, 0)
    # The purge received each message once. The next receive is the second and dead-letters it.
    assert {one.view.receives for one in handled} == {1}


def test_a_dry_run_deletes_nothing(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1}, {"n": 2})
    assert actions(purge(env, emails, where("args.n=1"), dry_run=True)) == [
        "would_delete",
        "skipped",
    ]
    assert counts(env, emails) == (2, 0)


def test_a_limit_leaves_the_rest_unread(env: SQSEnv) -> None:
    create_queue(env, "emails")
    send_jobs(env, "emails", *[{"n": n} for n in range(30)])
    assert actions(purge(env, "emails", Selection(limit=12))) == ["deleted"] * 12
    assert counts(env, "emails") == (18, 0)
    again = purge(env, "emails", where("args.n>=12", limit=1))
    assert actions(again) == ["deleted"]
    assert counts(env, "emails") == (17, 0)


def test_the_pass_ends_after_all_ids_were_found(env: SQSEnv, faults: Faults) -> None:
    create_queue(env, "emails")
    ids = send_jobs(env, "emails", *[{"n": n} for n in range(30)])
    handled = purge(env, "emails", Selection(ids=frozenset(ids[:2])))
    assert actions(handled) == ["deleted", "deleted"]
    assert faults.count("ReceiveMessage") == 1
    assert purge(env, "emails", Selection(ids=frozenset())) == []


def test_selecting_everything_is_refused(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, {"n": 1})
    with pytest.raises(SettingsError):
        purge(env, emails, Selection())
    assert counts(env, emails) == (1, 0)


def test_a_missing_queue_is_not_found(env: SQSEnv) -> None:
    with pytest.raises(QueueNotFound):
        purge(env, "nothing", Selection(limit=1))
    with pytest.raises(QueueNotFound):
        purge_queue(env, "nothing")


def test_a_refused_entry_is_reported_with_code_and_reason(
    env: SQSEnv, emails: str, faults: Faults
) -> None:
    send_jobs(env, emails, {"n": 1}, {"n": 2})
    faults.refuse_entries("DeleteMessageBatch", lambda e: e["Id"] == "1", sender_fault=True)
    handled = purge(env, emails, Selection(limit=5))
    assert actions(handled) == ["deleted", None]
    failure = handled[1].failure
    assert failure is not None
    assert (failure.code, failure.message, failure.retryable) == (
        "InvalidParameterValue",
        "no",
        False,
    )
    assert failure.id == handled[1].view.id
    assert failure.item["args"] == {"n": 2}
    assert counts(env, emails) == (1, 0)


def test_an_entry_with_a_temporary_failure_is_retried(
    env: SQSEnv, emails: str, faults: Faults
) -> None:
    send_jobs(env, emails, {"n": 1}, {"n": 2})
    faults.refuse_entries("DeleteMessageBatch", lambda e: True, sender_fault=False, times=2)
    assert actions(purge(env, emails, Selection(limit=5))) == ["deleted", "deleted"]
    assert faults.count("DeleteMessageBatch") == 3


def test_stopping_early_returns_all_messages_to_the_queue(env: SQSEnv, emails: str) -> None:
    send_jobs(env, emails, *[{"n": n} for n in range(15)])
    walk = purge_selected(env, emails, where("args.n>=2"), poll_seconds=0)
    with closing(walk):
        assert next(walk).view.action == "deleted"
    # The batch in progress was finished; eight of its ten messages matched.
    assert counts(env, emails) == (7, 0)


def test_a_fifo_queue_is_purged_past_deleted_messages(env: SQSEnv) -> None:
    create_queue(env, "orders.fifo")
    send_jobs(env, "orders.fifo", *[{"group": "a", "n": n} for n in range(25)])
    notices: list[Notice] = []
    handled = purge(env, "orders.fifo", where("args.n<100"), on_notice=notices.append)
    assert actions(handled) == ["deleted"] * 25
    assert notices == []
