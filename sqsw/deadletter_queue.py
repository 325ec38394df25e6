"""A dead-letter queue that sends every message back to its upstream queue."""

from collections.abc import Callable
from typing import Any, Self

from sqsw.core.message import Message
from sqsw.queue.generic import GenericQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.transport.resend import entry_to_resend

#: seconds; the delay keeps a worker on both queues from spinning
PUSH_BACK_DELAY_SECONDS = 1


class PushBackSender:
    """A function that sends a dead letter to the upstream queue unchanged.

    Body, message attributes and message group stay the same. The deduplication ID is the dead
    letter's message ID: SQS can still remember the original one, and would then accept the message
    but drop it as a duplicate.
    """

    def __init__(self, upstream_queue: GenericQueue) -> None:
        self.upstream_queue = upstream_queue

    def __call__(self, message: Message) -> None:
        """Send one message back. The worker deletes it after this returns."""
        client = self.upstream_queue.client
        entry = entry_to_resend(message, client)
        if not client.is_fifo:
            entry["DelaySeconds"] = PUSH_BACK_DELAY_SECONDS
        client.send(entry)


class DeadLetterQueue(RawQueue):
    """A raw queue that sends every message back to its upstream queue.

    ::

        foo = env.queue("foo")
        foo_dead = env.queue("foo_dead", DeadLetterQueue.maker(foo))
        foo_dead.process_queue(shutdown_policy=IdleShutdown(10))
    """

    def __init__(
        self, *args: Any, upstream_queue: GenericQueue | None = None, **kwargs: Any
    ) -> None:
        if upstream_queue is not None:
            kwargs.setdefault("processor", PushBackSender(upstream_queue))
        super().__init__(*args, **kwargs)
        self.upstream_queue = upstream_queue

    @classmethod
    def maker(
        cls, upstream_queue: GenericQueue | None = None, **kwargs: Any
    ) -> Callable[..., Self]:
        """Return a ``queue_maker`` for one upstream queue."""
        return super().maker(upstream_queue=upstream_queue, **kwargs)
