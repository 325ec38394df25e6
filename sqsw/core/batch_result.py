"""The result of a batch of messages."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqsw.core.message import Message


@dataclass(slots=True)
class BatchProcessingResult:
    """The result of a batch of messages.

    Attributes
    ----------
    queue_name :
        The name of the queue, without prefix.
    succeeded, failed :
        The messages of jobs that succeeded, and of all other jobs that ran. If SQS did not delete a
        message, its job counts as failed.
    errors :
        What failed jobs raised; a job that asked for a retry has none. Only ``process_batch`` sets
        it. The event of a worker has none, because ``JobFailed`` has them.
    """

    queue_name: str
    succeeded: list[Message] = field(default_factory=list)
    failed: list[Message] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def update(self, messages: Iterable[Message], success: bool) -> None:
        """Count these messages as succeeded or failed."""
        (self.succeeded if success else self.failed).extend(messages)

    def update_with_message(self, message: Message, success: bool) -> None:
        """Count one message as succeeded or failed."""
        self.update([message], success)

    def succeeded_count(self) -> int:
        """Return the number of jobs that succeeded."""
        return len(self.succeeded)

    def failed_count(self) -> int:
        """Return the number of jobs that failed or asked for a retry."""
        return len(self.failed)

    def total_count(self) -> int:
        """Return the number of jobs that ended."""
        return len(self.succeeded) + len(self.failed)
