"""What only the command line knows about an error."""

import pytest

from sqsw.core.errors import AccessDenied, ConnectionFailed, SQSError
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw_cli.errors.hints import explained, place_without_queues
from sqsw_cli.invocation import Invocation
from tests.unit.cli.conftest import Sqsw

ENV = SQSEnv(MemorySession())


def parts(error: SQSError, **options: str) -> tuple[str, str | None, str | None]:
    """The three parts of the explained error."""
    told = explained(error, Invocation(profile=options.get("profile")), ENV)
    assert type(told) is type(error)
    assert told.code == error.code
    return told.message, told.why, told.next


def test_expired_credentials_name_their_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    expired = AccessDenied("the AWS credentials have expired", why="x", code="ExpiredToken")
    assert parts(expired, profile="dev") == (
        "the AWS credentials have expired",
        "the session token of profile 'dev' is no longer accepted [ExpiredToken]",
        "log in again (for example: aws sso login --profile dev) and repeat the command",
    )
    assert "profile 'default'" in (parts(AccessDenied("no AWS credentials found"))[1] or "")


def test_a_missing_permission_is_named() -> None:
    why = (
        "User: arn:aws:iam::123456789012:user/x is not authorized to perform: sqs:ReceiveMessage "
        "on resource: arn:aws:sqs:eu-west-1:123456789012:emails because no identity-based policy "
        "allows the sqs:ReceiveMessage action [AccessDenied]"
    )
    error = AccessDenied("not allowed to receive from 'emails'", why=why, code="AccessDenied")
    assert parts(error)[:2] == (
        "not allowed to receive from 'emails'",
        "sqs:ReceiveMessage is denied on arn:aws:sqs:eu-west-1:123456789012:emails [AccessDenied]",
    )


def test_without_an_address_of_ours_a_failed_connection_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    error = ConnectionFailed("cannot connect", why="x")
    assert explained(error, Invocation(), ENV) is error
    assert explained(plain := SQSError("x"), Invocation(), ENV) is plain
    # Of CloudWatch, say, whose address has nothing to do with the one of the queues.
    error = ConnectionFailed("cannot connect to https://monitoring.local.amazonaws.com", why="x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9324/")
    assert explained(error, Invocation(), ENV) is error
    error = ConnectionFailed("cannot connect to http://127.0.0.1:9324/", why="x")
    assert "AWS_ENDPOINT_URL_SQS" in (explained(error, Invocation(), ENV).next or "")


def test_an_endpoint_without_queues_is_named_with_the_region() -> None:
    env = SQSEnv(endpoint_url="http://127.0.0.1:9371", region="us-east-1")
    assert place_without_queues(env) == "http://127.0.0.1:9371 in region us-east-1"


def test_a_command_that_is_suggested_can_be_pasted(sqsw: Sqsw) -> None:
    sqsw("create-queue emails")
    assert "  next: create it: sqsw create-queue -- -x\n" in sqsw("inspect -- -x").err
    for name in ("000000000000/q", "no; such", "x" * 81):
        told = sqsw("inspect", name).err
        assert f"the name sent was {name!r}, which no queue can have" in told
        assert "create-queue" not in told


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        ("purge emials", "{new}"),
        ("inspect emials", "{new} Or create it: sqsw create-queue emials"),
        ("send emials x", "create it: sqsw create-queue emials"),
    ],
)
def test_a_new_file_is_the_first_suspect(sqsw: Sqsw, words: str, next_step: str) -> None:
    new = f"the local file {sqsw.home / 'local.db'} is new and empty: is this the right directory?"
    assert sqsw(words).err.splitlines()[-1] == f"  next: {next_step.format(new=new)}"
    sqsw("create-queue emails")
    last = sqsw("purge emials").err.splitlines()[-1]
    assert last == "  next: did you mean 'emails'?"


@pytest.mark.parametrize("command", ["purge", "send"])
def test_the_queue_of_another_account_is_not_to_be_created(sqsw: Sqsw, command: str) -> None:
    sqsw("create-queue emails")
    words = ["j"] if command == "send" else []
    told = sqsw(command, "arn:aws:sqs:local:999999999999:emails", *words).err.splitlines()
    assert told[0].startswith("error: no queue named 'emails' in the account 999999999999 in local")
    alone = "if the one of the account in use is meant, name it alone: 'emails'; or go where"
    assert told[-1].startswith(f"  next: {alone}")
    told = sqsw(command, "http://h/999999999999/emails", *words).err.splitlines()
    assert told[0] == "error: no queue named 'emails' where it was looked for"
    assert told[-1] == "  next: if that one is meant, name it alone: emails"
