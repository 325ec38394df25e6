"""Which dead-letter queue takes a message, and after how many receives."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_RECEIVE_COUNT

#: Receives before a message is dead-lettered, unless the caller says otherwise. With the default
#: backoff, the last attempt follows half an hour after the first.
DEFAULT_MAX_RECEIVES = 12


class ArnSource(Protocol):
    """All that a redrive policy asks of an environment."""

    def get_queue_arn(self, queue_name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """After ``max_receive_count`` receives the next one moves the message to the dead-letter queue.

    The dead-letter queue has to exist when the policy is used; it is asked for its ARN then.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html

    Raises
    ------
    SettingsError
        ``max_receive_count`` is not between 1 and 1000.
    """

    env: ArnSource
    dead_letter_queue_name: str
    max_receive_count: int

    def __post_init__(self) -> None:
        if not 1 <= self.max_receive_count <= MAX_RECEIVE_COUNT:
            raise SettingsError(
                f"max_receive_count is {self.max_receive_count}, "
                f"it must be between 1 and {MAX_RECEIVE_COUNT}"
            )

    def to_json(self) -> str:
        """The text of SQS's attribute ``RedrivePolicy``.

        Raises
        ------
        QueueNotFound
            The dead-letter queue does not exist.
        """
        return json.dumps(
            {
                "deadLetterTargetArn": self.env.get_queue_arn(self.dead_letter_queue_name),
                "maxReceiveCount": self.max_receive_count,
            }
        )


def redrive_target(attributes: Mapping[str, str]) -> tuple[str | None, int | None]:
    """The ARN of the dead-letter queue and the number of receives, out of queue attributes."""
    policy = json.loads(attributes.get("RedrivePolicy") or "{}")
    count = policy.get("maxReceiveCount")
    return policy.get("deadLetterTargetArn"), None if count is None else int(count)
