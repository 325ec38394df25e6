"""How long a failing job is retried before SQS moves it to the dead-letter queue."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqsw.core.limits import MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.redrive_policy import DEFAULT_MAX_RECEIVES
from sqsw.core.wording import counted, format_duration

RetryReason = Literal["few_receives", "short_backoff", "long_backoff"]

#: seconds below which an ordinary outage dead-letters jobs
_SHORT_SECONDS = 300

#: receives that a FIFO queue needs at least: messages of a group are often returned unrun
_MIN_FIFO_RECEIVES = 10

#: seconds from which seconds are left out of the text: the jitter is larger
_LONG_SECONDS = 600


@dataclass(frozen=True, slots=True)
class RetryHorizon:
    """The time from the first receive of a job that always fails to its last one.

    Attributes
    ----------
    max_receives :
        Receives that the redrive policy of the queue allows.
    seconds :
        The sum of the expected backoffs, without the run time of the job; None if it is unknown,
        because a backoff policy failed.
    job_name :
        The job that is retried for the shortest time, if the jobs of the queue differ.
    is_assumed :
        Whether no job of the queue is registered, so the backoff of the environment is assumed.
    max_attempts :
        The attempts of that job, if its ``max_attempts`` ends the retries before the redrive policy
        does.
    by_receives :
        If ``max_attempts`` is set: the horizon of the jobs that only the receives limit; None if
        there are none.
    cut_seconds :
        The longest wait of any job of the queue, if it is shortened to the twelve hours of SQS;
        None if none is.
    """

    max_receives: int
    seconds: int | None
    job_name: str | None = None
    is_assumed: bool = False
    max_attempts: int | None = None
    by_receives: "RetryHorizon | None" = None
    cut_seconds: int | None = None

    def until(self, dead_letter_queue: str) -> str:
        """Return the horizon as text, for example ``for 34m, then orders_dead``."""
        if self.seconds is None and self.max_attempts is not None:
            return f"up to {counted(self.max_attempts, 'attempt')}, then {dead_letter_queue}"
        if self.seconds is None:
            return f"up to {self.max_receives} receives, then {dead_letter_queue}"
        return f"for {self._time(self.seconds)}, then {dead_letter_queue}"

    def problems(
        self,
        dead_letter_queue: str,
        is_fifo: bool,
        horizon_of: Callable[[int], "RetryHorizon"],
    ) -> Iterator[tuple[RetryReason, str, str]]:
        """Find what can dead-letter jobs too early, or what shortens their waits.

        A small ``max_attempts`` is not a problem: it is a decision about one job.

        Parameters
        ----------
        horizon_of :
            Returns the horizon of the same queue with another number of receives.

        Yields
        ------
        tuple
            The reason, the problem in words, and what to do about it.
        """
        if self.cut_seconds is not None:
            yield long_backoff(self.cut_seconds, is_fifo)
        few: RetryReason = "few_receives"
        more = f"set maxReceiveCount of its redrive policy to {DEFAULT_MAX_RECEIVES}"
        if is_fifo and self.max_receives < _MIN_FIFO_RECEIVES:
            yield (
                few,
                f"a message goes to {dead_letter_queue} after "
                f"{counted(self.max_receives, 'receive')}: on a FIFO queue, messages that are "
                "returned unrun use up receives too",
                more,
            )
        timed = self if self.max_attempts is None else self.by_receives
        if timed is None or timed.seconds is None or timed.seconds >= _SHORT_SECONDS:
            return  # long enough, or short on purpose
        text = (
            f"a failing job is retried for only {timed._time(timed.seconds)}: a longer outage "
            f"sends jobs to {dead_letter_queue}"
        )
        longest = horizon_of(max(self.max_receives, DEFAULT_MAX_RECEIVES))
        longest_seconds = (longest.by_receives or longest).seconds
        if longest_seconds is not None and longest_seconds < _SHORT_SECONDS:
            yield "short_backoff", text, "set a longer backoff_policy"
        elif not is_fifo or self.max_receives >= _MIN_FIFO_RECEIVES:
            yield few, text, more

    def _time(self, seconds: int) -> str:
        if seconds >= _LONG_SECONDS:
            seconds = round(seconds / 60) * 60
        text = format_duration(seconds)
        about = [] if self.job_name is None else [f"job {self.job_name}"]
        if self.max_attempts is not None:
            about.append(counted(self.max_attempts, "attempt"))
        if about:
            text += f" ({', '.join(about)})"
        return f"{text} with the default backoff" if self.is_assumed else text


def long_backoff(seconds: int, is_fifo: bool) -> tuple[RetryReason, str, str]:
    """Return the reason, the problem and its solution if a backoff is shortened to twelve hours."""
    longest = format_duration(MAX_VISIBILITY_TIMEOUT_SECONDS)
    text = f"a backoff of {format_duration(seconds)} is shortened to {longest}"
    if is_fifo:
        return (
            "long_backoff",
            f"{text}: on a FIFO queue, jobs that wait longer would lose their place in the order",
            f"use a standard queue, or a backoff of at most {longest}",
        )
    return (
        "long_backoff",
        f"{text}: SQS cannot hide a message for longer, and the environment has no parking queue",
        "use SQSEnv(parking='parked') and create_parking_queue(env, 'parked')",
    )
