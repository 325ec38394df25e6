"""The little that looking after queues asks of its environment."""

from typing import Protocol

from sqsw.transport.client import ClientSource
from sqsw.transport.queue_client import QueueClient


class ManageEnv(Protocol):
    """What of an ``SQSEnv`` this room uses."""

    @property
    def clients(self) -> ClientSource: ...

    @property
    def queue_prefix(self) -> str: ...

    def queue_client(self, text: str) -> QueueClient: ...

    def name_of(self, sqs_name: str) -> str: ...
