"""The queue classes of the user, with the names that sqs-workers had here."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsw.core.errors import SQSBatchError as SQSBatchError
    from sqsw.queue.generic import GenericQueue as GenericQueue
    from sqsw.queue.job_queue import JobQueue as JobQueue
    from sqsw.queue.raw_queue import RawQueue as RawQueue
else:
    from sqsw.core.lazy_face import lazy_face

    _HOMES = {
        "GenericQueue": "sqsw.queue.generic",
        "JobQueue": "sqsw.queue.job_queue",
        "RawQueue": "sqsw.queue.raw_queue",
        "SQSBatchError": "sqsw.core.errors",
    }

    __getattr__ = lazy_face(__name__, _HOMES)
