"""Parts of an error that only the command line can add."""

from string import Formatter
from typing import get_args, get_type_hints

import pytest

from sqsw.core.errors import (
    AccessDenied,
    ConnectionFailed,
    RedriveError,
    SQSError,
    TaskNotFound,
)
from sqsw.core.events import QueueWarning
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.checks import Check, CheckReason
from sqsw_cli.errors.hints import (
    HINTS,
    QUEUE_HINTS,
    explained,
    hint_of,
    place_without_queues,
    queue_hint,
)
from sqsw_cli.invocation import Invocation
from sqsw_cli.working.banner import CommandLog
from tests.unit.cli.conftest import Sqsw

ENV = SQSEnv(MemorySession())


def parts(error: SQSError, **options: str) -> tuple[str, str | None, str | None]:
    """Return the three parts of the explained error."""
    told = explained(error, Invocation(profile=options.get("profile")), ENV)
    assert type(told) is type(error)
    assert told.code == error.code
    return told.message, told.why, told.next


def test_expired_credentials_name_their_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    message = "the AWS credentials have expired"
    expired = AccessDenied(message, reason="expired", why="x", code="ExpiredToken")
    assert parts(expired, profile="dev") == (
        "the AWS credentials have expired",
        "the session token of profile 'dev' has expired [ExpiredToken]",
        "log in again (for example: aws sso login --profile dev) and try again",
    )
    missing = AccessDenied("no AWS credentials found", reason="no_credentials")
    assert "profile 'default'" in (parts(missing)[1] or "")
    assert "--local" in (parts(missing)[2] or "")


def test_a_missing_permission_is_named() -> None:
    error = AccessDenied(
        "not allowed to receive from 'emails'",
        reason="denied",
        action="sqs:ReceiveMessage",
        resource="arn:aws:sqs:eu-west-1:123456789012:emails",
        why="User: arn:aws:iam::123456789012:user/x is not authorized",
        code="AccessDenied",
    )
    assert parts(error)[:2] == (
        "not allowed to receive from 'emails'",
        "sqs:ReceiveMessage is denied on arn:aws:sqs:eu-west-1:123456789012:emails [AccessDenied]",
    )


def test_other_errors_are_unchanged() -> None:
    error = ConnectionFailed("cannot connect", why="x")
    assert explained(error, Invocation(), ENV) is error
    assert explained(plain := SQSError("x"), Invocation(), ENV) is plain


def test_an_endpoint_without_queues_is_named_with_the_region() -> None:
    env = SQSEnv(endpoint_url="http://127.0.0.1:9371", region="us-east-1")
    assert place_without_queues(env) == "http://127.0.0.1:9371 in region us-east-1"


def test_a_suggested_command_can_be_pasted(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    assert "  next: create it: sqsw create-queue -- -x\n" in sqsw("inspect -- -x").err


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        ("purge emials", "sqsw inspect lists the queues"),
        ("inspect emials", "create it: sqsw create-queue emials"),
        ("send emials x", "create it: sqsw create-queue emials"),
    ],
)
def test_a_new_file_suggests_no_similar_queue(sqsw: Sqsw, words: str, next_step: str) -> None:
    told = sqsw(words).err.splitlines()
    assert told[0].endswith(f"in local file {sqsw.home / 'local.db'} (new, empty)")
    assert told[-1] == f"  next: {next_step}"
    sqsw("create-queue emails")
    last = sqsw("purge emials").err.splitlines()[-1]
    assert last == "  next: did you mean 'emails'?"


@pytest.mark.parametrize("command", ["purge", "send"])
def test_a_queue_of_another_account_gets_no_hint_to_create_it(sqsw: Sqsw, command: str) -> None:
    sqsw("create-queue emails")
    words = ["j"] if command == "send" else []
    told = sqsw(command, "arn:aws:sqs:local:999999999999:emails", *words).err.splitlines()
    assert told[0].startswith("error: no queue named 'emails' in account 999999999999 in local")
    assert "create-queue" not in told[-1]
    told = sqsw(command, "http://h/999999999999/emails", *words).err.splitlines()
    assert told[-1] == "  next: did you mean 'emails'?"


def reasons_of(kind: type[SQSError]) -> set[str | None]:
    """Return the possible values of a class's ``reason``, or those of the root if it adds none."""
    annotation = get_type_hints(kind)["reason"]
    parts = get_args(annotation)
    words = {word for part in parts for word in (get_args(part) or (part,))}
    return {word for word in words if isinstance(word, str)} | {None}


def test_each_row_has_a_reason_and_fields_that_its_class_has() -> None:
    for (kind, reason), text in HINTS.items():
        assert kind is SQSError or reason in reasons_of(kind)
        for _, field, _, _ in Formatter().parse(text):
            assert field is None or hasattr(kind, field), (kind, text)


def test_a_hint_is_quoted_for_a_shell_and_yields_to_a_similar_name() -> None:
    error = RedriveError("x", reason="no_target", queue="a b", next="own")
    assert hint_of(error) == "name the target: sqsw redrive 'a b' --to QUEUE"
    assert hint_of(RedriveError("x", next="own")) == "own"
    assert hint_of(TaskNotFound("x", reason="job", similar="s", next="own")) == "own"


def test_each_reason_of_a_check_and_of_a_warning_has_a_command() -> None:
    warned = {*get_args(get_args(get_type_hints(QueueWarning)["reason"])[0])}
    assert warned | {*get_args(CheckReason)} == {*QUEUE_HINTS}
    check = Check("jobs", "warn", "x", "own", "short_retention", "jobs", "jobs_dead")
    assert queue_hint(check) == "sqsw create-queue jobs_dead --retention 14d --update"
    assert queue_hint(QueueWarning("jobs", "x", "own")) == "own"


def test_the_log_of_a_worker_names_the_command(caplog: pytest.LogCaptureFixture) -> None:
    warning = QueueWarning("jobs", "x", "own", "no_dead_letter_queue", "jobs_dead")
    CommandLog().queue_warning(warning)
    (record,) = caplog.records
    assert vars(record)["hint"] == "sqsw create-queue jobs --dlq jobs_dead --update"
