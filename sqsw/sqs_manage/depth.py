"""Read the depth of queues with one request each."""

from dataclasses import dataclass

from sqsw.core.redrive_policy import redrive_target
from sqsw.sqs_manage.manage_env import ManageEnv
from sqsw.transport.queue_client import QueueClient

_COUNT = "ApproximateNumberOfMessages"


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The message counts of a queue. They are SQS's estimates, which lag by up to a minute.

    Attributes
    ----------
    ready, in_flight, delayed :
        Messages that can be received, that are in flight, and that are delayed.
    dead_letter_arn :
        The ARN of its dead-letter queue; None if it has none.
    """

    ready: int
    in_flight: int
    delayed: int
    dead_letter_arn: str | None


class DepthReader:
    """A reader that monitors queues next to a worker.

    Its requests have short timeouts and publish no events, because they are not part of the work.
    """

    def __init__(self, env: ManageEnv) -> None:
        self._env = env
        self._clients = env.clients.apart()
        self._queues: dict[str, QueueClient] = {}

    def read(self, queue: str) -> QueueDepth:
        """Return the depth of a queue with one GetQueueAttributes, plus one GetQueueUrl at first.

        Parameters
        ----------
        queue :
            A queue name without prefix, a queue URL or an ARN.

        Raises
        ------
        QueueNotFound, AccessDenied, Busy, ConnectionFailed
            The queue does not exist, or SQS does not answer.
        """
        if queue not in self._queues:
            self._queues[queue] = self._env.queue_client(queue).through(self._clients)
        names = (_COUNT, f"{_COUNT}NotVisible", f"{_COUNT}Delayed")
        attributes = self._queues[queue].attributes(*names, "RedrivePolicy")
        ready, in_flight, delayed = (int(attributes.get(name, 0)) for name in names)
        return QueueDepth(ready, in_flight, delayed, redrive_target(attributes)[0])
