"""Runs, groups of messages, and a worker whose jobs end when a test says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqsw.core.errors import JobNotStarted
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult
from sqsw.core.settings import WorkerSettings
from sqsw.worker.delivery import Delivery, JobRun
from sqsw.worker.executors.base import Executor, OnDone
from sqsw.worker.lane import Lane
from sqsw.worker.signals import SignalInbox
from sqsw.worker.wiring import make_roles
from tests.unit.worker.doubles import ManualClock, lane, message, recorder


def bodies(messages: Sequence[Message]) -> list[str]:
    return [message.body for message in messages]


def fifo(**fields: Any) -> Lane:
    return lane("orders.fifo", **fields)


def group(name: str, count: int, **fields: Any) -> list[Message]:
    """Return messages g1, g2, … of group g."""
    return [message(f"{name}{n}", group=name, **fields) for n in range(1, count + 1)]


def run_of(
    of: Lane,
    sent: Message | str = "",
    *,
    runs_in: RunsIn = "thread",
    job_name: str | None = "send",
) -> JobRun:
    """Return a run of one message, as the dispatcher creates it."""
    if isinstance(sent, str):
        sent = message(sent)
    run = JobRun(of, [], runs_in)
    run.deliveries.append(Delivery(sent, run, JobKey(job_name)))
    if of.is_fifo:
        run.group = sent.group_id
    elif of.share.group_slots is not None:
        run.fair_group = sent.group_id
    return run


def bodies_of(run: JobRun) -> list[str]:
    return [each.message.body for each in run.deliveries]


def names_of(runs: Sequence[JobRun]) -> list[list[str]]:
    """Return the message bodies of each run."""
    return [bodies_of(run) for run in runs]


class HeldExecutor:
    """An executor that runs nothing: a test ends its runs."""

    def __init__(self) -> None:
        self.runs: list[JobRun] = []
        self.cancelled: list[JobRun] = []
        self.error: Exception | None = None

    def start(self) -> None: ...
    def stop(self, deadline: float) -> None: ...
    def check(self) -> None: ...

    def submit(self, runs: Sequence[JobRun], on_done: OnDone) -> None:
        if self.error is not None:
            raise self.error
        self.runs += runs

    def cancel(self, run: JobRun) -> None:
        self.cancelled.append(run)


class Kit:
    """The roles of a worker without their threads. SQS is a list for each lane.

    Parameters
    ----------
    executors :
        The executor for each kind of run. Default: the test ends each run.
    """

    def __init__(
        self,
        *lanes: Lane,
        slots: int = 8,
        executors: Mapping[RunsIn, Executor] | None = None,
    ) -> None:
        self.lanes = lanes or (lane(),)
        self.lane = self.lanes[0]
        self.client: Any = self.lane.client
        self.clock = ManualClock()
        self.events, self.told = recorder()
        self.threads, self.loop = HeldExecutor(), HeldExecutor()
        held: dict[RunsIn, Any] = {"thread": self.threads, "loop": self.loop}
        roles = make_roles(
            self.lanes,
            WorkerSettings(concurrency=slots, prefetch=0),
            self.events,
            SignalInbox(),
            held if executors is None else executors,
            self.clock,
        )
        self.in_flight, self.policies, self.dispatcher = roles[:3]
        self.poller = roles.pollers[0]
        self.acknowledger, self.heartbeat = roles.acknowledger, roles.heartbeat

    def accept(self, *messages: Message, lane: Lane | None = None, more: bool = False) -> None:
        self.dispatcher.accept(lane or self.lane, messages, more)

    def running(self) -> list[str]:
        return [body for run in self.in_flight.running() for body in bodies_of(run)]

    def run(self, body: str) -> JobRun:
        """Return the run of this message."""
        runs = self.in_flight.running() + self.threads.runs + self.loop.runs
        return next(run for run in runs if body in bodies_of(run))

    def end(self, body: str, *results: ProcessingResult) -> list[str] | None:
        """End the run of this message. Return the messages that its executor runs next."""
        run = self.run(body)
        done = list(results) or [SUCCEEDED] * len(run.deliveries)
        following = self.dispatcher.done(run, done)
        return None if following is None else bodies_of(following)

    def lose(self, sent: Message, reason: str = "over") -> None:
        """Report the lease of a message in hand as ended."""
        self.dispatcher.lose(self.in_flight._deliveries[sent.receipt_handle], reason)

    def tell_sqs(self) -> None:
        """Send the due settlements, and start the runs that this unblocks."""
        self.acknowledger.flush()

    def returned(self) -> list[tuple[str, int]]:
        """Return the messages that were returned, and for how many seconds they stay hidden."""
        self.tell_sqs()
        return [change for call in self.client.changes for change in call]

    def deleted(self) -> list[str]:
        self.tell_sqs()
        return [body for call in self.client.deletes for body in call]

    def counts(self) -> dict[str, int]:
        return {name: number for name, number in self.in_flight.counts().items() if number}

    def parked(self) -> int:
        return self.in_flight._states[self.lane.name].parked

    def slots_taken(self) -> int:
        return sum(pool.running for pool in self.in_flight._pools)

    def credit(self, want: int = 10) -> int:
        """Return how many messages the lane can ask for now."""
        poll = self.in_flight.take_credit(self.lane, want, 0)
        if poll is None:
            return 0
        self.in_flight.give_back_credit(poll)
        return poll.credit


def not_started(why: str = "no thread") -> ProcessingResult:
    """Return the result of a job that could not start."""
    return ProcessingResult(False, error=JobNotStarted.of(RuntimeError(why)))
