"""The boto3 client: created at its first use, with the given settings."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ParamValidationError
from botocore.hooks import HierarchicalEmitter

from sqsw.core.errors import ConnectionFailed, SettingsError
from sqsw.core.limits import MAX_WAIT_SECONDS
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from sqsw.transport.client import ClientSource


class Session:
    """A session that records the requested clients."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def client(self, service: str, **keywords: Any) -> Any:
        self.asked.append((service, keywords))
        meta = SimpleNamespace(events=HierarchicalEmitter(), endpoint_url="http://127.0.0.1:9324")
        return SimpleNamespace(meta=meta)


def test_one_client_is_created_at_the_first_use() -> None:
    session = Session()
    source = ClientSource(session)
    assert session.asked == []
    assert source.client is source.client
    assert [service for service, _ in session.asked] == ["sqs"]


def test_retries_and_timeouts_are_configured() -> None:
    session = Session()
    _ = ClientSource(session, retry_max_attempts=7, retry_mode="adaptive").client
    config = session.asked[0][1]["config"]
    assert config.retries == {"max_attempts": 7, "mode": "adaptive"}
    # longer than the longest poll; docs/worker.md states the number
    assert config.read_timeout == MAX_WAIT_SECONDS + 8


def test_endpoint_and_region_are_passed_on_if_set() -> None:
    session = Session()
    _ = ClientSource(session).client
    _ = ClientSource(session, endpoint_url="http://127.0.0.1:9324", region="here").client
    plain, given = (keywords for _, keywords in session.asked)
    assert not {"endpoint_url", "region_name"} & set(plain)
    assert (given["endpoint_url"], given["region_name"]) == ("http://127.0.0.1:9324", "here")


@pytest.mark.parametrize("session", [None, boto3, "new"])
def test_the_region_can_come_from_aws_region(monkeypatch: pytest.MonkeyPatch, session: Any) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    made = boto3.session.Session() if session == "new" else session
    assert ClientSource(made).client.meta.region_name == "eu-north-1"
    assert ClientSource(made, region="us-west-2").client.meta.region_name == "us-west-2"


def test_aws_region_is_not_passed_to_other_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert ClientSource(MemorySession()).client.meta.region_name == "local"


def test_a_missing_region_is_a_settings_error_with_a_hint() -> None:
    with pytest.raises(SettingsError, match="no AWS region set") as caught:
        _ = ClientSource().client
    assert "AWS_REGION" in str(caught.value.next)
    assert "SQSEnv(region=…)" in str(caught.value.next)
    assert "--" not in str(caught.value.next), "the library must not name options"


def test_a_missing_profile_is_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(SettingsError, match="no-such-profile"):
        _ = ClientSource(region="eu-west-1").client


def region_of(session: Any) -> Any:
    source = ClientSource(session)
    return source.client.meta.region_name


def test_aws_region_is_used_unless_code_sets_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert region_of(None) == "us-east-1"
    assert region_of(boto3.session.Session(region_name="eu-west-1")) == "eu-west-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert region_of(boto3.session.Session()) == "us-east-1"


def test_the_region_of_the_default_session_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert region_of(boto3) == "us-east-1"
    boto3.setup_default_session(region_name="ap-south-1")
    assert region_of(boto3) == "ap-south-1"


def test_an_endpoint_that_is_not_a_url_is_a_clear_error() -> None:
    for address, next_step in (
        ("localhost:9324", "use http://localhost:9324"),
        ("http://", "use a URL such as http://127.0.0.1:9324"),
        ("http://localhost:93x4", "use a URL such as http://127.0.0.1:9324"),
        ("http://localhost:99999", "use a URL such as http://127.0.0.1:9324"),
    ):
        with pytest.raises(SettingsError, match=f"the endpoint '{address}' is not a URL") as caught:
            _ = ClientSource(None, endpoint_url=address, region="x").client
        assert caught.value.next == next_step


@pytest.mark.parametrize("sign", "/?#")
def test_a_password_that_ends_the_host_name_is_refused_and_not_shown(sign: str) -> None:
    for password in (f"se{sign}cret", f"12{sign}cret"):
        with pytest.raises(SettingsError, match="'localhost:9324' is not a URL") as caught:
            address = f"http://ann:{password}@localhost:9324"
            _ = ClientSource(None, endpoint_url=address, region="x").client
        with pytest.raises(SettingsError, match="'localhost:9324' is not a URL"):
            SQSEnv(endpoint_url=address).location()
        assert not {"se", "12", "cret"} & set(re.findall(r"\w+", str(caught.value)))


def test_certificates_that_cannot_be_read_are_left_to_boto3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (tmp_path / "broken.pem").write_text("no certificate")
    for name in ("broken.pem", "missing.pem"):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / name))
        env = SQSEnv(endpoint_url="https://127.0.0.1:1", region="local", retry_max_attempts=1)
        with pytest.raises(ConnectionFailed):
            env.queue_client("jobs").receive()
        assert env.clients.way == ("boto3", "a setting is wrong, or credentials are missing")


def test_calls_that_do_not_wait_for_messages_have_short_timeouts() -> None:
    source = ClientSource(boto3.session.Session(), region="eu-west-1", retry_max_attempts=3)
    config: Any = source.apart().client.meta.config
    assert config.connect_timeout + config.read_timeout < MAX_WAIT_SECONDS
    assert config.retries["total_max_attempts"] == 2
    config = ClientSource(region="eu-west-1", retry_max_attempts=0).apart().client.meta.config
    assert config.retries["total_max_attempts"] == 1


def test_monitoring_has_short_timeouts_and_is_not_counted() -> None:
    told: list[str] = []
    session = MemorySession()
    source = ClientSource(session, on_request=told.append)
    source.apart().client.list_queues()
    assert not told
    source.client.list_queues()
    assert told == ["ListQueues"]
    real = ClientSource(region="here")
    configs: list[Any] = [real.apart().client.meta.config, real.client.meta.config]
    assert configs[0].read_timeout < MAX_WAIT_SECONDS < configs[1].read_timeout


def test_both_clients_share_the_credentials_of_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    source = ClientSource(region="eu-west-1")
    clients: list[Any] = [source.client, source.apart().client]
    long, apart = (client._request_signer._credentials for client in clients)
    assert long is apart is not None


def test_every_request_is_reported_with_its_action() -> None:
    told: list[str] = []
    client = ClientSource(MemorySession(), on_request=told.append).client
    url = client.create_queue(QueueName="jobs")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="x")
    assert told == ["CreateQueue", "SendMessage"]


def test_a_retry_is_reported_as_a_request() -> None:
    told: list[str] = []
    # No server listens there, so botocore repeats the call once.
    nowhere = "http://127.0.0.1:9"
    session = boto3.session.Session("x", "x", region_name="local")
    source = ClientSource(
        session, retry_max_attempts=1, endpoint_url=nowhere, on_request=told.append
    )
    with pytest.raises(EndpointConnectionError):
        source.client.list_queues()
    assert told == ["ListQueues", "ListQueues"]


def test_a_credentials_file_is_read_again_after_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    def write(key: str) -> None:
        file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = x\n")

    def key_of(source: ClientSource) -> str:
        source.refused()
        key: str = source.client._request_signer._credentials.access_key  # type: ignore[attr-defined]  # not public
        return key

    write("old")
    ours = ClientSource(region="local")
    theirs = ClientSource(boto3.session.Session(region_name="local"))
    assert (key_of(ours), key_of(theirs)) == ("old", "old")
    write("new")
    assert (key_of(ours), key_of(theirs)) == ("new", "old")


class Stopped(Exception):
    """Raised instead of sending a request."""


def user_agent(client: Any, **parameters: Any) -> str:
    """Return the user agent of a receive, which is not sent."""
    seen: list[str] = []

    def stop(request: Any, **_: Any) -> None:
        seen.append(request.headers["User-Agent"].decode())
        raise Stopped

    client.meta.events.register("before-send.sqs", stop)
    with pytest.raises(Stopped):
        client.receive_message(QueueUrl="http://127.0.0.1:1/q", **parameters)
    return seen[0]


def test_each_purpose_has_its_own_client_and_ours_skip_parameter_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    source = ClientSource(region="eu-west-1")
    plain, lean, quick = source.client, source.lean_client, source.apart().client
    assert len({id(plain), id(lean), id(quick)}) == 3
    assert source.lean_client is lean
    for client in (lean, quick):
        # sqsw's own parameters are valid, so these clients do not check them.
        assert user_agent(client, MaxNumberOfMessages="ten").startswith("sqsw ")
    assert user_agent(plain).startswith("Boto3/")
    with pytest.raises(ParamValidationError):
        plain.receive_message(QueueUrl="q", MaxNumberOfMessages="ten")  # type: ignore[arg-type]  # invalid on purpose


def test_the_receiving_client_is_used_until_another_one_exists() -> None:
    source = ClientSource(region="eu-west-1")
    receiving = source.lean_client
    assert source.client_at_hand is receiving
    plain = source.client
    assert source.client_at_hand is plain is not receiving


def test_a_custom_session_decides_how_clients_are_made() -> None:
    source = ClientSource(Session())
    assert source.client is source.lean_client


class Recorder(MemorySession):
    """A session that creates its own clients, and counts them."""

    made = 0

    def client(self, *names: Any, **options: Any) -> Any:
        self.made += 1
        return super().client(*names, **options)


class Wrapper:
    """A wrapper around a session, as in fault injectors."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.made = 0

    def client(self, *names: Any, **options: Any) -> Any:
        self.made += 1
        return self._session.client(*names, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@pytest.mark.parametrize("session", [Recorder(), Wrapper(MemorySession())], ids=["sub", "wrapper"])
def test_a_session_that_makes_its_own_clients_is_not_bypassed(session: Any) -> None:
    env = SQSEnv(session)
    url = env.sqs_client.create_queue(QueueName="jobs")["QueueUrl"]
    assert env.clients.way == ("boto3", "the session is not a plain boto3 session")
    env.queue("jobs").add_job("job", n=1)
    assert session.made == 1 and env.sqs_client.receive_message(QueueUrl=url)["Messages"]


def test_a_mock_of_a_session_gets_every_call() -> None:
    session = MagicMock()
    session.client().get_queue_url.return_value = {"QueueUrl": "http://127.0.0.1/1/jobs"}
    session.client().send_message.return_value = {"MessageId": "m1", "ResponseMetadata": {}}
    session.client().meta.endpoint_url = "http://127.0.0.1"
    assert SQSEnv(session).queue("jobs").add_job("job", n=1) == "m1"


def test_a_class_that_boto3_adds_to_clients_is_used() -> None:
    session = boto3.session.Session("id", "secret", region_name="eu-west-1")
    session.events.register("creating-client-class.sqs", lambda **_: None)
    assert SQSEnv(session).clients.way[0] == "boto3"


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("http://localhost:9324", "http://localhost:9324"),
        ("http://localhost:9324/path/", "http://localhost:9324"),
        ("http://ann:secret@localhost:9324", "http://sqsw.invalid"),
    ],
)
def test_queue_urls_of_the_embedded_sqs_are_the_same_on_all_routes(
    endpoint: str, origin: str
) -> None:
    for wire in (True, False):
        env = SQSEnv(MemorySession(), endpoint_url=endpoint, wire=wire)
        env.sqs_client.create_queue(QueueName="jobs")
        assert env.make_queue_client("jobs").url == f"{origin}/000000000000/jobs"


def test_an_endpoint_of_the_embedded_sqs_is_checked() -> None:
    with pytest.raises(SettingsError, match="'nonsense' is not a URL"):
        _ = SQSEnv(MemorySession(), endpoint_url="nonsense").make_queue_client("jobs").url


def test_a_copy_that_is_used_first_shares_the_session() -> None:
    source = ClientSource(region="eu-west-1")
    session = source._own_session.get()
    _ = source.apart().client
    _ = source.client
    assert source._own_session.made is session


def test_reading_the_region_needs_no_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = a\n"
        "mfa_serial = arn:aws:iam::1:mfa/ann\n"
        "[profile a]\naws_access_key_id = x\naws_secret_access_key = x\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("somebody was asked for a code"))
    assert SQSEnv().location() == "eu-west-1"
