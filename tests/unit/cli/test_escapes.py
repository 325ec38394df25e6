"""Text of messages never reaches a terminal as control characters that it would obey."""

import json
import logging
import re
import threading
import warnings
from collections.abc import Callable

import pytest
import structlog

from sqsw.core.errors import SQSError
from sqsw_cli.errors.failures import block, failure_of, show
from sqsw_cli.invocation import Invocation
from sqsw_cli.output.printer import Column, Printer
from sqsw_cli.working.logs import configure_logs
from tests.unit.cli.conftest import Sqsw
from tests.unit.cli.test_terminal import on_terminal

#: C0 (a window title), DEL, C1 (the start of a sequence), a forged field and line, and a character
#: that reverses the order of all that follows
EVIL = "a\x1b]0;pwned\x07\x7f\x9b2Jb\tc\nd\u202ee\u2066\u2028f"
SHOWN = r"a\x1b]0;pwned\x07\x7f\x9b2Jb\tc\nd\u202ee\u2066\u2028f"


@pytest.fixture
def evil_job(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    line = {"job": "j", "args": {EVIL: 1, "value": EVIL}}
    raw = {"job": None, "body": "\x9b2Jraw"}
    text = "".join(json.dumps(one) + "\n" for one in (line, raw))
    assert sqsw("send emails --from -", input=text).code == 0


@pytest.mark.parametrize(
    "words",
    [
        "inspect emails --peek 5",
        "inspect emails --peek 5 --count-by args.value",
        "inspect emails --peek 5 --json",
        "--quiet purge emails --limit 5 --dry-run",
    ],
)
def test_no_command_prints_control_characters(sqsw: Sqsw, evil_job: None, words: str) -> None:
    code, said = on_terminal(sqsw, words, columns=200)
    assert code == 0, said
    assert ("pwned" in said and "raw" in said) or "--count-by" in words
    assert not [sign for sign in said if not sign.isprintable() and sign != "\n"]


def test_every_form_for_people_escapes_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printer = Printer()
    printer.say(EVIL)
    printer.plain("deleted", EVIL, 2)
    printer.table([Column(EVIL)], [[EVIL]])
    printer.done(EVIL)
    printer.note(EVIL)
    out, err = capsys.readouterr()
    assert out.splitlines() == [SHOWN, f"{SHOWN}\t2", SHOWN, SHOWN, f"✓ {SHOWN}"]
    assert err == f"{SHOWN}\n"


def test_an_error_keeps_only_its_own_lines() -> None:
    said = block("error", "a\x1b[2J", "b\nc\x9b", color=False)
    assert said == "error: a\\x1b[2J\n  why:  b\nc\\x9b"


def test_json_escapes_control_characters(sqsw: Sqsw, evil_job: None) -> None:
    first, second = sqsw("inspect emails --peek 5 --json").objects
    assert (first["args"], second["body"]) == ({EVIL: 1, "value": EVIL}, "\x9b2Jraw")


#: the characters of EVIL, a forged log line, zero-width characters and an unpaired surrogate
WORSE = f"{EVIL}\r\n12:00:00 [info     ] job_done id=1\u200b\ufeff\U000e0041\udcff{{"


class Unprintable:
    def __repr__(self) -> str:
        return WORSE

    def __str__(self) -> str:
        raise ValueError(WORSE)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001  # with its traceback
        return caught


def chained() -> BaseException:
    last = raised(ValueError(WORSE))
    for number in range(10_000):
        error = ValueError(f"{number} {WORSE}")
        error.__cause__, last = last, error
    return last


def recursive() -> BaseException:
    def one() -> None:
        two()

    def two() -> None:
        one()

    try:
        one()
    except RecursionError as error:
        return error
    raise AssertionError


ERRORS: dict[str, Callable[[], BaseException]] = {
    "text": lambda: raised(ValueError(WORSE)),
    "long text": lambda: raised(ValueError(WORSE * 100_000)),
    "many lines": lambda: raised(ValueError(f"{WORSE}\n" * 100_000)),
    "note": lambda: raised(noted(ValueError("x"), notes=[WORSE * 10_000])),
    "one note": lambda: raised(noted(ValueError("x"), notes=WORSE * 100_000)),
    "many notes": lambda: raised(noted(ValueError("x"), notes=(WORSE,) * 100_000)),
    "note without text": lambda: raised(noted(ValueError("x"), notes=[Unprintable()])),
    "chain": chained,
    "group": lambda: raised(ExceptionGroup(WORSE, [ValueError(WORSE) for _ in range(10_000)])),
    "recursion": recursive,
    "syntax": lambda: raised(SyntaxError(WORSE, ("f", 1, 1, WORSE))),
}

RECORDS: dict[str, Callable[[logging.Logger], object]] = {
    "message": lambda log: log.error(WORSE),
    "argument": lambda log: log.error("%s", WORSE),
    "long message": lambda log: log.error(WORSE * 500_000),
    "wrong arguments": lambda log: log.error("%d", WORSE),
    "key": lambda log: log.error("x", extra={WORSE: 1}),
    "value": lambda log: log.error("x", extra={"value": WORSE}),
    "long value": lambda log: log.error("x", extra={"value": [WORSE] * 100_000}),
    "repr": lambda log: log.error("x", extra={"value": Unprintable()}),
    "nested": lambda log: log.error("x", extra={"value": {WORSE: {1: {(1, 2): WORSE}}}}),
    "itself": lambda log: log.error("x", extra={"value": holds_itself()}),
    "exception": lambda log: log.error("x", extra={"exception": WORSE, "stack": WORSE}),
    "long exception": lambda log: log.error("x", extra={"exception": WORSE * 10_000}),
    "long list": lambda log: log.error("x", extra={"event": [WORSE] * 10_000}),
    "stack": lambda log: log.error(WORSE, stack_info=True),
    "level": lambda log: log.log(35, "x", extra={"level": WORSE}),
    "logger": lambda log: logging.getLogger(WORSE).error("x"),
    "warning": lambda log: warnings.warn(WORSE, UserWarning, stacklevel=1),
    "thread": lambda log: failing_thread(),
    "structlog": lambda log: structlog.get_logger(WORSE).error(WORSE, **{WORSE: WORSE}),
}


def failing_thread() -> None:
    def fail() -> None:
        raise ValueError(WORSE)

    thread = threading.Thread(target=fail, name=WORSE)
    thread.start()
    thread.join()


def noted(error: Exception, notes: object) -> Exception:
    error.__notes__ = notes  # type: ignore[assignment]  # an app can set anything
    return error


def holds_itself() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


def logged(capsys: pytest.CaptureFixture[str], form: str, log: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # a command in an earlier test could have turned it on
        configure_logs(Invocation(log_format=form, color="never"), daemon=True, runs_apps=True)
        log()
        logging.captureWarnings(False)
    said = capsys.readouterr().err
    assert len(said.encode()) < 250_000
    assert not [sign for sign in said if sign in "\x1b\x07\x7f\x9b\u202e\u2066\u2028\u200b\udcff"]
    return said.splitlines()


@pytest.mark.parametrize("record", RECORDS)
def test_no_log_record_of_a_job_forges_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, record: str
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # pytest has its own

    def log() -> object:
        return RECORDS[record](logging.getLogger("shop.job"))

    first, *rest = logged(capsys, "console", log)
    assert re.match(r"\d\d:\d\d:\d\d [ !✗] ", first)
    assert all(line.startswith("  | ") for line in rest)
    (line,) = logged(capsys, "json", log)
    assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("error", ERRORS)
def test_the_error_of_a_job_is_limited_and_forges_no_line(
    capsys: pytest.CaptureFixture[str], error: str
) -> None:
    raised_by_job = ERRORS[error]()

    def log() -> None:
        logging.getLogger("shop.job").error("job_failed", exc_info=raised_by_job)

    first, *rest = logged(capsys, "console", log)
    assert "job_failed" in first
    assert all(line.startswith("  | ") for line in rest)
    assert type(raised_by_job).__name__ in "".join(rest)
    (line,) = logged(capsys, "json", log)
    assert len(json.loads(line)["exception"]) < 13_000
    assert len(line) < 100_000


def test_an_error_of_a_command_is_limited_in_both_formats(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for as_json in (False, True):
        long = SQSError(WORSE * 100_000, why=WORSE * 100_000, next=WORSE * 100_000)
        show(failure_of(long), as_json=as_json, color=False)
        said = capsys.readouterr().err
        assert "characters left out" in said
        assert len(said) < 60_000
    show(failure_of(ValueError(WORSE * 100_000)), as_json=True, color=False)
    assert len(capsys.readouterr().err) < 10_000


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", WORSE[:-2]],
        ["work", WORSE[:-2]],
        ["send", "q", "j", "--delay", WORSE[:-2]],
        [WORSE[:-2]],
        ["inspect", f"--{WORSE[:-2]}"],
        ["inspect", "q", "--peek", WORSE[:-2]],
        ["--config", WORSE[:-2], "inspect"],
        ["inspect", "--queue-prefix", WORSE[:-2]],
    ],
)
def test_an_error_escapes_a_quoted_word(sqsw: Sqsw, words: list[str]) -> None:
    ran = sqsw(*words)
    assert ran.err
    assert not [sign for sign in ran.err if sign in "\x1b\x07\x7f\x9b\u202e\u2066\u2028\u200b"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("work myapp.missing:env --log-format json", 7),
        ("work myapp.missing:env --log-format json -vv", 7),
        ("work --log-format json --no-such-option", 2),
        ("work myapp.tasks:env --log-format=json --concurrency x", 2),
        ("serve --log-format json --port 0 --host 192.0.2.1 --no-auth", 2),
    ],
)
def test_the_last_error_of_a_worker_is_a_line_of_its_json_log(
    sqsw: Sqsw, words: str, code: int
) -> None:
    ran = sqsw(words)
    assert ran.code == code
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert lines[-1]["event"] == "command_failed"
    assert lines[-1]["exit_code"] == code
    assert lines[-1]["error"]
    assert ("exception" in lines[-1]) is words.endswith("-vv")
