"""No credential appears in any output, and a credential that cannot be sent is a settings error."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sqsw.core.errors import AccessDenied, ConnectionFailed, SettingsError
from sqsw.core.wording import keep_secret, traceback_of, without_secrets
from sqsw.sqs_env import SQSEnv
from sqsw.transport.service_errors import service_errors
from tests.unit.cli.conftest import Sqsw

SECRET = "FwoGZXsecretvalue"

UNSENDABLE = {
    "line end": f"{SECRET}\n",
    "carriage return": f"{SECRET}\r",
    "continued line": f"{SECRET}\n {SECRET}",
    "escape": f"{SECRET}\x1b[2J",
    "blank": f" {SECRET}",
    "latin-1": f"{SECRET}é",
    "unicode": f"{SECRET}€",
    "not utf-8": SECRET + "\udcff",  # os.environ contains a byte that is not UTF-8 in this form
    "line separator": f"{SECRET}\u2028",
}
PARTS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
COMMANDS = (
    "send emails send_email to=x -vv",
    "send emails send_email to=x --json",
    "inspect -vv --log-format json",
    "work myapp.tasks:env --until-idle 1",
)


@pytest.fixture(autouse=True)
def at_an_endpoint(monkeypatch: pytest.MonkeyPatch, sqsw: Sqsw) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    for name in PARTS:
        monkeypatch.setenv(name, "AKIAEXAMPLE")
    monkeypatch.delenv("SQSW_LOCAL", raising=False)
    monkeypatch.setattr("sqsw.core.wording._secrets", {})  # nothing is masked by an earlier test


def refused(sqsw: Sqsw, name: str, commands: tuple[str, ...] = COMMANDS) -> None:
    for words in commands:
        ran = sqsw(words)
        said = ran.out + ran.err
        assert ran.code in (2, 4), (words, said)
        assert name in said, (words, said)
        assert SECRET not in said, (words, said)
        assert not [sign for sign in said if not sign.isprintable() and sign != "\n"]
    if len(commands) > 1:
        ran = sqsw("doctor emails")
        assert ran.code == 8
        assert name in ran.out
        assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("fault", UNSENDABLE)
def test_a_credential_that_cannot_be_sent_is_named_and_not_shown(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, part: str, fault: str
) -> None:
    if part == "AWS_SECRET_ACCESS_KEY" and fault in ("latin-1", "unicode"):
        pytest.skip("a secret key is not sent, so it can be any text")
    monkeypatch.setenv(part, UNSENDABLE[fault])
    commands = COMMANDS if fault in ("line end", "unicode") else COMMANDS[:1]
    refused(sqsw, part, commands)


@pytest.mark.parametrize(
    ("credentials", "config", "name"),
    [
        (f"aws_session_token = {SECRET}é", "", "aws_session_token of the AWS profile 'default'"),
        (f"aws_access_key_id = {SECRET}\n  {SECRET}", "", "aws_access_key_id of the AWS profile"),
        (None, "credential_process = ./renew.sh", "the session token from custom-process"),
        (
            f"aws_session_token = {SECRET}\n  {SECRET}",
            "role_arn = arn:aws:iam::1:role/x\nsource_profile = default",
            "the HTTP client refuses to send the request",
        ),
    ],
    ids=["token", "key", "renewed by a process", "source of a role"],
)
def test_a_bad_credential_of_a_profile_is_named_and_not_shown(
    sqsw: Sqsw,
    monkeypatch: pytest.MonkeyPatch,
    credentials: str | None,
    config: str,
    name: str,
) -> None:
    for part in PARTS:
        monkeypatch.delenv(part)
    known = "aws_access_key_id = AKIA\naws_secret_access_key = key"
    text = "" if credentials is None else f"[default]\n{known}\n{credentials}\n"
    if "aws_access_key_id" in (credentials or ""):
        text = f"[default]\naws_secret_access_key = key\n{credentials}\n"
    Path("credentials").write_text(text)
    Path("config").write_text(f"[profile used]\n{config}\n" if config else "")
    Path("renew.sh").write_text(
        f"""#!/bin/sh
printf '{{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "key", "SessionToken": '
printf '"%s\\\\n", "Expiration": "2099-01-01T00:00:00Z"}}' {SECRET}
"""
    )
    Path("renew.sh").chmod(0o755)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "credentials")
    monkeypatch.setenv("AWS_CONFIG_FILE", "config")
    if config:
        monkeypatch.setenv("AWS_PROFILE", "used")
    refused(sqsw, name)


@pytest.mark.parametrize("fault", ["line end", "unicode"])
def test_a_bad_token_for_a_container_is_named_and_not_shown(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    for part in PARTS:
        monkeypatch.delenv(part)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", UNSENDABLE[fault])
    refused(sqsw, "AWS_CONTAINER_AUTHORIZATION_TOKEN")


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
@pytest.mark.parametrize("fault", UNSENDABLE)
def test_a_bad_region_is_named_and_not_shown(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv(name, UNSENDABLE[fault])
    commands = COMMANDS if fault == "line end" else COMMANDS[:1]
    refused(sqsw, name, commands)


@pytest.mark.parametrize(
    "endpoint",
    [
        f"user:{SECRET}@127.0.0.1:1",
        f"//user:{SECRET}@127.0.0.1:1",
        f"http:/user:{SECRET}@127.0.0.1:1",
        f"ftp://user:{SECRET}@127.0.0.1:1",
        f"http://user:{SECRET}\n@127.0.0.1:1",
        f"http://user:{SECRET}\x1b[2J@127.0.0.1:1",
        f"http://user:{SECRET}é@127.0.0.1:1",
        f"http://user:{SECRET}/@127.0.0.1:1",
        f"http://user:{SECRET}@127.0.0.1:port",
    ],
)
def test_a_bad_endpoint_is_named_without_its_password(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    refused(sqsw, "AWS_ENDPOINT_URL", (COMMANDS[0], COMMANDS[3]))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    ran = sqsw("send", "emails", "send_email", "--endpoint-url", endpoint)
    assert ran.code == 2
    assert SECRET not in ran.err


@pytest.mark.parametrize("name", ["SQSW_SERVE_ACCESS_KEY", "SQSW_SERVE_SECRET_KEY"])
def test_a_bad_key_of_serve_is_named_and_not_shown(
    sqsw: Sqsw, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SQSW_SERVE_ACCESS_KEY", "key")
    monkeypatch.setenv("SQSW_SERVE_SECRET_KEY", "secret")
    monkeypatch.setenv(name, UNSENDABLE["line end"])
    ran = sqsw("serve --port 0")
    assert ran.code == 2
    assert ran.err.startswith(f"error: {name} cannot be used\n")
    assert SECRET not in ran.err


def test_a_refusal_of_the_http_client_is_not_a_network_error() -> None:
    from botocore.exceptions import HTTPClientError

    with (
        pytest.raises(SettingsError, match="HTTP client refuses") as caught,
        service_errors("send"),
    ):
        raise HTTPClientError(error=ValueError(f"Invalid header value b'{SECRET}\\n'"))
    assert SECRET not in traceback_of(caught.value) + repr(caught.value)
    with pytest.raises(SettingsError) as caught, service_errors("send"):
        f"{SECRET}\udcff".encode()
    assert SECRET not in traceback_of(caught.value) + repr(caught.value)
    with pytest.raises(ConnectionFailed), service_errors("send"):
        raise HTTPClientError(error=OSError("reset"))


def test_credentials_that_aws_quotes_are_masked() -> None:
    from botocore.exceptions import ClientError

    quoted = f"in Authorization header: 'AWS4-HMAC-SHA256 Credential={SECRET}/x, Signature=abc'"
    answer = {"Error": {"Code": "IncompleteSignature", "Message": quoted}}
    with pytest.raises(AccessDenied) as caught, service_errors("send"):
        raise ClientError(answer, "SendMessage")  # type: ignore[arg-type]  # all it needs
    assert SECRET not in f"{caught.value.why}{traceback_of(caught.value)}"


def test_renewed_credentials_are_checked_before_each_request() -> None:
    import boto3
    from botocore.credentials import RefreshableCredentials

    texts = iter(["token", f"{SECRET}\n"])

    def renew() -> dict[str, str]:
        keys = {"access_key": "AKIA", "secret_key": "key", "token": next(texts)}
        return {**keys, "expiry_time": "2099-01-01T00:00:00Z"}

    credentials = RefreshableCredentials.create_from_metadata(
        renew(), refresh_using=renew, method="assume-role"
    )
    session = boto3.session.Session(region_name="eu-west-1")
    session._session._credentials = credentials  # type: ignore[attr-defined]  # as a role has them
    env = SQSEnv(session, endpoint_url="http://127.0.0.1:1")
    with pytest.raises(ConnectionFailed):
        env.get_all_known_queues()
    credentials._expiry_time = datetime.now(UTC)  # type: ignore[attr-defined]  # time goes on
    with pytest.raises(SettingsError, match="token from assume-role") as caught:
        env.get_all_known_queues()
    assert SECRET not in traceback_of(caught.value)


def test_credentials_in_use_are_masked_in_every_text() -> None:
    keep_secret("wJalrXUtnFEMI/K7MDENG")
    assert without_secrets("key wJalrXUtnFEMI/K7MDENG!") == "key ***!"
    assert "wJalr" not in traceback_of(ValueError("wJalrXUtnFEMI/K7MDENG"))
