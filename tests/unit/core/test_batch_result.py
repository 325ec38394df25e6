"""The result of one batch."""

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.message import Message


def test_a_batch_result_counts_messages() -> None:
    result = BatchProcessingResult("emails")
    messages = [Message(str(n), str(n), "body") for n in range(3)]
    result.update_with_message(messages[0], True)
    result.update_with_message(messages[1], success=False)
    result.update([messages[2]], True)
    assert result.queue_name == "emails"
    assert (result.succeeded_count(), result.failed_count(), result.total_count()) == (2, 1, 3)
    assert result.succeeded == [messages[0], messages[2]]
    assert result.failed == [messages[1]]


def test_batch_results_do_not_share_state() -> None:
    first, second = BatchProcessingResult("a"), BatchProcessingResult("b", [], [])
    first.update([Message("1", "1", "")], True)
    assert second.total_count() == 0
    assert BatchProcessingResult("c").total_count() == 0
