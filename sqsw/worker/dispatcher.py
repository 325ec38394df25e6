"""The dispatcher: starts runs in free slots, and decides what happens after they end.

1. accept    (put the messages of a receive into the register)
2. start     (every run that gets a slot, in its executor)
3. judge     (how each job ended: publish an event, and delete, return or dead-letter the message)
4. follow    (return the next run for the slot)

It has no thread of its own, and no state about messages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.contracts import Backoff, Clock
from sqsw.core.dead_record import Verdict
from sqsw.core.errors import (
    ContentTypeRefused,
    DecodeError,
    JobNotStarted,
    ProcessKilled,
    TaskNotFound,
)
from sqsw.core.events import (
    EventBus,
    JobDone,
    JobDropped,
    JobFailed,
    JobKilledProcess,
    JobRetry,
    JobStarted,
    JobUnknown,
    JobUnrun,
    LeaseLost,
    MessageReceived,
    TickSkipped,
)
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_VISIBILITY_TIMEOUT_SECONDS
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.core.safe_logger import SafeLogger
from sqsw.worker.crash_notes import Orphan
from sqsw.worker.dead_letters import DeadLetters
from sqsw.worker.delivery import Delivery, JobRun, Outcome, tell_unrun
from sqsw.worker.executors.base import Executor
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane, within_limit
from sqsw.worker.parked_retries import ParkedRetries
from sqsw.worker.post_mortem import explain

logger = SafeLogger(__name__)

#: seconds that a message stays hidden if its job could not be started, so another worker gets it
UNSTARTED_SECONDS = 5

#: seconds that a message stays hidden if the dispatcher failed to judge its job
_UNJUDGED_SECONDS = 30

#: the most characters of a backoff policy in an event
_POLICY_LENGTH = 300


class JobPolicy(Protocol):
    """Takes the results of every run, before the next run gets its slot."""

    def hears_ends(self, lane: Lane) -> bool: ...
    def ended(
        self, run: JobRun, result: BatchProcessingResult, unstarted: JobNotStarted | None
    ) -> None: ...


class Dispatcher:
    """Starts runs, and judges them after they end.

    Parameters
    ----------
    executors :
        Run the jobs, by the kind of executor that a job wants.
    policies :
        Takes the results of every run.
    dead_letters :
        Tells whether messages of jobs that are given up can be sent to a dead-letter queue.
    parked_retries :
        Decides whether jobs that wait longer than twelve hours can be parked.
    """

    def __init__(
        self,
        in_flight: InFlight,
        executors: Mapping[RunsIn, Executor],
        policies: JobPolicy,
        dead_letters: DeadLetters,
        parked_retries: ParkedRetries,
        events: EventBus,
        clock: Clock = lease_time,
    ) -> None:
        self._in_flight = in_flight
        self._executors = executors
        self._policies = policies
        self._dead_letters = dead_letters
        self._parked_retries = parked_retries
        self._events = events
        self._clock = clock

    # Duties 1 and 2.

    def accept(self, lane: Lane, messages: Sequence[Message], more: bool = False) -> None:
        """Take in the messages of a receive, and start what has a slot.

        Parameters
        ----------
        more :
            Whether another receive for the same list follows at once.
        """
        if self._events.wants(MessageReceived):
            for message in messages:
                self._events.publish(MessageReceived(message))
        runs = [_run_of(lane, each) for each in messages]
        self._in_flight.isolation.suspects.refresh()
        if lane.name in self._in_flight.isolation.suspects.queues:
            for run in runs:
                self._suspect(run)
        returned = self._in_flight.take_in(lane, runs, more)
        if returned:
            tell_unrun(self._events, returned)
        self.start_ready()

    def _suspect(self, run: JobRun) -> None:
        """Have a run start alone if it is a suspect, or if it could not survive another one."""
        lane, (delivery,) = run.lane, run.deliveries
        message = delivery.message
        known = self._in_flight.isolation.suspects.find(lane.name, message.message_id)
        if known is not None and known.is_proven:
            result = _killed(delivery, known.exit_code, known.memory_bytes)
            if lane.is_last_attempt(message, result):
                run.ends_by = result
                return
        if known is not None or lane.is_last_receive(message):
            _run_alone(run)

    def take_over(self, lane: Lane, orphans: Sequence[Orphan]) -> None:
        """Go on with messages whose leases were taken over.

        What ran alone in the process that died is given up. What ran with others runs alone.
        """
        runs: list[JobRun] = []
        for message, has_run, is_suspect, is_killer, exit_code, memory_bytes in orphans:
            is_retry = has_run and not is_killer
            run = _run_of(lane, replace(message, tries=message.tries + is_retry))
            if is_killer:
                run.ends_by = _killed(run.deliveries[0], exit_code, memory_bytes)
            elif is_suspect:
                _run_alone(run)
            runs.append(run)
        tell_unrun(self._events, self._in_flight.take_in(lane, runs))
        self.start_ready()

    def start_ready(self) -> None:
        """Start the runs that get a slot now."""
        self._launch(self._in_flight.start_next())

    def start_due(self) -> None:
        """Do the same, after lists that have waited long enough joined the ready runs."""
        self._launch(self._in_flight.start_due())

    def start_retries(self) -> None:
        """Do the same, after failed runs whose next attempt is due joined the ready runs."""
        self._launch(self._in_flight.start_retries())

    def _launch(self, runs: Sequence[JobRun]) -> None:
        while runs:
            by_executor: dict[RunsIn, list[JobRun]] = {}
            announces = self._events.wants(JobStarted)
            following: list[JobRun | None] = []
            for run in runs:
                if run.ends_by is not None:
                    following.append(self._end(run, [run.ends_by]))
                    continue
                if announces:
                    self._announce(run)
                by_executor.setdefault(run.runs_in, []).append(run)
            # Runs that get the slots of those that could not start. They may fail to start, too.
            for kind, group in by_executor.items():
                following += self._submit(kind, group)
            runs = [run for run in following if run is not None]

    def _submit(self, kind: RunsIn, runs: Sequence[JobRun]) -> list[JobRun]:
        """Pass runs to their executor; if it fails, return the runs that get their slots."""
        try:
            self._executors[kind].submit(runs, self.done)
        except Exception as error:  # noqa: BLE001  # these jobs have not started, whatever the error
            followers = [self._end(run, run.not_started(error)) for run in runs]
            return [following for following in followers if following is not None]
        return []

    def _announce(self, run: JobRun) -> None:
        for each in run.deliveries:
            job = each.job
            self._events.publish(
                JobStarted(each.message, job.name, is_registered=job.is_registered)
            )

    # Duties 3 and 4.

    def done(self, run: JobRun, results: list[ProcessingResult]) -> JobRun | None:
        """Judge a run that ended; return the next run for its slot.

        Returns
        -------
        JobRun | None
            A run for the same executor. None if no run gets the slot, or if the run that gets it
            has been passed to another executor.
        """
        following = self._end(run, results)
        if following is None:
            return None
        if following.runs_in == run.runs_in and following.ends_by is None:
            if self._events.wants(JobStarted):
                self._announce(following)
            return following
        self._launch([following])
        return None

    def _end(self, run: JobRun, results: list[ProcessingResult]) -> JobRun | None:
        """Judge each job of a run, report it, and settle it; return the next run for the slot."""
        if not self._in_flight.claim(run):
            return None  # its messages were returned at the end of a drain
        now = self._clock()
        outcomes: list[Outcome] = []
        try:
            for delivery, result in zip(run.deliveries, results, strict=True):
                outcomes.append(self._outcome(run, delivery, result, now))
            if outcomes != _ALL_DONE or self._policies.hears_ends(run.lane):
                self._tell_policies(run, outcomes, results)
        except KeyboardInterrupt:
            raise
        except BaseException:  # after any error, the slot must go to the next run
            logger.exception("the end of a job of %s failed", run.lane.name)
        finally:
            missing = len(run.deliveries) - len(outcomes)
            outcomes += [Outcome("failed", _UNJUDGED_SECONDS)] * missing
            following, returned = self._in_flight.finish(run, outcomes, now - run.started_at)
        if returned:
            tell_unrun(self._events, returned)
        return following

    def _tell_policies(
        self, run: JobRun, outcomes: Sequence[Outcome], results: Sequence[ProcessingResult]
    ) -> None:
        ended = BatchProcessingResult(run.lane.name)
        unstarted: JobNotStarted | None = None
        for delivery, outcome, result in zip(run.deliveries, outcomes, results, strict=True):
            if result.error is not None:
                ended.errors.append(result.error)
            if outcome.name == "done":
                ended.succeeded.append(delivery.message)
            elif outcome.name != "released":
                ended.failed.append(delivery.message)
            elif isinstance(result.error, JobNotStarted):
                unstarted = result.error
        self._policies.ended(run, ended, unstarted)

    def _outcome(
        self, run: JobRun, delivery: Delivery, result: ProcessingResult, now: float
    ) -> Outcome:
        """Decide how one job ended, and publish its event."""
        lane, message, seconds = run.lane, delivery.message, now - run.started_at
        job_name, is_registered = delivery.job.name, delivery.job.is_registered
        if message.lease.expires_at <= now:
            self.lose(delivery, "the visibility timeout ended before the job did")
        if message.lease.is_lost:
            self._events.publish(
                JobDropped(message, job_name, seconds, is_registered=is_registered)
            )
            return Outcome("dropped", 0)
        if result.skipped:
            self._events.publish(TickSkipped(message))
            return _DONE
        if result.success:
            if self._events.wants(JobDone):
                event = JobDone(message, job_name, seconds, is_registered=is_registered)
                self._events.publish(event)
            return _DONE
        if isinstance(result.error, JobNotStarted):
            if lane.is_last_receive(message):
                self._events.publish(JobUnrun(message, job_name, lane.dead_letter_queue))
            return Outcome("released", within_limit(message, UNSTARTED_SECONDS, now))
        if isinstance(result.error, ProcessKilled) and run.ends_by is None:
            self._events.publish(
                JobKilledProcess(
                    *(message, job_name, result.error.exit_code, result.error.memory_bytes),
                    len(run.deliveries),
                    is_registered=is_registered,
                )
            )
        return self._failure(lane, delivery, result, seconds, now)

    def _failure(
        self, lane: Lane, delivery: Delivery, result: ProcessingResult, seconds: float, now: float
    ) -> Outcome:
        """Decide what follows a failed attempt, and publish its event.

        It is one of: a dead letter, the next attempt in this worker, the parking place, or a return
        to SQS, which delivers the message again or, after its last receive, moves it.
        """
        message, job_name = delivery.message, delivery.job.name
        is_registered = delivery.job.is_registered
        verdict = _verdict(lane, message, result)
        backoff, next_queue = lane.backoff_seconds(message, result), lane.next_queue(message)
        hidden = wait = within_limit(message, backoff, now)
        record, in_place, park_until = None, False, None
        explains = self._dead_letters.takes(lane)
        if verdict is not None and explains:
            next_queue = lane.dead_letter_queue
            record = explain(
                message,
                result.error,
                verdict=verdict,
                job_name=job_name,
                with_text=lane.rules.explain_text is not False,
            )
        elif verdict is not None and lane.dead_letter_queue is None:
            # It cannot be sent anywhere and must not be deleted, so it hides as long as it can.
            hidden = wait = within_limit(message, MAX_VISIBILITY_TIMEOUT_SECONDS, now)
        elif (
            verdict is None
            and backoff > MAX_VISIBILITY_TIMEOUT_SECONDS
            and self._parked_retries.takes(lane, backoff)
        ):
            wait, park_until = backoff, lane.wall_clock() + backoff
        else:
            in_place = explains and 0 < lane.retry_in_place >= hidden
            if next_queue is None:
                verdict = None  # SQS moves messages only after their last receive
        if result.error is None:
            policy = None if result.backoff_policy is None else _shown(result.backoff_policy)
            self._events.publish(
                JobRetry(
                    *(message, job_name, seconds, wait, next_queue, policy, verdict),
                    is_registered=is_registered,
                )
            )
            return Outcome("retried", hidden, record, in_place, park_until)
        if isinstance(result.error, TaskNotFound):
            self._events.publish(
                JobUnknown(message, job_name, result.error, wait, is_registered=False)
            )
            return Outcome("unknown", hidden, record, in_place, park_until)
        self._events.publish(
            JobFailed(
                *(message, job_name, seconds, result.error, wait, next_queue, verdict),
                is_registered=is_registered,
            )
        )
        return Outcome("failed", hidden, record, in_place, park_until)

    # Called by other roles.

    def lose(self, delivery: Delivery, reason: str) -> None:
        """Note that a lease has ended: tell the job, publish it, and return the rest of its group.

        If all leases of a run are lost, cancel the run.
        """
        run = delivery.run
        is_new, returned = self._in_flight.lose(delivery)
        if not is_new:
            return
        error = self._in_flight.extension_error(run.lane)
        if error is not None:
            reason += f"; the last extension failed: {error}"
        self._events.publish(LeaseLost(delivery.message, reason))
        tell_unrun(self._events, returned)
        if delivery in run.deliveries and all(each.state == "lost" for each in run.deliveries):
            self._executors[run.runs_in].cancel(run)
        self.start_ready()

    def close(self, lanes: Sequence[Lane]) -> None:
        """Return the messages of these lanes that have not started, also those that arrive later.

        Messages on their last receive stay and run.
        """
        for lane in lanes:
            tell_unrun(self._events, self._in_flight.close(lane))
        self.start_ready()

    def release(self, lane: Lane) -> None:
        """Return the messages of a lane that have not started."""
        tell_unrun(self._events, self._in_flight.release(lane))

    def abandon(self) -> int:
        """Return all messages to SQS, also those whose jobs run; their results no longer count.

        Returns
        -------
        int
            The number of messages whose jobs still ran.
        """
        count, returned = self._in_flight.abandon()
        tell_unrun(self._events, returned)
        return count


_DONE = Outcome("done", None)
_ALL_DONE = [_DONE]


def _run_of(lane: Lane, message: Message) -> JobRun:
    try:
        job = lane.queue.look_up(message)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a strange message must not stop the receives; its job reports the error
        logger.exception("cannot look up the job of message %s", message.message_id)
        job = JobKey(None)
    run = JobRun(lane, [], job.runs_in)
    run.deliveries.append(Delivery(message, run, job))
    if lane.is_fifo:
        run.group = message.group_id
    elif lane.share.group_slots is not None:
        run.fair_group = message.group_id
    return run


def _run_alone(run: JobRun) -> None:
    run.runs_alone = True
    run.fair_group = None  # alone, it needs no limit


def _killed(
    delivery: Delivery, exit_code: int | None, memory_bytes: int | None
) -> ProcessingResult:
    """Return the result of a job that ended its process."""
    error = ProcessKilled.of(exit_code, memory_bytes)
    return ProcessingResult(False, error=error, max_attempts=delivery.job.max_attempts)


def _verdict(lane: Lane, message: Message, result: ProcessingResult) -> Verdict | None:
    """Return why a failed job is not tried again; None if it is."""
    if lane.gives_up(result):
        return "gave_up"
    if not lane.is_last_attempt(message, result):
        return None
    if isinstance(result.error, ProcessKilled):
        return "killed_process"
    unreadable = isinstance(result.error, DecodeError | ContentTypeRefused)
    return "unreadable" if unreadable else "last_attempt"


def _shown(policy: Backoff) -> str:
    try:
        return repr(policy)[:_POLICY_LENGTH]
    except Exception:  # noqa: BLE001  # an application's policy can raise anything
        return type(policy).__name__
