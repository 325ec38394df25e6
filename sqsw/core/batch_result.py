"""What became of the messages of one batch."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqsw.core.message import Message


@dataclass(slots=True)
class BatchProcessingResult:
    """What became of the messages of one batch.

    Attributes
    ----------
    queue_name :
        The name of the queue, without prefix.
    succeeded, failed :
        The messages that were deleted, and those that will come back.
    errors :
        What their functions raised, one for each failed message that did not just ask for its
        retry. ``process_batch`` tells them; the event of a worker leaves them to ``JobFailed``.
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
        """Jobs that succeeded."""
        return len(self.succeeded)

    def failed_count(self) -> int:
        """Jobs that failed."""
        return len(self.failed)

    def total_count(self) -> int:
        """Jobs that ended, one way or the other."""
        return len(self.succeeded) + len(self.failed)
