"""One queue as the worker sees it: everything the roles need to know, and no queue class."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqsw.core.contracts import Backoff, ShutdownPolicy
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.core.settings import QueueShare
from sqsw.transport.queue_client import QueueClient

#: Where a job wants to run: in a thread, or on the event loop.
Kind = Literal["thread", "loop"]

#: Runs the jobs of some messages (one, unless the queue hands out lists): a result for each, in
#: the order of the messages. It never raises.
Handle = Callable[[Sequence[Message]], list[ProcessingResult]]
HandleAsync = Callable[[Sequence[Message]], Awaitable[list[ProcessingResult]]]


@dataclass(frozen=True, slots=True)
class Lane:
    """One queue inside a worker.

    Attributes
    ----------
    name :
        The name of the queue, without prefix.
    client :
        The calls to SQS.
    handle, handle_async :
        Run the jobs of some messages, in this thread or as a coroutine.
    kind_of :
        Where the job of a message wants to run.
    job_name_of :
        The job name of a message; None where it has none.
    backoff_policy :
        How long a failed message stays hidden, where its result does not say.
    batch_size :
        Messages in one call of ``handle``, at most.
    visibility_timeout :
        Seconds: the lease to ask for at each receive.
    share :
        Slots and weight of the queue.
    shutdown_policy :
        When this lane is to be quieted.
    """

    name: str
    client: QueueClient
    handle: Handle
    handle_async: HandleAsync
    kind_of: Callable[[Message], Kind]
    job_name_of: Callable[[Message], str | None]
    backoff_policy: Backoff
    batch_size: int
    visibility_timeout: int
    share: QueueShare
    shutdown_policy: ShutdownPolicy

    @property
    def is_fifo(self) -> bool:
        """Whether order within a message group is to be kept."""
        return self.client.is_fifo
