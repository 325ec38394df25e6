"""How jobs ended, and what that means: an event for each, and its message to the acknowledger."""

from collections.abc import Callable, Sequence

from sqsw.core.contracts import Backoff
from sqsw.core.errors import JobNotStarted, TaskNotFound
from sqsw.core.events import (
    Event,
    EventBus,
    JobDone,
    JobDropped,
    JobFailed,
    JobRetry,
    JobUnknown,
    JobUnrun,
)
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.worker.lane import Call, Lane, within_limit

#: The heartbeat: the lease of this one is over, for this reason.
Lose = Callable[[Lane, Message, str], None]

#: The acknowledger: a job ended, so delete the message, or hide it for so many seconds where a
#: number is given.
Put = Callable[[Lane, Message, int | None], None]

#: For the acknowledger: messages to return, for how many seconds, and whether their jobs started.
PutBack = Callable[[Lane, Sequence[Message], int, bool], None]

#: seconds that a message stays hidden if its job could not be started, so another worker gets it
UNSTARTED_SECONDS = 5


#: characters of a backoff policy in an event
_POLICY_LENGTH = 300


class Verdict:
    """Judges results; used by the dispatcher, without its lock."""

    def __init__(self, *, lose: Lose, put: Put, put_back: PutBack, events: EventBus) -> None:
        self._lose, self._put, self._put_back = lose, put, put_back
        self._events = events

    def on(
        self, call: Call, results: Sequence[ProcessingResult], now: float, outcomes: list[str]
    ) -> int:
        """Judge a call; the longest time, in seconds, for which one of its messages is hidden.

        How each ended is added to ``outcomes`` one by one: what was judged before something went
        wrong has been handed on.
        """
        hidden = 0
        for message, job_name, result in zip(call.messages, call.job_names, results, strict=True):
            outcome, seconds = self._one(call, message, job_name, result, now)
            outcomes.append(outcome)
            hidden = max(hidden, seconds)
        return hidden

    def _one(
        self,
        call: Call,
        message: Message,
        job_name: str | None,
        result: ProcessingResult,
        now: float,
    ) -> tuple[str, int]:
        lane, seconds = call.lane, now - call.started_at
        is_registered = lane.has_job(job_name)
        event: Event
        if message.lease.expires_at <= now:
            self._lose(lane, message, "the visibility timeout ended before the job did")
        if message.lease.is_lost:
            self._events.publish(
                JobDropped(message, job_name, seconds, is_registered=is_registered)
            )
            return "dropped", 0
        if result.success:
            self._events.publish(JobDone(message, job_name, seconds, is_registered=is_registered))
            self._put(lane, message, None)
            return "done", 0
        if isinstance(result.error, JobNotStarted):
            hidden = within_limit(message, UNSTARTED_SECONDS, now)
            self._put_back(lane, [message], hidden, False)
            if lane.is_last_receive(message):
                self._events.publish(JobUnrun(message, job_name, lane.dead_letter_queue))
            return "released", hidden
        hidden, dead = lane.hidden_seconds(message, result, now), lane.next_queue(message)
        if result.error is None:
            outcome = "retried"
            policy = None if result.backoff_policy is None else _shown(result.backoff_policy)
            event = JobRetry(
                *(message, job_name, seconds, hidden, dead, policy), is_registered=is_registered
            )
        elif isinstance(result.error, TaskNotFound):
            outcome = "unknown"
            event = JobUnknown(message, job_name, result.error, hidden, is_registered=False)
        else:
            outcome = "failed"
            event = JobFailed(
                *(message, job_name, seconds, result.error, hidden, dead),
                is_registered=is_registered,
            )
        self._events.publish(event)
        self._put(lane, message, hidden)
        return outcome, hidden


def _shown(policy: Backoff) -> str:
    try:
        return repr(policy)[:_POLICY_LENGTH]
    except Exception:  # noqa: BLE001  # a foreign policy can raise anything
        return type(policy).__name__
