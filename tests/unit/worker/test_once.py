"""One batch in the calling thread."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.worker import once as once_module
from sqsw.worker.once import process_once
from tests.unit.worker.doubles import FakeClient, lane, message, names, our_threads, recorder

FAILED = ProcessingResult(False, error=ValueError("no"))


def failing(*bodies: str) -> Any:
    """Return a handler that fails the jobs of these messages."""
    return lambda messages: [FAILED if m.body in bodies else SUCCEEDED for m in messages]


def client(*bodies: str, name: str = "emails", group: str | None = None) -> FakeClient:
    made = FakeClient(name)
    made.inbox = [[message(body, group=group) for body in bodies]]
    return made


def test_messages_run_in_order_and_are_settled_together() -> None:
    ran: list[tuple[str, int]] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        ran.append((messages[0].body, threading.get_ident()))
        return failing("b")(messages)  # type: ignore[no-any-return]  # lambda

    queue = client("a", "b", "c")
    events, told = recorder()
    result = process_once(lane(client=queue, handle=handle), 5, events)
    assert ran == [(body, threading.get_ident()) for body in "abc"]
    assert queue.receives == [(10, 5, 30)]
    assert queue.deletes == [["a", "c"]]
    assert queue.changes == [[("b", 7)]]
    assert [m.body for m in result.succeeded] == ["a", "c"]
    assert [m.body for m in result.failed] == ["b"]
    assert names(told).count("JobDone") == 2
    assert our_threads() == []


def test_errors_are_returned_and_requested_retries_are_not() -> None:
    again = ProcessingResult(False)
    queue = client("a", "b", "c")

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        return [{"a": FAILED, "b": again, "c": SUCCEEDED}[m.body] for m in messages]

    result = process_once(lane(client=queue, handle=handle))
    assert result.errors == [FAILED.error]
    assert result.failed_count() == 2


def test_settlements_are_sent_in_between_if_a_batch_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(once_module, "_FLUSH_SECONDS", 0)
    told_by_then: list[list[list[str]]] = []
    queue = client("a", "b", "c")

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        told_by_then.append(list(queue.deletes))
        return [SUCCEEDED]

    assert process_once(lane(client=queue, handle=handle)).succeeded_count() == 3
    assert told_by_then == [[], [["a"]], [["a"], ["b"]]]


def test_an_empty_receive_returns_an_empty_result() -> None:
    result = process_once(lane(client=client()))
    assert (result.queue_name, result.total_count()) == ("emails", 0)


def test_coroutines_run_too() -> None:
    queue = client("a")
    assert process_once(lane(client=queue, kind="loop")).succeeded_count() == 1


def test_a_list_is_one_call() -> None:
    queue = FakeClient()
    queue.inbox = [[message() for _ in range(10)], [message() for _ in range(5)]]
    sizes: list[int] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        sizes.append(len(messages))
        return [SUCCEEDED] * len(messages)

    assert process_once(lane(client=queue, handle=handle, batch_size=25)).succeeded_count() == 15
    assert sizes == [15]


def test_a_group_runs_in_order_and_each_message_is_deleted_before_the_next() -> None:
    queue = client("g1", "g2", name="q.fifo", group="g")
    deleted: list[int] = []

    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        deleted.append(len(queue.deletes))
        return [SUCCEEDED]

    result = process_once(lane("q.fifo", client=queue, handle=handle))
    assert deleted == [0, 1]
    assert [m.body for m in result.succeeded] == ["g1", "g2"]


def test_after_a_failure_the_rest_of_the_group_is_returned() -> None:
    queue = client("g1", "g2", "g3", name="q.fifo", group="g")
    result = process_once(lane("q.fifo", client=queue, handle=failing("g2")))
    assert queue.deletes == [["g1"]]
    assert queue.changes == [[("g2", 7), ("g3", 8)]]
    assert result.total_count() == 2


@pytest.mark.parametrize("out_of", ["handle", "result"])
def test_ctrl_c_returns_messages_in_hand_and_propagates(out_of: str) -> None:
    def handle(messages: Sequence[Message]) -> list[ProcessingResult]:
        if messages[0].body != "b":
            return [SUCCEEDED]
        if out_of == "handle":
            raise KeyboardInterrupt
        return [ProcessingResult(False, error=KeyboardInterrupt())]

    queue = client("a", "b", "c")
    with pytest.raises(KeyboardInterrupt):
        process_once(lane(client=queue, handle=handle))
    assert queue.deletes == [["a"]]
    assert sorted(change for changes in queue.changes for change in changes) == [("b", 0), ("c", 0)]


def test_ctrl_c_during_the_receives_of_a_list_returns_its_messages() -> None:
    queue = client("a", "b")
    receive = queue.receive

    def interrupted(*args: Any, **keywords: Any) -> list[Message]:
        if queue.receives:
            raise KeyboardInterrupt
        return receive(*args, **keywords)

    queue.receive = interrupted  # type: ignore[method-assign]  # Ctrl-C
    with pytest.raises(KeyboardInterrupt):
        process_once(lane(client=queue, batch_size=25))
    assert queue.changes == [[("a", 0), ("b", 0)]]


def test_errors_of_the_receive_propagate() -> None:
    queue = FakeClient()
    queue.inbox = [OSError("no network")]
    with pytest.raises(OSError, match="no network"):
        process_once(lane(client=queue))
