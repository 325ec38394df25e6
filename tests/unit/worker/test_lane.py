"""Receives, and the time a failed message stays hidden."""

import pytest

from sqsw.core.results import ProcessingResult
from sqsw.transport.batches import EntryFailure
from sqsw.worker.lane import is_final, receive
from tests.unit.worker.doubles import FakeClient, Seconds, lane, message, refused, throttled

FAILED = ProcessingResult(False)
NOW = 100_000.0


@pytest.mark.parametrize(
    ("seconds", "hidden"), [(0, 0), (7, 7), (-3, 0), (1.6, 2), (1e9, 43195), (float("inf"), 43195)]
)
def test_backoff_is_in_whole_seconds_and_capped_at_twelve_hours(
    seconds: float, hidden: int
) -> None:
    assert lane(backoff=seconds).hidden_seconds(message(received_at=NOW), FAILED, NOW) == hidden


def test_the_twelve_hours_count_from_the_receive() -> None:
    old = message(received_at=NOW - 43_000)
    assert lane(backoff=3600).hidden_seconds(old, FAILED, NOW) == 195
    older = message(received_at=NOW - 50_000)
    assert lane(backoff=3600).hidden_seconds(older, FAILED, NOW) == 0


def test_the_backoff_policy_of_a_result_wins_over_the_queue() -> None:
    result = ProcessingResult(False, backoff_policy=Seconds(3))
    assert lane(backoff=7).hidden_seconds(message(received_at=NOW), result, NOW) == 3


def test_a_backoff_policy_that_raises_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    result = ProcessingResult(False, backoff_policy=Seconds(ZeroDivisionError()))
    assert lane(backoff=7).hidden_seconds(message(received_at=NOW), result, NOW) == 7
    assert "backoff policy" in caplog.text


@pytest.mark.parametrize("backoff", [ZeroDivisionError(), SystemExit("no"), float("nan")])
def test_a_failed_message_waits_thirty_seconds_if_every_policy_fails(
    backoff: float | BaseException,
) -> None:
    # Not 0: the job would fail in a tight loop until its receives are used up.
    assert lane(backoff=backoff).hidden_seconds(message(received_at=NOW), FAILED, NOW) == 30


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
