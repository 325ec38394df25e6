"""How a job ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqsw.core.contracts import Backoff


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
        Whether the job is not tried again.
    max_attempts :
        After so many attempts the job is not tried again; None: what its queue says.
    """

    success: bool
    backoff_policy: Backoff | None = None
    error: BaseException | None = None
    give_up: bool = False
    max_attempts: int | None = None


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


class GiveUp(Exception):
    """Raised by a job that must not be run again, such as for an order that does not exist.

    Its message goes to the dead-letter queue with the reason. Without a dead-letter queue it stays
    hidden for 12 hours, and is never deleted.
    """


class FailedJobs(Exception):
    """Raised (or returned) by a function that takes a list of jobs: these failed, the rest did not.

    Parameters
    ----------
    jobs :
        Those of the list that was given, which failed.
    backoff_policy :
        How long their messages stay hidden; None for the policy of the processor or the queue.
    """

    def __init__(self, jobs: Iterable[object], backoff_policy: Backoff | None = None) -> None:
        self.jobs = list(jobs)
        super().__init__(f"{len(self.jobs)} job(s) of the list failed")
        self.backoff_policy = backoff_policy

    def __reduce__(self) -> tuple[Any, ...]:
        # From a process of the pool; by default the text would be taken for the jobs.
        return FailedJobs, (self.jobs, self.backoff_policy)
