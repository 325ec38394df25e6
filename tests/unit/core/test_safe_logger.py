"""The loggers of sqsw neither raise nor wait, however the application configures logging."""

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sqsw.core.delivery import flush_deliveries, handing_over
from sqsw.core.safe_logger import LOG, SafeLogger, log_event

LOGGER = logging.getLogger("sqsw.tests")
OURS: dict[str, Any] = {"queue": "emails", "job": "send", "id": "id-1", "group": None, "attempt": 2}


class Collecting(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def handler() -> Iterator[Collecting]:
    handler = Collecting()
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)


def setting(key: str) -> Callable[..., logging.LogRecord]:
    def factory(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        record = logging.LogRecord(*arguments, **keywords)
        setattr(record, key, "of the app")
        return record

    return factory


@pytest.mark.parametrize("key", [*OURS, "event", "seconds_s", "reason"])
def test_a_record_keeps_its_fields_with_any_record_factory(handler: Collecting, key: str) -> None:
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(setting(key))
    try:
        log_event(LOGGER, logging.ERROR, "job_failed", **OURS, seconds_s=1.5, reason="why")
    finally:
        logging.setLogRecordFactory(before)
    (record,) = handler.records
    expected = {"event": "job_failed", **OURS, "seconds_s": 1.5, "reason": "why"}
    assert expected.items() <= vars(record).items()


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
@pytest.mark.parametrize("place", ["filter of the logger", "filter", "handler"])
def test_errors_are_shown_even_if_a_filter_or_handler_raises(
    handler: Collecting,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    error: type[BaseException],
) -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise error("of the app")

    if place == "handler":
        monkeypatch.setattr(handler, "emit", fail)
    else:
        place_of_it: Any = handler if place == "filter" else LOGGER
        monkeypatch.setattr(place_of_it, "filters", [fail])
    log_event(LOGGER, logging.ERROR, "job_failed", ValueError("what was wrong"), **OURS)
    SafeLogger("sqsw.tests").warning("said %s", "so")
    shown = capsys.readouterr().err
    assert "job_failed" in shown
    assert "what was wrong" in shown
    assert "said so" in shown


def test_a_plain_formatter_shows_the_fields_of_the_event(handler: Collecting) -> None:
    error = ValueError("no such order")
    values: dict[str, Any] = {"context": {"secret": 1}, "reason": "lines\nand \x1b[2J signs \u202e"}
    log_event(LOGGER, logging.ERROR, "job_failed", error, **OURS, **values)
    assert handler.records[0].getMessage() == (
        "job_failed: queue=emails job=send id=id-1 attempt=2"
        " reason=lines\\nand \\x1b[2J signs \\u202e: ValueError: no such order"
    )


def test_all_records_of_an_event_have_one_template(handler: Collecting) -> None:
    for number in range(3):
        log_event(LOGGER, logging.WARNING, "lease_lost", queue="emails", id=f"id-{number}")
    assert len({record.msg for record in handler.records}) == 1


def test_the_place_of_a_line_is_that_of_the_caller(handler: Collecting) -> None:
    SafeLogger("sqsw.tests").error("said")
    assert handler.records[0].funcName == "test_the_place_of_a_line_is_that_of_the_caller"


def test_a_record_has_the_thread_that_logged_it(handler: Collecting) -> None:
    with handing_over():
        SafeLogger("sqsw.tests").error("said")
    assert handler.records[0].thread == threading.get_ident()


def test_tracebacks_of_few_failed_jobs_are_kept_and_texts_of_all(handler: Collecting) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        assert goes_on.wait(60)

    with handing_over():
        LOG.put(hang)
        assert hangs.wait(60)
        for number in range(30):
            try:
                raise ValueError(number)
            except ValueError as error:
                log_event(LOGGER, logging.ERROR, "job_failed", error, **OURS)
        goes_on.set()
        assert flush_deliveries()
    texts = [
        "".join(traceback.format_exception(*record.exc_info))
        if record.exc_info
        else str(record.exc_text)
        for record in handler.records
    ]
    assert [f"ValueError: {number}" in text for number, text in enumerate(texts)] == [True] * 30
    assert sum(record.exc_info is not None for record in handler.records) <= 20


@pytest.mark.parametrize("error", [None, ValueError("100 %s")])
@pytest.mark.parametrize("values", [{}, {"queue": None}, {"queue": "100 %s"}])
def test_every_event_has_a_message(
    handler: Collecting, values: dict[str, Any], error: ValueError | None
) -> None:
    log_event(LOGGER, logging.ERROR, "http_failed", error, **values)
    (record,) = handler.records
    shown = [text for text in (values.get("queue"), error) if text is not None]
    assert record.getMessage().startswith("http_failed: ")
    assert record.getMessage().count("100 %s") == len(shown)
