"""Selecting messages by their ids."""

from dataclasses import replace
from typing import Any

from sqsw.codecs.envelope import pack_job
from sqsw.core.job_metadata import add_job_id
from sqsw.core.message import Message
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.matcher import MessageMatcher, UnresolvedIds
from sqsw.sqs_manage.message_view import MessageView
from sqsw.sqs_manage.peek import peek_messages
from sqsw.sqs_manage.receive_pass import Notice
from sqsw.sqs_manage.redrive import redrive
from sqsw.sqs_manage.remove import purge_selected
from sqsw.sqs_manage.selection import Selection


def message(number: int, job_id: str | None = None) -> Message:
    entry = pack_job("send", {"n": number})
    if job_id is not None:
        add_job_id(entry, job_id)
    return Message(f"m-{number}", "handle", entry["MessageBody"], {}, entry["MessageAttributes"])


def picked(matcher: MessageMatcher, *messages: Message) -> list[str]:
    return [one.message.message_id for one in matcher.match(messages)[0]]


def test_both_kinds_of_ids_select_a_message() -> None:
    matcher = MessageMatcher(Selection(ids=frozenset({"m-1", "order-2"})), str)
    messages = message(1, "order-1"), message(2, "order-2"), message(3, "order-3"), message(4)
    assert picked(matcher, *messages) == ["m-1", "m-2"]


def test_the_pass_ends_after_all_message_ids_were_found() -> None:
    matcher = MessageMatcher(Selection(ids=frozenset({"m-1", "m-2"})), str)
    assert picked(matcher, message(1)) == ["m-1"]
    assert matcher.next_size() == 10
    assert picked(matcher, message(2), message(3)) == ["m-2"]
    assert matcher.next_size() == 0


def test_a_second_message_with_the_same_job_id_is_found() -> None:
    matcher = MessageMatcher(Selection(ids=frozenset({"order-1"})), str)
    assert picked(matcher, message(1, "order-1")) == ["m-1"]
    assert matcher.next_size() == 10
    assert picked(matcher, message(2, "order-1")) == ["m-2"]


def test_a_limit_also_ends_a_pass_for_job_ids() -> None:
    notices: list[Notice] = []
    selection = Selection(ids=frozenset({"order-1", "order-2"}), limit=1)
    matcher = MessageMatcher(selection, str, notices.append)
    assert picked(matcher, message(1, "order-1"), message(2, "order-2")) == ["m-1"]
    assert matcher.next_size() == 0
    matcher.end()
    assert notices == []  # the pass ended at the limit, so a missing id is not an error


def test_missing_ids_are_reported() -> None:
    notices: list[Notice] = []
    ids = frozenset({"order-1", "m-2", "order-3"})
    matcher = MessageMatcher(Selection(ids=ids), str, notices.append)
    picked(matcher, message(1, "order-1"), message(2))
    matcher.end()
    assert [notice.message for notice in notices] == ["1 of 3 ids was not found"]


def of_uuid(message_id: str, job_id: str | None = None) -> Message:
    return replace(message(0, job_id), message_id=message_id)


A, B, C = (f"{first}-0000-4000-8000-000000000000" for first in ("aaaaaaaa", "aaaaaaab", "cccccccc"))


def ended(ids: set[str], *messages: Message, **more: Any) -> tuple[list[str], list[Notice]]:
    """Return the message ids that a complete pass selects, in order, and its notices."""
    notices: list[Notice] = []
    selection = Selection(ids=frozenset(ids), **more)
    matcher = MessageMatcher(selection, str, notices.append)
    batches = iter([messages, ()])
    found, seen = [], 0
    for picked, skipped in matcher.parts(lambda size: next(batches)):
        found += [one.message.message_id for one in picked]
        seen += len(picked) + len(skipped)
    matcher.end()
    assert seen == len(messages)
    return found, notices


def test_a_prefix_or_suffix_of_a_uuid_selects_its_message() -> None:
    messages = of_uuid(A), of_uuid(B), of_uuid("m-1", C)
    job = "018f0000-0000-7000-8000-0123456789ab"
    assert ended({"456789ab"}, *messages, of_uuid("m-2", job)) == (["m-2"], [])
    assert ended({"aaaaaaab", C[:20]}, *messages) == ([B, "m-1"], [])
    assert ended({"cccccccc", C}, *messages) == (["m-1"], [])
    assert ended({A[:9]}, *messages, limit=1) == ([A], [])


def test_whole_and_partial_ids_keep_the_order_of_the_queue() -> None:
    messages = of_uuid(C), of_uuid(A), of_uuid(B)
    assert ended({A, "cccccccc"}, *messages) == ([C, A], [])


def test_a_prefix_of_a_job_id_selects_all_its_messages() -> None:
    assert ended({"cccccccc"}, of_uuid(A, C), of_uuid(B, C))[0] == [A, B]


def test_an_ambiguous_prefix_selects_nothing_and_is_reported() -> None:
    twice = "aaaaaaaa-1111-4000-8000-000000000000"
    found, (notice,) = ended({"aaaaaaaa"}, of_uuid(A), of_uuid(twice))
    assert found == []
    assert isinstance(notice, UnresolvedIds)
    assert notice.found_none
    assert (notice.message, notice.why, notice.next) == (
        "the id 'aaaaaaaa' is ambiguous",
        f"aaaaaaaa is a part of 2 ids: {A}, {twice}",
        "use more characters of each id",
    )
    found, (notice,) = ended({"aaaaaaaa", B, "dddddddd"}, of_uuid(A), of_uuid(twice), of_uuid(B))
    assert found == [B]
    assert notice.message == "1 of 3 ids was not found and 1 of 3 ids was ambiguous"


def test_a_shorter_prefix_or_one_of_another_kind_of_id_selects_nothing() -> None:
    """The number of a missing invoice must not match an invoice with a longer number."""
    messages = of_uuid(A), of_uuid("m-1", "invoice-10001"), of_uuid("m-2", "2026113017")
    for wanted in ("aaaaaaa", "invoice-1000", "20261130"):
        found, (notice,) = ended({wanted}, *messages)
        assert (found, notice.message) == ([], f"the id {wanted!r} was not found")


def test_a_whole_id_wins_over_one_that_begins_with_it() -> None:
    messages = of_uuid(A), of_uuid("m-1", "aaaaaaaa")
    assert ended({"aaaaaaaa"}, *messages) == (["m-1"], [])


def test_other_conditions_also_apply_to_partial_ids() -> None:
    assert ended({"aaaaaaaa"}, of_uuid(A), jobs=("other",)) == ([], [])


def test_job_ids_select_in_every_command(env: SQSEnv) -> None:
    create_queue(env, "emails")
    create_queue(env, "emails_dead")
    client = env.queue_client("emails_dead")
    for number, job_id in enumerate(["order-1", "order-2", "order-1", "order-3"]):
        entry = pack_job("send", {"n": number})
        add_job_id(entry, job_id)
        client.send(entry)
    ids = frozenset({"order-1", "order-3"})
    options: dict[str, Any] = {"selection": Selection(ids=ids), "poll_seconds": 0}
    seen: list[MessageView] = list(peek_messages(env, "emails_dead", 10, **options))
    assert sorted(view.job_id for view in seen) == ["order-1", "order-1", "order-3"]
    report = redrive(env, "emails_dead", target="emails", **options)
    assert (report.moved, report.skipped) == (3, 1)
    left = Selection(ids=frozenset({"order-2"}))
    handled = list(purge_selected(env, "emails_dead", left, poll_seconds=0))
    assert [(one.view.action, one.view.job_id) for one in handled] == [("deleted", "order-2")]
