"""The part of an environment that queue management needs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from sqsw.core.contracts import WallClock
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.middleware.chain import Middleware
from sqsw.transport.client import ClientSource
from sqsw.transport.queue_client import QueueClient

if TYPE_CHECKING:
    from sqsw.parking.places import ParkingPlace


class ManageEnv(Protocol):
    """The part of an ``SQSEnv`` that this package uses."""

    @property
    def clients(self) -> ClientSource:
        """The source of SQS calls."""
        ...

    @property
    def queue_prefix(self) -> str:
        """The prefix of every queue name."""
        ...

    @property
    def parking_queue(self) -> str | None:
        """The name of the parking queue, without the prefix; None if there is none."""
        ...

    @property
    def parking_place(self) -> "ParkingPlace | None":
        """Where jobs wait that SQS cannot delay for long enough; None if there is no such place."""
        ...

    @property
    def wall_clock(self) -> WallClock:
        """The time in seconds since 1970, by the clock of the queues."""
        ...

    def queue_client(self, text: str) -> QueueClient:
        """Return a queue's client for a name (which gets the prefix), a queue URL or an ARN."""
        ...

    def name_of(self, sqs_name: str) -> str:
        """Return an SQS queue name without the prefix."""
        ...

    def retry_horizon(self, queue_name: str, max_receives: int) -> RetryHorizon:
        """Return how long a job of a queue is retried; the name has no prefix."""
        ...

    def middlewares_of(self, queue_name: str) -> Sequence[Middleware]:
        """Return the middlewares of a queue's jobs and sends."""
        ...
