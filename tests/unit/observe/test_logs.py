"""Events as log lines."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sqsw.core.delivery import handing_over
from sqsw.core.errors import AccessDenied, Busy, ConnectionFailed, TaskNotFound
from sqsw.core.events import (
    AckFailed,
    ChildExited,
    ChildReplaced,
    DrainStarted,
    Event,
    EventBus,
    ExtensionFailed,
    JobDone,
    JobDropped,
    JobFailed,
    JobRetry,
    JobStarted,
    JobStuck,
    JobUnknown,
    JobUnrun,
    LeaseLost,
    MessageDeleted,
    ParkedFailed,
    ParkedSent,
    QueueWarning,
    QuietStarted,
    ReceiveDone,
    ReceiveError,
    RetriesPlanned,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from sqsw.core.message import Message
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.observe.logs import LogListener
from tests.unit.worker.doubles import ManualClock

MESSAGE = Message(
    "id-1",
    "handle",
    "a secret body",
    attributes={"ApproximateReceiveCount": "3", "MessageGroupId": "g"},
    queue_name="emails",
)
OF_MESSAGE = {"queue": "emails", "id": "id-1", "job_id": "id-1", "group": "g", "attempt": 3}
OF_JOB = {**OF_MESSAGE, "job": "send"}


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    collected: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = collected.append  # type: ignore[method-assign,assignment]  # a handler needs no more
    logger = logging.getLogger("sqsw.worker")
    logger.addHandler(handler)
    with caplog.at_level(logging.DEBUG, "sqsw.worker"):
        yield collected
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("event", "level", "name", "extra"),
    [
        (
            WorkerStarted(("emails", "news"), 8),
            "INFO",
            "worker_started",
            {"queues": ("emails", "news"), "concurrency": 8},
        ),
        (JobStarted(MESSAGE, "send"), "DEBUG", "job_started", OF_JOB),
        (JobDone(MESSAGE, "send", 1.5), "INFO", "job_done", {**OF_JOB, "seconds_s": 1.5}),
        (
            JobFailed(MESSAGE, "send", 1.5, ValueError("no"), 7),
            "ERROR",
            "job_failed",
            {**OF_JOB, "seconds_s": 1.5, "hidden_s": 7, "error_type": "ValueError", "error": "no"},
        ),
        (
            JobFailed(MESSAGE, "send", 1.5, ValueError("one\ntwo"), 7, "dead", "gave_up"),
            "ERROR",
            "job_failed",
            {"dead_letter_queue": "dead", "verdict": "gave_up", "error": "one"},
        ),
        (
            JobRetry(MESSAGE, "send", 1.5, 7, "dead"),
            "INFO",
            "job_retry",
            {**OF_JOB, "seconds_s": 1.5, "hidden_s": 7, "dead_letter_queue": "dead"},
        ),
        (
            JobUnknown(MESSAGE, "send", TaskNotFound("no processor"), 300),
            "WARNING",
            "job_unknown",
            {**OF_JOB, "hidden_s": 300, "reason": "no processor"},
        ),
        (
            JobUnrun(MESSAGE, "send", "dead"),
            "ERROR",
            "job_unrun",
            {
                **OF_JOB,
                "reason": "returned on its last receive before it could run",
                "dead_letter_queue": "dead",
            },
        ),
        (
            ExtensionFailed("emails", "not allowed"),
            "WARNING",
            "extension_failed",
            {"queue": "emails", "reason": "not allowed"},
        ),
        (
            LeaseLost(MESSAGE, "over"),
            "WARNING",
            "lease_lost",
            {**OF_MESSAGE, "reason": "over"},
        ),
        (
            AckFailed(MESSAGE, "delete", "no network"),
            "ERROR",
            "ack_failed",
            {**OF_MESSAGE, "action": "delete", "reason": "no network"},
        ),
        (
            ReceiveError("emails", ConnectionFailed("no network"), 2.0),
            "WARNING",
            "receive_error",
            {"queue": "emails", "reason": "no network", "retry_s": 2.0},
        ),
        (
            QueueWarning("emails", "it will hurt", "do this"),
            "WARNING",
            "queue_warning",
            {"queue": "emails", "reason": "it will hurt", "hint": "do this"},
        ),
        (
            RetriesPlanned("emails", RetryHorizon(12, 2047), "dead"),
            "INFO",
            "retries_planned",
            {
                "queue": "emails",
                "retries_for_s": 2047,
                "max_receives": 12,
                "dead_letter_queue": "dead",
            },
        ),
        (
            ParkedSent("emails", "job-1", datetime(2030, 1, 1, tzinfo=UTC), 0.25),
            "DEBUG",
            "parked_sent",
            {
                "queue": "emails",
                "job_id": "job-1",
                "due": "2030-01-01T00:00:00+00:00",
                "late_s": 0.25,
            },
        ),
        (
            ParkedFailed("emails", "no queue", 15),
            "WARNING",
            "parked_failed",
            {"queue": "emails", "reason": "no queue", "retry_s": 15},
        ),
        (ChildExited(77, -9), "ERROR", "child_exited", {"pid": 77, "exit_code": -9}),
        (ChildReplaced(77, "SIGHUP"), "INFO", "child_replaced", {"pid": 77, "reason": "SIGHUP"}),
        (
            WorkerFailed(77, AccessDenied("no", why="because")),
            "ERROR",
            "worker_failed",
            {"pid": 77, "reason": "no: because"},
        ),
        (JobStuck(MESSAGE, "send"), "ERROR", "job_stuck", OF_JOB),
        (
            QuietStarted("SIGTSTP", 2, "do this"),
            "WARNING",
            "quiet_started",
            {"reason": "SIGTSTP", "running": 2, "hint": "do this"},
        ),
        (
            DrainStarted("SIGTERM", 2, 3, 25.0),
            "INFO",
            "drain_started",
            {"reason": "SIGTERM", "running": 2, "waiting": 3, "drain_s": 25.0},
        ),
        (
            WorkerStopped("SIGTERM", 1),
            "INFO",
            "worker_stopped",
            {"reason": "SIGTERM", "unfinished": 1},
        ),
    ],
)
def test_each_event_has_its_log_line(
    records: list[logging.LogRecord], event: Event, level: str, name: str, extra: dict[str, object]
) -> None:
    events = EventBus()
    LogListener().subscribe_to(events)
    events.publish(event)
    (record,) = records
    assert (record.name, record.levelname) == ("sqsw.worker", level)
    assert record.__dict__["event"] == name
    assert {key: getattr(record, key) for key in extra} == extra
    assert not any(MESSAGE.body in str(value) for value in vars(record).values())


def test_a_failure_has_its_traceback(records: list[logging.LogRecord]) -> None:
    error = ValueError("no")
    LogListener()(JobFailed(MESSAGE, "send", 1.5, error, 7))
    assert records[0].exc_info is not None
    assert records[0].exc_info[1] is error


@pytest.mark.parametrize("policy", [None, "ConstantBackoff(backoff_value=7)"])
def test_a_retry_names_its_own_policy(records: list[logging.LogRecord], policy: str | None) -> None:
    LogListener()(JobRetry(MESSAGE, "send", 1.5, 7, None, policy))
    assert "Retrying" in records[0].getMessage()
    assert records[0].__dict__.get("backoff_policy") == policy


def test_a_subclass_of_the_log_listener_can_hang() -> None:
    events, goes_on = EventBus(), threading.Event()

    class Hanging(LogListener):
        def job_done(self, event: JobDone) -> None:
            goes_on.wait(60)

    Hanging().subscribe_to(events)
    with handing_over():
        events.publish(JobDone(MESSAGE, "send", 1.5))
        goes_on.set()


def test_other_events_have_no_lines(records: list[logging.LogRecord]) -> None:
    listener = LogListener()
    listener(MessageDeleted(MESSAGE))
    listener(JobDropped(MESSAGE, "send", 1.0))
    assert records == []


def test_an_unknown_job_is_logged_once_a_minute(records: list[logging.LogRecord]) -> None:
    clock = ManualClock()
    listener = LogListener(clock=clock)

    def unknown(job_name: str) -> None:
        listener(JobUnknown(MESSAGE, job_name, TaskNotFound("no processor"), 300))

    unknown("a")
    unknown("a")
    unknown("b")
    clock.advance(59)
    unknown("a")
    clock.advance(1)
    unknown("a")
    assert [record.__dict__["job"] for record in records] == ["a", "b", "a"]


def test_failed_extensions_are_logged_once_a_minute_per_queue(
    records: list[logging.LogRecord],
) -> None:
    clock = ManualClock()
    listener = LogListener(clock=clock)
    for seconds, queue_name in [(0, "a"), (0, "b"), (59, "a"), (1, "a")]:
        clock.advance(seconds)
        listener(ExtensionFailed(queue_name, "no network"))
    assert [record.__dict__["queue"] for record in records] == ["a", "b", "a"]


def test_failures_of_parked_jobs_are_logged_once_a_minute_per_queue(
    records: list[logging.LogRecord],
) -> None:
    clock = ManualClock()
    listener = LogListener(clock=clock)
    for _ in range(3):
        listener(ParkedFailed("q" * 500, "x" * 500, 15))
        listener(ParkedFailed("other", "http://ann:secret@host/", 15))
    assert [record.__dict__["queue"] for record in records] == ["q" * 100, "other"]
    assert [record.__dict__["reason"] for record in records] == ["x" * 300, "http://host/"]
    clock.advance(60)
    listener(ParkedFailed("other", "again", 15))
    assert len(records) == 3


def test_many_unknown_names_share_a_line_and_a_limited_table(
    records: list[logging.LogRecord],
) -> None:
    clock = ManualClock()
    listener = LogListener(clock=clock)

    def flood() -> None:
        for number in range(3_000):
            listener(JobUnknown(MESSAGE, f"job{number}", TaskNotFound("?"), 300))

    flood()
    assert len(records) == len(listener._told) == 1_001
    clock.advance(61)
    records.clear()
    flood()
    assert len(records) <= 2_001
    assert len(listener._told) <= 1_001


def test_a_long_name_is_truncated(records: list[logging.LogRecord]) -> None:
    name = "A" * 500_000
    LogListener()(JobUnknown(MESSAGE, name, TaskNotFound(f"no processor {name}"), 300))
    (record,) = records
    assert record.__dict__["job"] == "A" * 100
    assert len(record.__dict__["reason"]) <= 300


def test_another_logger_can_be_used_with_its_own_level(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("of.an.app")
    with caplog.at_level(logging.WARNING, "of.an.app"):
        listener = LogListener(logger)
        listener(JobDone(MESSAGE, "send", 1.5))
        listener(LeaseLost(MESSAGE, "over"))
    assert [record.name for record in caplog.records] == ["of.an.app"]


def test_errors_are_shown_without_logging_configuration() -> None:
    script = """
from sqsw.core.events import JobDone, JobFailed
from sqsw.core.message import Message
from sqsw.observe.logs import LogListener
message = Message("id", "handle", "a secret body")
LogListener()(JobDone(message, "send", 1.0))
LogListener()(JobFailed(message, "send", 1.0, ValueError("what was wrong"), 0))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "job_failed" in ended.stderr
    assert "what was wrong" in ended.stderr
    assert "job_done" not in ended.stderr
    assert "secret" not in ended.stderr


def test_receives_are_logged_when_their_state_changes(records: list[logging.LogRecord]) -> None:
    log = LogListener()
    lost, busy = ConnectionFailed("no network"), Busy("slow down")
    for event in (
        *(
            ReceiveDone("emails", 0),
            ReceiveError("emails", lost, 1),
            ReceiveError("emails", lost, 2),
        ),
        *(ReceiveError("news", lost, 1), ReceiveError("emails", busy, 1)),
        *(ReceiveDone("emails", 3), ReceiveDone("emails", 0)),
    ):
        log(event)
    assert [(r.__dict__["event"], r.__dict__["queue"]) for r in records] == [
        ("receive_error", "emails"),
        ("receive_error", "news"),
        ("receive_error", "emails"),
        ("receive_recovered", "emails"),
    ]


@pytest.mark.parametrize(
    ("content_type", "text", "context"),
    [
        ("json", '{"request_id": "17"}', {"request_id": "17"}),
        ("json", "{}", None),
        ("json", "{broken", None),
        (
            "json",
            '{"a":' + "[" * 950 + "]" * 950 + "}",
            None,
        ),  # the log formatter could not write it
        ("pickle", '{"request_id": "17"}', None),
    ],
)
def test_the_log_lines_of_a_job_have_its_context(
    records: list[logging.LogRecord], content_type: str, text: str, context: object
) -> None:
    attributes = {"ContentType": content_type, "JobContext": text}
    sent = {name: {"StringValue": value} for name, value in attributes.items()}
    LogListener()(JobDone(replace(MESSAGE, message_attributes=sent), "send", 1.5))
    assert getattr(records[0], "context", None) == context
