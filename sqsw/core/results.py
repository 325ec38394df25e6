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
        True: the message is deleted. False: it can be received again after the backoff.
    backoff_policy :
        How long the message stays hidden; None for the policy of the queue.
    error :
        What the job raised; None if it asked for a retry.
    give_up :
        True: the job must not be tried again.
    max_attempts :
        Attempts after which the job is not tried again; None for the number of its queue.
    skipped :
        Whether the job did not run because it is outdated. Its message is deleted.
    """

    success: bool
    backoff_policy: Backoff | None = None
    error: BaseException | None = None
    give_up: bool = False
    max_attempts: int | None = None
    skipped: bool = False


#: the result of every job that succeeds: one shared object
SUCCEEDED = ProcessingResult(True)

#: the result of every outdated job
SKIPPED = ProcessingResult(True, skipped=True)


class RetryJob(Exception):
    """Raise this in a job to run it again later. It does not count as a failure.

    Parameters
    ----------
    backoff_policy :
        How long the message stays hidden until then; None for the policy of the queue.
    """

    def __init__(self, *args: object, backoff_policy: Backoff | None = None) -> None:
        # As in sqs-workers, the policy can be the first argument.
        if backoff_policy is None and args and isinstance(args[0], Backoff):
            backoff_policy, *rest = args  # type: ignore[assignment]  # checked in the line above
            args = tuple(rest)
        super().__init__(*args)
        self.backoff_policy = backoff_policy


class GiveUp(Exception):
    """Raise this in a job that must not run again, for example if its order does not exist.

    The message goes to the dead-letter queue with the reason. Without a dead-letter queue, it stays
    hidden for up to 12 hours, and the worker never deletes it.
    """


class FailedJobs(Exception):
    """Raise or return this in a function that takes a list, if some of its jobs failed.

    Parameters
    ----------
    jobs :
        The jobs that failed, from the list that the function got. All others succeeded.
    backoff_policy :
        How long their messages stay hidden; None for the policy of the processor or the queue.
    """

    def __init__(self, jobs: Iterable[object], backoff_policy: Backoff | None = None) -> None:
        self.jobs = list(jobs)
        super().__init__(f"{len(self.jobs)} job(s) of the list failed")
        self.backoff_policy = backoff_policy

    def __reduce__(self) -> tuple[Any, ...]:
        # For pool processes. The default would pass the text as the jobs.
        return FailedJobs, (self.jobs, self.backoff_policy)
