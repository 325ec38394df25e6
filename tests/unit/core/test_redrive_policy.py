"""Redrive policies: the dead-letter queue and the maximum receive count."""

import json

import pytest

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.sqs_env import SQSEnv


def test_the_json_has_the_arn_and_the_maximum_receive_count(memory_env: SQSEnv) -> None:
    policy = memory_env.redrive_policy("dead", 3)
    assert (policy.dead_letter_queue_name, policy.max_receive_count) == ("dead", 3)
    with pytest.raises(QueueNotFound, match="'dead'"):
        policy.to_json()
    memory_env.sqs_client.create_queue(QueueName="dead")
    assert json.loads(policy.to_json()) == {
        "deadLetterTargetArn": memory_env.get_queue_arn("dead"),
        "maxReceiveCount": 3,
    }


@pytest.mark.parametrize("count", [0, 1001, -1])
def test_a_count_that_sqs_would_refuse_is_refused_at_once(memory_env: SQSEnv, count: int) -> None:
    with pytest.raises(SettingsError, match=f"max_receive_count is {count}"):
        memory_env.redrive_policy("dead", count)
