"""Looking up the URL of a queue by its ARN."""

from typing import Any

import boto3
import pytest

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.memory_sqs import MemorySession
from sqsw.sqs_env import SQSEnv
from tests.unit.transport.test_names import ARN

OTHER_ACCOUNT = "111122223333"


def test_an_arn_finds_only_the_queue_of_its_account_and_region(env: SQSEnv, client: Any) -> None:
    url = client.create_queue(QueueName="found-by-arn")["QueueUrl"]
    arn = env.queue_client(url).attributes("QueueArn")["QueueArn"]
    _, region, account = arn.removesuffix(":found-by-arn").rsplit(":", 2)
    assert env.queue_client(arn).url == env.queue(arn).client.url == url
    for queue in (env.queue_client, env.make_queue_client):
        with pytest.raises(QueueNotFound, match="'found-by-arn' in account 1111"):
            queue(arn.replace(account, OTHER_ACCOUNT)).purge()
        with pytest.raises(SettingsError, match="region 'moon-1'") as caught:
            queue(arn.replace(region, "moon-1")).purge()
        assert (caught.value.reason, caught.value.suggested) == ("other_region", "moon-1")


def test_on_aws_no_request_goes_to_another_region() -> None:
    session = boto3.session.Session("no", "key", region_name="us-east-1")
    env = SQSEnv(session)
    env.sqs_client.meta.events.register("before-send.sqs", lambda **_: pytest.fail("asked"))
    with pytest.raises(SettingsError, match="'eu-west-1', but the client uses 'us-east-1'"):
        _ = env.queue_client(ARN).url


@pytest.mark.parametrize(
    "host",
    [
        *("sqs.eu-west-1.amazonaws.com", "eu-west-1.queue.amazonaws.com", "sqs.eu-west-1.api.aws"),
        *("sqs-fips.eu-west-1.amazonaws.com", "vpce-0a1-b2.sqs.eu-west-1.vpce.amazonaws.com"),
    ],
)
def test_on_aws_the_url_of_a_queue_in_another_region_is_refused(host: str) -> None:
    url = f"https://{host}/123456789012/emails"
    session = boto3.session.Session("no", "key", region_name="us-east-1")
    env = SQSEnv(session)
    env.sqs_client.meta.events.register("before-send.sqs", lambda **_: pytest.fail("asked"))
    with pytest.raises(SettingsError, match="'eu-west-1', but the client uses 'us-east-1'"):
        env.queue_client(url).send({"MessageBody": "x"})
    at_home = SQSEnv(boto3.session.Session("no", "key", region_name="eu-west-1"))
    assert at_home.queue_client(url).url == url


def test_legacy_urls_belong_to_us_east_1() -> None:
    url = "https://queue.amazonaws.com/123456789012/emails"
    sessions = [
        boto3.session.Session("no", "key", region_name=r) for r in ("us-east-1", "eu-west-1")
    ]
    assert SQSEnv(sessions[0]).queue_client(url).url == url
    with pytest.raises(SettingsError, match="in region 'us-east-1'"):
        _ = SQSEnv(sessions[1]).queue_client(url).url


def test_other_servers_accept_aws_urls() -> None:
    env = SQSEnv(MemorySession())
    env.sqs_client.create_queue(QueueName="emails")
    queue = env.queue_client("https://sqs.eu-west-7.amazonaws.com/000000000000/emails")
    assert queue.send({"MessageBody": "x"})["MessageId"]
