"""botocore's errors become sqsw errors."""

import json

import pytest
from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from sqsw.core.errors import (
    AccessDenied,
    Busy,
    ConnectionFailed,
    NoRegion,
    QueueNotFound,
    SettingsError,
    SQSError,
)
from sqsw.transport.service_errors import service_errors
from sqsw.web.request_guard import RequestGuard


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "the reason"}}, "SendMessage")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", QueueNotFound),
        ("QueueDoesNotExist", QueueNotFound),
        ("ExpiredToken", AccessDenied),
        ("AccessDenied", AccessDenied),
        ("AccessDeniedException", AccessDenied),
        ("InvalidClientTokenId", AccessDenied),
        ("AWS.SimpleQueueService.QueueDeletedRecently", Busy),
        ("AWS.SimpleQueueService.PurgeQueueInProgress", Busy),
        ("ThrottlingException", Busy),
        ("InvalidParameterValue", SQSError),
        ("", SQSError),
    ],
)
def test_a_refusal_becomes_the_error_for_its_code(code: str, kind: type[SQSError]) -> None:
    with pytest.raises(SQSError) as caught, service_errors("send to 'emails'", "emails"):
        raise refused(code)
    assert type(caught.value) is kind
    assert "emails" in str(caught.value) or kind is AccessDenied
    assert caught.value.code == code.rpartition(".")[2]
    assert isinstance(caught.value.__cause__, ClientError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NoCredentialsError(), AccessDenied),
        (exceptions.NoRegionError(), NoRegion),
        (exceptions.ProfileNotFound(profile="mine"), SettingsError),
        (exceptions.EndpointConnectionError(endpoint_url="http://x"), ConnectionFailed),
        (exceptions.ReadTimeoutError(endpoint_url="http://x"), ConnectionFailed),
        (exceptions.ParamValidationError(report="bad"), SQSError),
    ],
)
def test_a_call_that_never_reached_sqs_becomes_an_error_with_the_reason(
    error: BotoCoreError, kind: type[SQSError]
) -> None:
    with pytest.raises(SQSError) as caught, service_errors("send to 'emails'"):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(KeyError), service_errors("send"):
        raise KeyError("x")


def test_a_missing_server_is_a_failed_connection() -> None:
    from sqsw.sqs_env import SQSEnv
    from tests.backends import EndpointSession, free_port

    session = EndpointSession(f"http://127.0.0.1:{free_port()}", "us-east-1")
    env = SQSEnv(session, retry_max_attempts=1)
    with pytest.raises(ConnectionFailed, match="cannot connect to") as caught:
        env.queue("emails").add_job("send_email")
    assert caught.value.reason == "refused"
    assert (caught.value.url or "").rstrip("/") == session.endpoint_url


def test_a_response_that_is_nested_too_deeply_is_an_error() -> None:
    with pytest.raises(SQSError) as caught, service_errors("list the queues"):
        json.loads("[" * 100_000)  # as botocore's parser does
    assert caught.value.summary == "cannot list the queues: the answer is nested too deeply"


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_a_wrong_key_is_not_reported_as_a_policy_problem(code: str) -> None:
    with pytest.raises(AccessDenied) as caught, service_errors("send to 'emails'", "emails"):
        raise refused(code)
    assert caught.value.message == "AWS rejected the credentials"
    assert caught.value.reason == "wrong_key"
    assert "AWS_ACCESS_KEY_ID" in (caught.value.next or "")
    assert "policy" not in (caught.value.next or "")


def test_a_missing_permission_names_the_action_and_the_resource() -> None:
    arn = "arn:aws:sqs:eu-west-1:123456789012:emails"
    text = f"User: x is not authorized to perform: sqs:ReceiveMessage on resource: {arn} because"
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, "ReceiveMessage")
    with pytest.raises(AccessDenied) as caught, service_errors("receive from 'emails'", "emails"):
        raise error
    assert caught.value.reason == "denied"
    assert (caught.value.action, caught.value.resource) == ("sqs:ReceiveMessage", arn)


@pytest.mark.parametrize("host", ["host.docker.internal", "h" * 99 + ".test"])
def test_a_refused_host_name_is_not_reported_as_a_credentials_problem(host: str) -> None:
    refusal = RequestGuard("127.0.0.1", hint="--allow-host {host}").refusal({"host": host})
    assert refusal
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": refusal}}, "ListQueues")
    with pytest.raises(AccessDenied) as caught, service_errors("list the queues"):
        raise error
    assert "does not answer to the host" in str(caught.value.why)
    assert caught.value.next == (f"if the name is yours, start the server with --allow-host {host}")


@pytest.mark.parametrize("page", ["<!DOCTYPE HTML>\n<html>", "<html><body>no</body></html>"])
def test_an_html_page_instead_of_a_response_is_reported_as_such(page: str) -> None:
    error = ClientError({"Error": {"Code": "501", "Message": page}}, "ListQueues")
    with pytest.raises(SQSError) as caught, service_errors("list the queues"):
        raise error
    assert (
        caught.value.message
        == "cannot list the queues: the answer is an HTML page, not an SQS answer"
    )
    assert "AWS_ENDPOINT_URL" in str(caught.value.next)
    assert "<" not in str(caught.value)
