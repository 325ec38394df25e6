# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# The examples stand here as their readers write them, without annotations.
"""Processing messages from CloudWatch: JSON from another program."""

import json

import pytest

from sqsw import RawQueue, SQSEnv, create_standard_queue

pytestmark = pytest.mark.usefixtures("place")

SCHEDULED = """{
  "version": "0",
  "id": "a9a10406-9a1f-0ddc-51ae-08db551fac42",
  "detail-type": "Scheduled Event",
  "source": "aws.events",
  "account": "NNNNNNNNNN",
  "time": "2019-09-20T09:19:56Z",
  "region": "eu-west-1",
  "resources": ["arn:aws:events:eu-west-1:NNNNNNNNNN:rule/Playground"],
  "detail": {}
}"""


@pytest.mark.parametrize("text", [SCHEDULED, '{ "message": "Hello world" }'])
def test_any_json_reaches_the_function_unchanged(text: str) -> None:
    sqs = SQSEnv()
    create_standard_queue(sqs, "cron")
    cron = sqs.queue("cron", RawQueue)
    seen = []

    @cron.raw_processor()
    def processor(message):
        seen.append(message)

    # Sent without sqsw, like by a service that only knows the queue.
    sqs.sqs_client.send_message(QueueUrl=cron.client.url, MessageBody=text)
    assert cron.process_batch(wait_seconds=1).succeeded_count() == 1

    (message,) = seen
    assert message.body == text
    assert json.loads(message.body) == json.loads(text)
    # The headers in the README.
    assert message.attributes["ApproximateReceiveCount"] == "1"
    for header in ("SenderId", "ApproximateFirstReceiveTimestamp", "SentTimestamp"):
        assert message.attributes[header]
    assert message.message_attributes == {}
