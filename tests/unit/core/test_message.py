"""Messages and their leases."""

from typing import Any

import pytest

from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.message import Lease, Message


def message(**attributes: str) -> Message:
    return Message("id", "handle", "body", attributes=attributes)


def test_a_message_has_the_attributes_that_sqs_reports() -> None:
    told = message(ApproximateReceiveCount="3", MessageGroupId="g", MessageDeduplicationId="d")
    assert (told.receive_count, told.group_id, told.deduplication_id) == (3, "g", "d")


def test_missing_attributes_have_defaults() -> None:
    told = message()
    assert (told.receive_count, told.group_id, told.deduplication_id) == (1, None, None)
    assert message(ApproximateReceiveCount="many").receive_count == 1
    assert told.string_attribute("JobName") is None


def test_only_text_is_a_string_attribute() -> None:
    attributes: dict[str, dict[str, Any]] = {
        "Text": {"DataType": "String", "StringValue": "t"},
        "Bytes": {"DataType": "Binary", "BinaryValue": b"t"},
        "Odd": {"DataType": "String", "StringValue": 5},
    }
    told = Message("id", "handle", "body", message_attributes=attributes)
    assert [told.string_attribute(name) for name in attributes] == ["t", None, None]


def test_type_checkers_refuse_to_change_a_message() -> None:
    # mypy reports an unused ignore, so this line is a check. Python checks nothing, to save time.
    message().body = "other"  # type: ignore[misc]  # the test
    with pytest.raises(AttributeError):
        message().text = "other"  # type: ignore[attr-defined]  # it has slots


def test_equal_messages_can_have_different_receive_times() -> None:
    assert Message("id", "handle", "body", received_at=1) == Message(
        "id", "handle", "body", received_at=2
    )
    assert Message("id", "handle", "body") != Message("id", "other", "body")


def test_a_lease_is_valid_until_it_is_lost() -> None:
    lease = Lease()
    assert lease.expires_at == float("inf")
    assert not lease.lost.is_set()


def test_a_lease_is_lost_when_its_event_is_set() -> None:
    lease = Lease(5.0)
    before = (lease.is_lost, lease.lost.is_set())
    lease.lost.set()
    assert (before, lease.is_lost) == ((False, False), True)
    assert lease.lost is lease.lost


@pytest.mark.parametrize("asked_first", [True, False])
def test_the_event_of_a_list_is_set_when_one_of_its_leases_is_lost(asked_first: bool) -> None:
    leases = [Lease(), Lease(), Lease()]
    job = CurrentJob(
        [Message(str(n), "h", "", lease=each) for n, each in enumerate(leases)], "", {}
    )
    if asked_first:
        assert not job.lease_lost.is_set()
    leases[1].lose()
    assert job.lease_lost.is_set()
    assert job.lease_lost is job.lease_lost
    assert [lease.is_lost for lease in leases] == [False, True, False]


def test_a_lease_is_certain_until_it_expires_unless_it_can_end_earlier() -> None:
    assert Lease(5.0).sure_until == 5.0
    lease = Lease(5.0, 3.0)
    assert (lease.expires_at, lease.sure_until) == (5.0, 3.0)
    lease.renew(9.0)
    assert (lease.expires_at, lease.sure_until) == (9.0, 9.0)
