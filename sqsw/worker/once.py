"""Processes one batch in the calling thread, for tests and cron jobs.

1. receive    (up to ten messages, or one list)
2. run        (one job after another; a failed message that comes back stops its group)
3. settle     (once a second and at the end; on a FIFO queue, before the next message of a group)

It uses the roles of a worker, and no threads except the heartbeat, which keeps the other leases
alive while a slow job runs.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqsw.core.batch_result import BatchProcessingResult
from sqsw.core.errors import JobNotStarted
from sqsw.core.events import EventBus, ReceiveDone
from sqsw.core.jobs.awaitables import OwnLoop, shared_loop
from sqsw.core.jobs.current_job import RunsIn
from sqsw.core.jobs.runtime import job_runtime
from sqsw.core.lease_clock import lease_time
from sqsw.core.limits import MAX_BATCH_ENTRIES
from sqsw.core.message import Message
from sqsw.core.settings import WorkerSettings
from sqsw.worker.acknowledger import Acknowledger
from sqsw.worker.dead_letters import DeadLetters
from sqsw.worker.delivery import JobRun
from sqsw.worker.dispatcher import Dispatcher
from sqsw.worker.executors.base import Executor
from sqsw.worker.executors.inline import InlineExecutor
from sqsw.worker.heartbeat import Heartbeat
from sqsw.worker.in_flight import InFlight
from sqsw.worker.lane import Lane, receive
from sqsw.worker.late_start import late_starts
from sqsw.worker.latency import NetworkLatency
from sqsw.worker.parked_retries import ParkedRetries

#: seconds for which failed SQS calls are repeated at the end of a batch
_LAST_CALLS_SECONDS = 10.0

#: seconds of a lease that is long enough to start the heartbeat late
_LONG_LEASE_SECONDS = 10

#: seconds between two flushes while the batch runs: if this process is killed, only the jobs of the
#: last second run again
_FLUSH_SECONDS = 1.0


def process_once(
    lane: Lane, wait_seconds: float = 0, events: EventBus | None = None
) -> BatchProcessingResult:
    """Receive once, run the jobs one after another, and delete or return their messages.

    Parameters
    ----------
    wait_seconds :
        How long the receive can wait for a message, 0 to 20 seconds.
    events :
        Gets an event for everything that happens; None: nothing listens.

    Returns
    -------
    BatchProcessingResult
        The messages of jobs that succeeded and of jobs that failed, and the errors.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C. The messages in hand have been returned.
    """
    with shared_loop() as loop:
        return _Batch(lane, events or EventBus(), loop).run(wait_seconds)


class _Batch:
    """The roles of one batch. It stands in for the policies, to collect the results."""

    def __init__(self, lane: Lane, events: EventBus, loop: OwnLoop) -> None:
        share = replace(lane.share, slots=None)
        self._lane = lane = replace(lane, max_wait_seconds=0.0, share=share, retry_in_place=0.0)
        self._events = events
        self._result = BatchProcessingResult(lane.name)
        self._flushed_at = lease_time()
        self._loop = loop
        latency = NetworkLatency()
        self._in_flight = InFlight([lane], _ONE_SLOT)
        inline = InlineExecutor(between=self._flush_in_between)
        executors: dict[RunsIn, Executor] = {
            "thread": inline,
            "loop": InlineExecutor(self._loop, self._flush_in_between),
            "process": inline,
        }
        copies = DeadLetters(events), ParkedRetries(events)
        self._dispatcher = Dispatcher(self._in_flight, executors, self, *copies, events)
        self._acknowledger = Acknowledger(
            *(self._in_flight, self._dispatcher, self, *copies, latency, events)
        )
        self._heartbeat = Heartbeat([lane], self._in_flight, self._dispatcher, events)

    def run(self, wait_seconds: float) -> BatchProcessingResult:
        token = job_runtime.set(replace(job_runtime.get(), run_awaitable=self._loop.run))
        try:
            size = self._lane.batch_size
            wanted = size if size > 1 else MAX_BATCH_ENTRIES
            count = 0
            for messages, more in receive(self._lane, wanted, wait_seconds):
                count += len(messages)
                if not more:
                    self._events.publish(ReceiveDone(self._lane.name, count))
                if count:
                    self._start_heartbeat(messages)
                    self._dispatcher.accept(self._lane, messages, more)
            self._flush()
        except BaseException:
            self._dispatcher.abandon()
            self._flush()
            raise
        finally:
            job_runtime.reset(token)
            late_starts().cancel(self._heartbeat)
            self._heartbeat.stop(lease_time() + _LAST_CALLS_SECONDS)
        try:
            return self._result
        finally:
            del self._result  # the traceback of a failed job refers to this frame

    def _start_heartbeat(self, messages: Sequence[Message]) -> None:
        """Start the heartbeat; late if no lease can be half over within the next two seconds."""
        lease, now = self._lane.visibility_timeout, lease_time()
        if lease >= _LONG_LEASE_SECONDS and all(
            message.lease.expires_at - now > lease * 0.8 for message in messages
        ):
            late_starts().add(self._heartbeat, self._heartbeat.start)
        else:
            late_starts().cancel(self._heartbeat)
            self._heartbeat.start()

    def _flush(self) -> None:
        # On a FIFO queue, each delete opens its group, so more jobs run inside this call.
        self._acknowledger.flush(lease_time() + _LAST_CALLS_SECONDS)

    def _flush_in_between(self) -> None:
        now = lease_time()
        if now - self._flushed_at >= _FLUSH_SECONDS:
            self._flushed_at = now
            self._acknowledger.flush()

    def hears_ends(self, lane: Lane) -> bool:
        """Return True: every run counts in the result of the batch."""
        return True

    def ended(
        self, run: JobRun, result: BatchProcessingResult, unstarted: JobNotStarted | None
    ) -> None:
        """Collect the errors of a run."""
        self._result.errors += result.errors

    def settled(self, lane: Lane, result: BatchProcessingResult) -> None:
        """Collect the messages that were settled."""
        self._result.update(result.succeeded, success=True)
        self._result.update(result.failed, success=False)


_ONE_SLOT = WorkerSettings(concurrency=1, prefetch=0, ack_linger_seconds=0)
