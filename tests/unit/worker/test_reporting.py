"""What a child tells, through a real pipe."""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import pytest

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.errors import AccessDenied, QueueNotFound
from sqsw.core.events import (
    BatchFinished,
    Event,
    JobDone,
    JobFailed,
    MessageReceived,
    ReceiveError,
    RequestSent,
    WorkerFailed,
)
from sqsw.worker.reporting import OtherError, Reporter, Reports
from tests import backends
from tests.unit.worker.doubles import message


@pytest.fixture
def pipe() -> Iterator[tuple[Reports, Connection]]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    yield Reports(reader), writer
    reader.close()
    writer.close()


def collected(reports: Reports, enough: Callable[[list[Event]], bool]) -> list[Event]:
    told: list[Event] = []

    def read() -> bool:
        told.extend(reports.read())
        return enough(told)

    backends.wait_until(read, 30, "what was told")
    return told


def test_events_arrive_without_what_messages_say(pipe: tuple[Reports, Connection]) -> None:
    reports, writer = pipe
    tell = Reporter(writer)
    one = message("a secret body", group="g")
    tell(MessageReceived(one))
    tell(JobDone(one, "send", 0.5))
    tell(BatchFinished(BatchProcessingResult("emails")))
    tell(RequestSent("ReceiveMessage"))
    tell.close()
    received, done, request = collected(reports, lambda told: len(told) == 3)
    assert isinstance(received, MessageReceived) and isinstance(done, JobDone)
    assert received.message.message_id == one.message_id
    assert received.message.group_id == "g"
    assert (received.message.body, received.message.receipt_handle) == ("", "")
    assert not received.message.lease.lost.is_set()
    assert (done.job_name, done.duration_seconds) == ("send", 0.5)
    assert request == RequestSent("ReceiveMessage")


class Odd(Exception):
    """Nothing that could be rebuilt elsewhere."""

    def __init__(self, one: object, two: object) -> None:
        super().__init__("odd")


def test_errors_arrive_as_ours_or_as_text(pipe: tuple[Reports, Connection]) -> None:
    reports, writer = pipe
    tell = Reporter(writer)
    tell(JobFailed(message(), "send", 0.5, Odd(1, lambda: None), 7))
    tell(ReceiveError("emails", AccessDenied("no", why="because", code="Denied"), 1.0))
    tell(WorkerFailed(1, QueueNotFound("no queue")))
    tell.close()
    failed, refused, ended = collected(reports, lambda told: len(told) == 3)
    assert isinstance(failed, JobFailed) and isinstance(failed.error, OtherError)
    assert str(failed.error) == "Odd: odd"
    assert isinstance(refused, ReceiveError) and isinstance(refused.error, AccessDenied)
    assert (refused.error.why, refused.error.code) == ("because", "Denied")
    assert isinstance(ended, WorkerFailed) and isinstance(ended.error, QueueNotFound)


def test_a_child_that_dies_in_the_middle_leaves_what_was_whole(
    pipe: tuple[Reports, Connection],
) -> None:
    reports, writer = pipe
    data = pickle.dumps([(RequestSent, ["SendMessage"])])
    frame = len(data).to_bytes(4, "big") + data
    os.write(writer.fileno(), frame + frame[:-5])
    assert list(reports.read()) == [RequestSent("SendMessage")]
    assert not reports.is_closed
    writer.close()
    assert list(reports.read()) == []
    assert reports.is_closed


def test_much_is_told_to_one_who_reads_late(pipe: tuple[Reports, Connection]) -> None:
    reports, writer = pipe
    tell = Reporter(writer)
    for _ in range(20_000):
        tell(JobDone(message("x"), "send", 0.5))
    told = collected(reports, lambda told: len(told) == 20_000)
    assert len({event.message.message_id for event in told if isinstance(event, JobDone)}) == 20_000
    tell.close()
