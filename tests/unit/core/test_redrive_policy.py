"""Which dead-letter queue, after how many receives."""

import json

import pytest

from sqsw.core.errors import QueueNotFound, SettingsError
from sqsw.sqs_env import SQSEnv


def test_the_text_for_sqs_has_the_arn_and_the_number(memory_env: SQSEnv) -> None:
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
def test_a_number_that_sqs_does_not_take_is_refused_at_once(memory_env: SQSEnv, count: int) -> None:
    with pytest.raises(SettingsError, match=f"max_receive_count is {count}"):
        memory_env.redrive_policy("dead", count)
