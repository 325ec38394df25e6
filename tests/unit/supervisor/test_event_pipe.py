"""Events of a child through a real pipe."""

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from multiprocessing.connection import Connection

import pytest

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.errors import AccessDenied, AppLoadError, Busy, QueueNotFound, SQSBatchError
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
from sqsw.supervisor.event_pipe import OtherError, Reporter, Reports
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

    backends.wait_until(read, 30, "the events")
    return told


def test_events_arrive_without_message_bodies(pipe: tuple[Reports, Connection]) -> None:
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


def test_events_arrive_with_the_job_id(pipe: tuple[Reports, Connection]) -> None:
    reports, writer = pipe
    tell = Reporter(writer)
    texts = ['{"id":"order-7"}', "x" * 5_000, None]
    for text in texts:
        other = {"Other": {"StringValue": "a secret"}}
        own = {} if text is None else {"Sqsw": {"DataType": "String", "StringValue": text}}
        tell(MessageReceived(replace(message("text"), message_attributes={**own, **other})))
    tell.close()
    told = collected(reports, lambda told: len(told) == len(texts))
    received = [event for event in told if isinstance(event, MessageReceived)]
    assert [event.job_id == "order-7" for event in received] == [True, False, False]
    assert [list(event.message.message_attributes) for event in received] == [["Sqsw"], [], []]


class Odd(Exception):
    """An exception that cannot be unpickled."""

    def __init__(self, one: object, two: object) -> None:
        super().__init__("odd")


def test_errors_arrive_as_sqsw_classes_or_as_text(pipe: tuple[Reports, Connection]) -> None:
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


class Dumb(Exception):
    """An exception whose text cannot be read and that cannot be pickled."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_event_that_cannot_be_sent_does_not_block_others(
    pipe: tuple[Reports, Connection], caplog: pytest.LogCaptureFixture
) -> None:
    reports, writer = pipe
    tell = Reporter(writer)
    tell(JobFailed(message(), "send", 0.5, Dumb(), 7))
    tell(JobFailed(message(), "send", 0.5, AccessDenied(Dumb()), 7))  # type: ignore[arg-type]  # a job can raise this
    tell(RequestSent(lambda: None))  # type: ignore[arg-type]  # a plugin can publish this
    tell(RequestSent("SendMessage"))
    first, second, last = collected(reports, lambda told: len(told) == 3)
    assert isinstance(first, JobFailed) and isinstance(second, JobFailed)
    assert str(first.error) == "Dumb: <its text cannot be read>"
    assert str(second.error) == "AccessDenied: <its text cannot be read>"
    assert last == RequestSent("SendMessage")
    assert "cannot send a RequestSent event" in caplog.text
    tell(JobDone(message(), None, 0.5))
    collected(reports, lambda told: len(told) == 1)
    tell.close()


class Gone(StrEnum):
    """Codes of an app, which the supervisor does not have."""

    SOLD = "sold"


def test_only_the_texts_of_an_error_are_sent(
    pipe: tuple[Reports, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, writer = pipe
    tell = Reporter(writer)
    noted, odd = AppLoadError("later", meant="app", next="did you mean 'app'?"), Busy("odd")
    noted.__notes__ = [Gone.SOLD]
    odd.answer = Odd(1, 2)  # type: ignore[attr-defined]  # like a middleware of an app
    for error in (
        Busy("no", code=Gone.SOLD),
        Busy("no", why=Odd(1, 2)),  # type: ignore[arg-type]  # a job can raise this
        Busy(Gone.SOLD),
        SQSBatchError("some", [{"Id": Gone.SOLD}]),
        odd,
        noted,
    ):
        tell(JobFailed(message(), "send", 0.5, error, 7))
    tell.close()
    monkeypatch.delattr(sys.modules[__name__], "Gone")
    monkeypatch.delattr(sys.modules[__name__], "Odd")
    told = [event.error for event in reports.read() if isinstance(event, JobFailed)]
    assert [(type(error), str(error)) for error in told] == [
        (OtherError, "Busy: no"),
        (OtherError, "Busy: no"),
        (OtherError, "Busy: sold"),
        (OtherError, "SQSBatchError: some"),
        (OtherError, "Busy: odd"),
        (AppLoadError, "later"),
    ]
    assert isinstance(told[-1], AppLoadError) and told[-1].meant == "app"
    assert told[-1].__notes__ == ["  next: did you mean 'app'?"]


def test_an_unreadable_frame_does_not_stop_the_supervisor(
    pipe: tuple[Reports, Connection], caplog: pytest.LogCaptureFixture
) -> None:
    reports, writer = pipe
    for data in (b"no pickle", pickle.dumps([(RequestSent, ["SendMessage"])])):
        os.write(writer.fileno(), len(data).to_bytes(4, "big") + data)
    assert list(reports.read()) == [RequestSent("SendMessage")]
    assert "cannot read events" in caplog.text


def test_complete_frames_of_a_dead_child_are_read(
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


def test_a_slow_reader_loses_no_events(pipe: tuple[Reports, Connection]) -> None:
    reports, writer = pipe
    tell = Reporter(writer)
    for _ in range(20_000):
        tell(JobDone(message("x"), "send", 0.5))
    told = collected(reports, lambda told: len(told) == 20_000)
    assert len({event.message.message_id for event in told if isinstance(event, JobDone)}) == 20_000
    tell.close()
