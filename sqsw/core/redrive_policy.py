"""The redrive policy of a queue: its dead-letter queue, and the number of receives."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_RECEIVE_COUNT

#: The default number of receives before a message is dead-lettered. With the default backoff, the
#: last attempt is about half an hour after the first one.
DEFAULT_MAX_RECEIVES = 12


class ArnSource(Protocol):
    """An environment, as far as a redrive policy needs it."""

    def get_queue_arn(self, queue_name: str) -> str: ...


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """Moves a message to the dead-letter queue at the receive after ``max_receive_count``.

    The dead-letter queue must exist when the policy is used, because its ARN is looked up.

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
        """Return the queue attribute ``RedrivePolicy``.

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
    """Return the ARN of the dead-letter queue and the number of receives; None without a policy."""
    policy = json.loads(attributes.get("RedrivePolicy") or "{}")
    count = policy.get("maxReceiveCount")
    return policy.get("deadLetterTargetArn"), None if count is None else int(count)
