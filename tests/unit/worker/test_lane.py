"""Receives, and the time a failed message stays hidden."""

import pytest

from sqsw.core.job_metadata import SQSW, JobMetadata, job_id_of
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.transport.batches import EntryFailure
from sqsw.worker.lane import is_final, receive, within_limit
from tests.unit.worker.doubles import FakeClient, Seconds, lane, message, refused, throttled

FAILED = ProcessingResult(False)
NOW = 100_000.0


def carrying(attempts: int) -> dict[str, dict[str, str]]:
    """Return the attributes of a message whose job was parked after these attempts."""
    return {SQSW: JobMetadata("a-job", attempts=attempts or None).to_attribute()}


@pytest.mark.parametrize(
    ("seconds", "waits"),
    [(0, 0), (7, 7), (-3, 0), (1.6, 2), (1e6, 1e6), (1e9, 31_622_400), (float("inf"), 31_622_400)],
)
def test_backoff_is_in_whole_seconds_and_at_most_366_days(seconds: float, waits: int) -> None:
    assert lane(backoff=seconds).backoff_seconds(message(), FAILED) == waits


@pytest.mark.parametrize(("seconds", "hidden"), [(0, 0), (7, 7), (31_622_400, 43_195)])
def test_messages_are_hidden_for_at_most_twelve_hours(seconds: int, hidden: int) -> None:
    assert within_limit(message(received_at=NOW), seconds, NOW) == hidden


def test_the_twelve_hours_count_from_the_receive() -> None:
    assert within_limit(message(received_at=NOW - 43_000), 3600, NOW) == 195
    assert within_limit(message(received_at=NOW - 50_000), 3600, NOW) == 0


def test_the_backoff_policy_of_a_result_wins_over_the_queue() -> None:
    result = ProcessingResult(False, backoff_policy=Seconds(3))
    assert lane(backoff=7).backoff_seconds(message(), result) == 3


def test_a_backoff_policy_that_raises_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    result = ProcessingResult(False, backoff_policy=Seconds(ZeroDivisionError()))
    assert lane(backoff=7).backoff_seconds(message(), result) == 7
    assert "backoff policy" in caplog.text


@pytest.mark.parametrize("backoff", [ZeroDivisionError(), SystemExit("no"), float("nan")])
def test_a_failed_message_waits_thirty_seconds_if_every_policy_fails(
    backoff: float | BaseException,
) -> None:
    # Not 0: the job would fail in a tight loop until its receives are used up.
    assert lane(backoff=backoff).backoff_seconds(message(), FAILED) == 30


@pytest.mark.parametrize(("attempts", "receives", "tries"), [(3, 1, 1), (2, 2, 1), (1, 1, 3)])
def test_backoff_policies_see_all_attempts_as_receives(
    attempts: int, receives: int, tries: int
) -> None:
    seen: list[Message] = []

    class Recorder:
        def get_visibility_timeout(self, message: Message) -> float:
            seen.append(message)
            return 0

    result = ProcessingResult(False, backoff_policy=Recorder())
    sent = message(receives=receives, tries=tries, message_attributes=carrying(attempts))
    lane().backoff_seconds(sent, result)
    assert [(each.receive_count, each.attempt) for each in seen] == [
        (sent.attempt, attempts + receives + tries - 1)
    ]
    assert seen[0].attempt == sent.attempt
    assert job_id_of(seen[0]) == "a-job"


@pytest.mark.parametrize(
    ("earlier", "receives", "is_last"), [(0, 2, False), (1, 1, False), (2, 1, True), (9, 1, True)]
)
def test_attempts_before_a_long_wait_count_like_receives(
    earlier: int, receives: int, is_last: bool
) -> None:
    result = ProcessingResult(False, max_attempts=20)
    sent = message(receives=receives, message_attributes=carrying(earlier))
    assert lane(max_receives=3).is_last_attempt(sent, result) == is_last
    # SQS does not know of them, so it would not move the message.
    assert not lane(max_receives=3).is_last_receive(sent)


def test_a_receive_is_one_call() -> None:
    client = FakeClient()
    client.inbox = [[message("a")], [message("b")]]
    ((messages, more),) = receive(lane(client=client), 10, 20)
    assert (len(messages), more) == (1, False)
    assert client.receives == [(10, 20, 30)]


def test_a_long_list_takes_several_receives_and_only_the_first_waits() -> None:
    client = FakeClient()
    client.inbox = [[message() for _ in range(10)], [message() for _ in range(3)], []]
    calls = receive(lane(client=client, batch_size=25), 25, 20)
    assert [(len(messages), more) for messages, more in calls] == [
        (10, True),
        (3, True),
        (0, False),
    ]
    assert [(count, wait) for count, wait, _ in client.receives] == [(10, 20), (10, 0), (10, 0)]


def test_a_long_list_ends_when_it_is_full() -> None:
    client = FakeClient()
    client.inbox = [[message() for _ in range(count)] for count in (10, 5, 10)]
    calls = receive(lane(client=client, batch_size=15), 15, 20)
    assert [more for _, more in calls] == [True, False]
    assert [count for count, _, _ in client.receives] == [10, 5]


def test_an_error_in_a_long_list_keeps_what_was_received() -> None:
    client = FakeClient()
    client.inbox = [[message("a")], OSError()]
    calls = list(receive(lane(client=client, batch_size=25), 25, 20))
    assert [([m.body for m in messages], more) for messages, more in calls] == [
        (["a"], True),
        ([], False),
    ]


def test_which_failures_are_final() -> None:
    assert is_final(refused())
    assert not is_final(throttled())
    assert not is_final(EntryFailure(0, "ThrottlingException", "", sender_fault=True))
