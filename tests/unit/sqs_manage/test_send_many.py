import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from sqsw.core.errors import AccessDenied, QueueNotFound, SettingsError
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue
from sqsw.sqs_manage.message_view import Failure
from sqsw.sqs_manage.outgoing import OutgoingMessage, UnreadLine
from sqsw.sqs_manage.send_many import SentMessage, send_messages
from tests.job_ids import is_new
from tests.unit.sqs_manage.faults import Faults
from tests.unit.sqs_manage.queues import bodies, contents, counts


def jobs(count: int, **options: Any) -> Iterator[OutgoingMessage]:
    for n in range(count):
        yield OutgoingMessage(n + 1, "send", {"n": n}, **options)


def in_groups(count: int, *groups: str) -> list[OutgoingMessage]:
    """Return ``count`` messages for each group, alternating between the groups."""
    pairs = itertools.product(range(count), groups)
    return [
        OutgoingMessage(line, "send", {"n": n}, group, f"{group}{n}")
        for line, (n, group) in enumerate(pairs, 1)
    ]


@pytest.fixture
def plain(env: SQSEnv) -> str:
    create_queue(env, "plain")
    return "plain"


@pytest.fixture
def fifo(env: SQSEnv) -> str:
    create_queue(env, "q.fifo")
    return "q.fifo"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqsw.transport.sending._PAUSE_SECONDS", 0)


def test_a_request_has_up_to_ten_messages(env: SQSEnv, plain: str, faults: Faults) -> None:
    told: list[Any] = []
    report = send_messages(env, plain, jobs(95), on_result=told.append)
    assert (report.sent, report.failed, report.requests, report.failures) == (95, 0, 10, ())
    assert faults.count("SendMessageBatch") == 10
    assert [sent.line for sent in told] == list(range(1, 96))
    assert all(isinstance(sent, SentMessage) and sent.id for sent in told)
    assert (told[0].queue, told[0].job, told[0].sequence_number) == ("plain", "send", None)
    assert sorted(bodies(env, plain)) == sorted(f'{{"n": {n}}}' for n in range(95))


def test_each_result_has_the_job_id(env: SQSEnv, plain: str, faults: Faults) -> None:
    faults.refuse_entries(
        "SendMessageBatch", lambda entry: '"n": 1}' in entry["MessageBody"], sender_fault=True
    )
    lines = [*jobs(2), OutgoingMessage(3, "send", {"n": 3}, job_id="order-7")]
    told: list[Any] = []
    send_messages(
        env, plain, [*lines, OutgoingMessage(4, "", {}, job_id="order-8")], on_result=told.append
    )
    results = {result.line: result.job_id for result in told}
    assert is_new(results[1]) and is_new(results[2])
    assert results[1] != results[2]
    assert (results[3], results[4]) == ("order-7", "order-8")
    assert isinstance(next(result for result in told if result.line == 2), Failure)
    carried = [
        message["MessageAttributes"]["Sqsw"]["StringValue"] for message in contents(env, plain)
    ]
    assert sorted(carried) == sorted(f'{{"id":"{results[line]}"}}' for line in (1, 3))


def test_a_request_has_up_to_one_mebibyte(env: SQSEnv, plain: str) -> None:
    large = [OutgoingMessage(n, body="x" * 400_000) for n in range(1, 6)]
    report = send_messages(env, plain, large)
    assert (report.sent, report.requests) == (5, 3)


def test_the_input_is_read_while_it_is_sent(env: SQSEnv, plain: str) -> None:
    read = [0]
    behind: list[int] = []

    def lines() -> Iterator[OutgoingMessage]:
        for message in jobs(2_000):
            read[0] += 1
            yield message

    def note(result: Any) -> None:
        behind.append(read[0] - len(behind))

    report = send_messages(env, plain, lines(), concurrency=2, on_result=note)
    assert report.sent == 2_000
    # Four requests in progress, and one being filled.
    assert max(behind) <= 60


def test_a_line_that_the_queue_would_refuse_is_reported_as_failed(env: SQSEnv, plain: str) -> None:
    unread = UnreadLine("plain", 2, None, "SettingsError", "no JSON", False, "{")
    bad = OutgoingMessage(3, "send", {"n": 3}, delay=1_000)
    told: list[Any] = []
    report = send_messages(env, plain, [*jobs(1), unread, bad, *jobs(1)], on_result=told.append)
    assert (report.sent, report.failed) == (2, 2)
    assert report.failures[0] is unread
    failure = report.failures[1]
    assert (failure.queue, failure.line, failure.id) == ("plain", 3, None)
    assert (failure.code, failure.retryable) == ("MessageRefused", False)
    assert failure.message == (
        "a delay of 16m40s is too long: SQS delays a message by 0 to 900 seconds"
    )
    assert failure.item == {"job": "send", "args": {"n": 3}, "delay": 1_000}
    assert len(told) == 4


def test_a_retryable_failure_is_retried_three_times(
    env: SQSEnv, plain: str, faults: Faults
) -> None:
    def third(entry: dict[str, Any]) -> bool:
        return '"n": 3}' in entry["MessageBody"]

    faults.refuse_entries("SendMessageBatch", third, sender_fault=False, times=3)
    report = send_messages(env, plain, jobs(10))
    assert (report.sent, report.failed, report.requests) == (10, 0, 4)
    assert len(bodies(env, plain)) == 10


def test_a_message_fails_after_the_fourth_attempt(env: SQSEnv, plain: str, faults: Faults) -> None:
    faults.refuse_entries(
        "SendMessageBatch", lambda e: '"n": 3}' in e["MessageBody"], sender_fault=False
    )
    report = send_messages(env, plain, jobs(10))
    assert (report.sent, report.failed, report.requests) == (9, 1, 4)
    [failure] = report.failures
    assert (failure.line, failure.code, failure.retryable) == (4, "InternalError", True)


def test_a_sender_fault_is_not_retried(env: SQSEnv, plain: str, faults: Faults) -> None:
    faults.refuse_entries(
        "SendMessageBatch", lambda e: '"n": 3}' in e["MessageBody"], sender_fault=True
    )
    report = send_messages(env, plain, jobs(10))
    assert (report.failed, report.requests) == (1, 1)
    assert report.failures[0].retryable is False


def test_a_request_that_is_refused_as_a_whole_fails_its_lines(
    env: SQSEnv, plain: str, faults: Faults
) -> None:
    faults.refuse("SendMessageBatch", "InvalidParameterValue", times=1)
    report = send_messages(env, plain, jobs(25), concurrency=1)
    assert (report.sent, report.failed) == (15, 10)
    assert {failure.line for failure in report.failures} == set(range(1, 11))


def test_throttled_requests_are_repeated(env: SQSEnv, plain: str, faults: Faults) -> None:
    faults.refuse("SendMessageBatch", "RequestThrottled", times=2)
    report = send_messages(env, plain, jobs(10))
    assert (report.sent, report.requests) == (10, 3)


def test_a_fatal_error_is_raised_after_sent_messages_were_reported(
    env: SQSEnv, plain: str, faults: Faults
) -> None:
    told: list[Any] = []

    def stop(result: Any) -> None:
        told.append(result)
        if len(told) == 10:
            faults.refuse("SendMessageBatch", "AccessDenied")

    with pytest.raises(AccessDenied):
        send_messages(env, plain, jobs(500), concurrency=2, on_result=stop)
    assert len(told) == counts(env, plain)[0] < 500


def test_a_ctrl_c_reports_requests_in_progress(env: SQSEnv, plain: str, faults: Faults) -> None:
    faults.ctrl_c_before("SendMessageBatch")
    told: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        send_messages(env, plain, jobs(500), concurrency=2, on_result=told.append)
    sent = counts(env, plain)[0]
    # The result that was being reported during the Ctrl-C can be missing.
    assert 10 <= sent < 500
    assert sent - 1 <= len(told) <= sent


def test_invalid_arguments_are_refused(env: SQSEnv, plain: str) -> None:
    with pytest.raises(SettingsError):
        send_messages(env, plain, [], concurrency=0)
    with pytest.raises(QueueNotFound):
        send_messages(env, "nothing", jobs(1))
    assert send_messages(env, plain, []).requests == 0


class TestFifo:
    def test_messages_are_sent_in_order(self, env: SQSEnv, fifo: str, faults: Faults) -> None:
        report = send_messages(env, fifo, in_groups(35, "a", "b"))
        assert (report.sent, report.requests) == (70, 7)
        messages = contents(env, fifo)
        for group in ("a", "b"):
            mine = [m for m in messages if m["Attributes"]["MessageGroupId"] == group]
            assert [m["Body"] for m in mine] == [f'{{"n": {n}}}' for n in range(35)]

    def test_a_sent_message_is_reported_with_group_and_sequence_number(
        self, env: SQSEnv, fifo: str
    ) -> None:
        told: list[Any] = []
        send_messages(env, fifo, in_groups(1, "a"), on_result=told.append)
        [sent] = told
        assert (sent.group, sent.dedup_id) == ("a", "a0")
        assert len(sent.sequence_number) == 20

    def test_a_group_stops_at_its_first_failure(
        self, env: SQSEnv, fifo: str, faults: Faults
    ) -> None:
        faults.refuse_entries(
            "SendMessageBatch",
            lambda e: e["MessageDeduplicationId"] == "a9",
            sender_fault=True,
        )
        report = send_messages(env, fifo, in_groups(20, "a", "b"))
        # a9 is the last of its group in its request, so no later message of the group is sent.
        assert (report.sent, report.failed) == (29, 11)
        assert [failure.code for failure in report.failures] == [
            "InvalidParameterValue",
            *["GroupStopped"] * 10,
        ]
        assert [failure.item["dedup_id"] for failure in report.failures] == [
            f"a{n}" for n in range(9, 20)
        ]

    def test_a_bad_line_stops_its_group_but_not_earlier_lines(self, env: SQSEnv, fifo: str) -> None:
        lines = in_groups(4, "a", "b")
        lines[4] = OutgoingMessage(5, body="\x00", group="a", dedup_id="a2")
        report = send_messages(env, fifo, lines)
        assert (report.sent, report.failed) == (6, 2)
        assert [failure.line for failure in report.failures] == [5, 7]

    @pytest.mark.parametrize(("group", "sent"), [("a", {1, 2, 4}), (None, {1, 2})])
    def test_a_line_that_was_not_read_stops_its_group_or_all(
        self, env: SQSEnv, fifo: str, group: str | None, sent: set[int]
    ) -> None:
        first, second, third, fourth = in_groups(2, "a", "b")
        unread = UnreadLine(fifo, 9, None, "InvalidLine", "no JSON", False, "{", group)
        told: list[Any] = []
        send_messages(env, fifo, [first, second, unread, third, fourth], on_result=told.append)
        assert {one.line for one in told if isinstance(one, SentMessage)} == sent

    def test_an_entry_is_retried_only_if_no_message_of_its_group_overtook_it(
        self, env: SQSEnv, fifo: str, faults: Faults
    ) -> None:
        faults.refuse_entries(
            "SendMessageBatch",
            lambda e: e["MessageDeduplicationId"] in ("a1", "b3", "b4"),
            sender_fault=False,
            times=1,
        )
        report = send_messages(env, fifo, in_groups(5, "a", "b"))
        # a2 to a4 were already sent, so a1 would be out of order. Nothing followed b3 and b4.
        assert [failure.item["dedup_id"] for failure in report.failures] == ["a1"]
        assert report.requests == 2
        mine = [m for m in contents(env, fifo) if m["Attributes"]["MessageGroupId"] == "b"]
        assert [m["Body"] for m in mine] == [f'{{"n": {n}}}' for n in range(5)]

    def test_messages_without_required_deduplication_ids_are_not_sent(
        self, env: SQSEnv, fifo: str, faults: Faults
    ) -> None:
        faults.calls.clear()
        report = send_messages(env, fifo, jobs(3))
        assert (report.sent, report.failed, report.requests) == (0, 3, 0)
        # The first is refused, which stops the others in its group `default`.
        assert "needs a deduplication id" in report.failures[0].message
