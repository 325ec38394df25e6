"""The little that looking after queues asks of its environment."""

from collections.abc import Sequence
from typing import Protocol

from sqsw.core.retry_horizon import RetryHorizon
from sqsw.middleware.chain import Middleware
from sqsw.transport.client import ClientSource
from sqsw.transport.queue_client import QueueClient


class ManageEnv(Protocol):
    """What of an ``SQSEnv`` this room uses."""

    @property
    def clients(self) -> ClientSource:
        """What makes the calls of SQS."""
        ...

    @property
    def queue_prefix(self) -> str:
        """What stands before every queue name."""
        ...

    def queue_client(self, text: str) -> QueueClient:
        """The calls on a queue; ``text`` is a name (it gets the prefix), a queue URL or an ARN."""
        ...

    def name_of(self, sqs_name: str) -> str:
        """The queue name without prefix, of a name as SQS has it."""
        ...

    def retry_horizon(self, queue_name: str, max_receives: int) -> RetryHorizon:
        """How long a job of a queue is retried; the name is without prefix."""
        ...

    def middlewares_of(self, queue_name: str) -> Sequence[Middleware]:
        """What stands around the jobs and the sends of a queue."""
        ...
