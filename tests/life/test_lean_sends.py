"""Batches through the client that checks no parameters and parses answers with json, over HTTP."""

import boto3
import pytest

from sqsw.sqs_env import SQSEnv
from tests.life.serving import serving


def test_a_lean_batch_gets_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SQSW_LOCAL", raising=False)
    with serving("--memory") as server:
        session = boto3.session.Session("local", "local", region_name="local")
        env = SQSEnv(session, endpoint_url=server.url)
        env.sqs_client.create_queue(QueueName="jobs", Attributes={"MaximumMessageSize": "1024"})
        client = env.make_queue_client("jobs")
        entries = [{"MessageBody": "ß"}, {"MessageBody": "x" * 1025}, {"MessageBody": "c"}]
        for lean in (False, True):
            sent, failures = client.send_batch(entries, lean=lean)
            assert sorted(sent) == [0, 2]
            assert all(answer["MessageId"] for answer in sent.values())
            assert [(f.index, f.code, f.sender_fault) for f in failures] == [
                (1, "InvalidParameterValue", True)
            ]
        assert sorted(message.body for message in client.receive(10)) == ["c", "c", "ß", "ß"]
