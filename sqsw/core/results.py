"""How a job ended, and how a batch of them did."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqsw.core.contracts import Backoff
from sqsw.core.message import Message


@dataclass(frozen=True, slots=True)
class ProcessingResult:
    """How one job ended.

    Parameters
    ----------
    success :
        True: the message is deleted. False: it comes back after the backoff.
    backoff_policy :
        How long it stays hidden; None for the policy of the queue.
    error :
        What was raised; None where the job asked for its retry itself.
    give_up :
        True where another try cannot help.
    """

    success: bool
    backoff_policy: Backoff | None = None
    error: BaseException | None = None
    give_up: bool = False


#: Nearly every job ends like this, so nearly every job shares this one.
SUCCEEDED = ProcessingResult(True)


class RetryJob(Exception):
    """Raised by a job that wants to be run again: no failure, no traceback in the log.

    Parameters
    ----------
    backoff_policy :
        How long the message stays hidden until then; None for the policy of the queue.
    """

    def __init__(self, *args: object, backoff_policy: Backoff | None = None) -> None:
        # sqs-workers takes the policy as its first argument, and so do we.
        if backoff_policy is None and args and isinstance(args[0], Backoff):
            backoff_policy, *rest = args  # type: ignore[assignment]  # the line above has checked it
            args = tuple(rest)
        super().__init__(*args)
        self.backoff_policy = backoff_policy


@dataclass(slots=True)
class BatchProcessingResult:
    """What became of the messages of one batch.

    Attributes
    ----------
    queue_name :
        The name of the queue, without prefix.
    succeeded, failed :
        The messages that were deleted, and those that will come back.
    """

    queue_name: str
    succeeded: list[Message] = field(default_factory=list)
    failed: list[Message] = field(default_factory=list)

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
