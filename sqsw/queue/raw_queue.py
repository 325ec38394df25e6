"""A raw queue: one function for all messages."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqsw.codecs.envelope import raw_entry
from sqsw.core.arguments import check_function, place_of
from sqsw.core.errors import TaskAlreadyRegistered, TaskNotFound
from sqsw.core.jobs.awaitables import is_coroutine_function
from sqsw.core.jobs.current_job import CurrentJob, RunsIn
from sqsw.core.jobs.job_key import JobKey
from sqsw.core.jobs.job_list import JobList
from sqsw.core.message import Message
from sqsw.core.results import ProcessingResult
from sqsw.processors import Opened, OpenJob, limited, run_job, run_job_async
from sqsw.queue.generic import GenericQueue

RawProcessor = Callable[..., Any]


class RawQueue(GenericQueue):
    """A queue of messages from other senders, such as EventBridge or S3. They are not decoded."""

    def __init__(self, *args: Any, processor: RawProcessor | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if processor is not None:
            check_function(processor)
        self.processor = processor
        self.source = self.env.registration_source

    def raw_processor(self) -> Callable[[RawProcessor], RawProcessor]:
        """Run the decorated function for every message. Its argument is the message.

        Raises
        ------
        TaskAlreadyRegistered
            The queue already has another function.
        """

        def register(fn: RawProcessor) -> RawProcessor:
            if self.processor is not None and place_of(self.processor) != place_of(fn):
                raise TaskAlreadyRegistered(
                    f"the raw queue {self.name!r} has two processors",
                    why=f"{place_of(self.processor)} ({self.source}) "
                    f"and {place_of(fn)} ({self.env.registration_source})",
                    next="a raw queue has one function for all messages: remove one",
                )
            return self.connect_raw_processor(fn)

        return register

    def connect_raw_processor(self, processor: RawProcessor) -> RawProcessor:
        """Run ``processor`` for every message. It replaces the function that ran before.

        Raises
        ------
        TypeError
            It is not callable, or is a generator function.
        """
        check_function(processor)
        self.processor = processor
        self.source = self.env.registration_source
        return processor

    def add_raw_job(
        self,
        message_body: str,
        delay_seconds: float | timedelta = 0,
        deduplication_id: str | None = None,
        group_id: str | None = None,
        job_id: str | None = None,
        run_at: datetime | None = None,
    ) -> str:
        """Send a body without encoding it.

        Parameters
        ----------
        delay_seconds :
            Seconds until the message can be received, or a timedelta. SQS delays a message of a
            standard queue by 0 to 900 seconds. Longer delays, up to 366 days, and all delays on
            FIFO queues need ``SQSEnv(parking=…)``.
        deduplication_id, group_id :
            The deduplication ID and the message group; for FIFO queues, where the group defaults to
            ``default``.
        job_id :
            The job id, 1 to 128 printable ASCII characters without spaces; None makes a new one.
        run_at :
            When the message can be received: a datetime with a time zone, instead of a delay. A
            time in the past means now.

        Returns
        -------
        str
            The message ID.

        Raises
        ------
        MessageRefused
            SQS would refuse the message, the delay is too long, or ``run_at`` has no time zone.
        TypeError
            Both ``delay_seconds`` and ``run_at`` are given.
        """
        entry = raw_entry(message_body, deduplication_id=deduplication_id, group_id=group_id)
        due = self._delay(entry, delay_seconds or None, run_at)
        self._complete(entry, None, job_id, due)
        return self._send(entry, due)

    def look_up(self, message: Message) -> JobKey:
        processor = self.processor
        is_async = processor is not None and is_coroutine_function(processor)
        return JobKey(None, "loop" if is_async else "thread")

    def process_message(self, message: Message) -> ProcessingResult | bool:
        return run_job(self._open([message]), limited(None, self.middlewares))

    async def process_message_async(self, message: Message) -> ProcessingResult | bool:
        return await run_job_async(self._open([message]), limited(None, self.middlewares))

    def process_messages(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        jobs = JobList(messages)
        return jobs.results(run_job(self._open(messages, jobs), limited(None, self.middlewares)))

    async def process_messages_async(self, messages: Sequence[Message]) -> list[ProcessingResult]:
        jobs = JobList(messages)
        return jobs.results(
            await run_job_async(self._open(messages, jobs), limited(None, self.middlewares))
        )

    def _open(self, messages: Sequence[Message], jobs: JobList | None = None) -> OpenJob:
        def open_job(runs_in: RunsIn) -> Opened:
            if self.processor is None:
                raise TaskNotFound(
                    f"the raw queue {self.name!r} has no processor",
                    next="register one with @queue.raw_processor()",
                )
            running = CurrentJob(tuple(messages), None, {}, runs_in)
            if jobs is None:
                return running, partial(self.processor, messages[0])
            return running, jobs.noting(partial(self.processor, list(messages)))

        return open_job
