"""A dead-letter queue whose every message is pushed back to where it came from."""

from collections.abc import Callable
from typing import Any, Self

from sqsw.core.message import Message
from sqsw.queue.generic import GenericQueue
from sqsw.queue.raw_queue import RawQueue
from sqsw.transport.resend import entry_to_resend

#: seconds, so that a worker on both queues does not spin
PUSH_BACK_DELAY_SECONDS = 1


class PushBackSender:
    """Sends a dead letter to the upstream queue, as it is.

    Body, message attributes and message group are kept. The deduplication id is the message id of
    the dead letter: the original one may still be remembered by SQS, which would then answer yes
    and store nothing.
    """

    def __init__(self, upstream_queue: GenericQueue) -> None:
        self.upstream_queue = upstream_queue

    def __call__(self, message: Message) -> None:
        """Send one message back; the worker deletes it once this has returned."""
        client = self.upstream_queue.client
        entry = entry_to_resend(message, client)
        if not client.is_fifo:
            entry["DelaySeconds"] = PUSH_BACK_DELAY_SECONDS
        client.send(entry)


class DeadLetterQueue(RawQueue):
    """A raw queue that pushes every message back to its upstream queue.

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
        """This class for one upstream queue, as ``queue_maker=`` takes it."""
        return super().maker(upstream_queue=upstream_queue, **kwargs)
