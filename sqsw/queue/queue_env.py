"""The environment, as far as its queues need it."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sqsw.context import SQSContext
from sqsw.core.contracts import Backoff, Companion, WallClock
from sqsw.core.event_bus import EventBus
from sqsw.core.failure_rules import FailureRules
from sqsw.middleware.chain import Middleware
from sqsw.transport.queue_client import QueueClient

if TYPE_CHECKING:
    from sqsw.parking.places import ParkingPlace


class QueueEnv(Protocol):
    """What an environment gives its queues."""

    codec: str
    accept: Collection[str] | None
    context: SQSContext
    events: EventBus
    middlewares: Sequence[Middleware]
    backoff_policy: Backoff
    processor_maker: Callable[..., Any]
    failure_rules: FailureRules
    typed_arguments: bool

    @property
    def registration_source(self) -> str: ...

    @property
    def wall_clock(self) -> WallClock: ...

    @property
    def parking_place(self) -> "ParkingPlace | None": ...

    def companions(self) -> Sequence[Companion]: ...

    def get_sqs_queue_name(self, queue_name: str) -> str: ...

    def make_queue_client(self, queue_name: str, queue_url: str | None) -> QueueClient: ...
