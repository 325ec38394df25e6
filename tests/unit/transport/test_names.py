"""Queue names, URLs and ARNs."""

import botocore.session
import pytest
from botocore.config import Config

from sqsw.core.errors import SettingsError
from sqsw.transport.names import (
    QueueRef,
    dead_letter_name,
    is_aws_endpoint,
    is_fifo,
    name_of_arn,
    name_of_url,
    source_by_name,
)

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/emails.fifo"
ARN = "arn:aws:sqs:eu-west-1:123456789012:emails.fifo"


def test_a_queue_is_parsed_from_a_name_a_url_or_an_arn() -> None:
    assert QueueRef.parse("emails") == QueueRef("emails")
    assert QueueRef.parse(URL) == QueueRef("emails.fifo", url=URL)
    assert QueueRef.parse(ARN) == QueueRef("emails.fifo", arn=ARN)
    local = "http://127.0.0.1:9324/queue/000000000000/emails"
    assert QueueRef.parse(local).name == "emails"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://example.com",
        "https://example.com/emails",
        "arn:aws:sns:eu-west-1:1:x",
        "arn:x",
        "arn:aws:sqs:::x",
        "http://[bad/0/q",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        QueueRef.parse(text)


def test_the_name_is_the_last_part() -> None:
    assert name_of_url(URL) == name_of_url(URL + "/") == name_of_arn(ARN) == "emails.fifo"


def test_fifo_queues_are_recognized_by_their_name() -> None:
    assert is_fifo("emails.fifo")
    assert is_fifo(URL)
    assert not is_fifo("emails")
    assert not is_fifo("fifo")


@pytest.mark.parametrize("name", ["emails", "emails.fifo"])
def test_dead_letter_queues_are_recognized_by_their_name(name: str) -> None:
    assert source_by_name(dead_letter_name(name)) == "emails"
    assert is_fifo(dead_letter_name(name)) == is_fifo(name)
    assert source_by_name(name) is None
    assert source_by_name("_dead") is None


@pytest.mark.parametrize(
    ("region", "dual_stack"),
    [
        *((region, True) for region in ("eu-west-1", "us-gov-west-1", "cn-north-1")),
        *((region, False) for region in ("eu-west-1", "cn-north-1", "us-iso-east-1")),
    ],
)
def test_every_aws_host_name_of_botocore_is_recognized(
    monkeypatch: pytest.MonkeyPatch, region: str, dual_stack: bool
) -> None:
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    config = Config(use_dualstack_endpoint=dual_stack)
    client = botocore.session.get_session().create_client("sqs", region, config=config)
    assert is_aws_endpoint(client.meta.endpoint_url)


def test_other_servers_are_not_aws() -> None:
    for host in (
        "127.0.0.1:9324",
        "api.aws.example.com",
        "sqs.eu-west-1.localhost.localstack.cloud",
    ):
        assert not is_aws_endpoint(f"http://{host}")
