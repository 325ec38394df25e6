"""Jobs on Amazon SQS: send them, run them, look after their queues.

The names here are the public ones. Each is loaded when it is asked for, so that ``import sqsw``
costs next to nothing and needs neither credentials nor a network.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsw.backoff_policies import DEFAULT_BACKOFF as DEFAULT_BACKOFF
    from sqsw.backoff_policies import IMMEDIATE_RETURN as IMMEDIATE_RETURN
    from sqsw.backoff_policies import ConstantBackoff as ConstantBackoff
    from sqsw.backoff_policies import Delays as Delays
    from sqsw.backoff_policies import ExponentialBackoff as ExponentialBackoff
    from sqsw.batching import BatchMessages as BatchMessages
    from sqsw.batching import NoBatching as NoBatching
    from sqsw.context import current_job as current_job
    from sqsw.core.errors import SQSError as SQSError
    from sqsw.core.message import Message as Message
    from sqsw.core.results import FailedJobs as FailedJobs
    from sqsw.core.results import GiveUp as GiveUp
    from sqsw.core.results import ProcessingResult as ProcessingResult
    from sqsw.core.results import RetryJob as RetryJob
    from sqsw.core.settings import WorkerSettings as WorkerSettings
    from sqsw.deadletter_queue import DeadLetterQueue as DeadLetterQueue
    from sqsw.memory_sqs import LocalSession as LocalSession
    from sqsw.memory_sqs import MemorySession as MemorySession
    from sqsw.queue.job_queue import JobQueue as JobQueue
    from sqsw.queue.raw_queue import RawQueue as RawQueue
    from sqsw.registry import TaskRegistry as TaskRegistry
    from sqsw.shutdown_policies import AndShutdown as AndShutdown
    from sqsw.shutdown_policies import IdleShutdown as IdleShutdown
    from sqsw.shutdown_policies import MaxTasksShutdown as MaxTasksShutdown
    from sqsw.shutdown_policies import NeverShutdown as NeverShutdown
    from sqsw.shutdown_policies import OrShutdown as OrShutdown
    from sqsw.sqs_env import SQSEnv as SQSEnv
    from sqsw.sqs_manage.create import create_fifo_queue as create_fifo_queue
    from sqsw.sqs_manage.create import create_parking_queue as create_parking_queue
    from sqsw.sqs_manage.create import create_standard_queue as create_standard_queue
    from sqsw.sqs_manage.describe import describe_queue as describe_queue
    from sqsw.sqs_manage.redrive import redrive as redrive
    from sqsw.sqs_manage.remove import delete_queue as delete_queue
    from sqsw.sqs_manage.remove import purge_queue as purge_queue

    __version__: str
else:
    from sqsw.core.lazy_face import lazy_face

    _HOMES = {
        "AndShutdown": "sqsw.shutdown_policies",
        "BatchMessages": "sqsw.batching",
        "ConstantBackoff": "sqsw.backoff_policies",
        "DEFAULT_BACKOFF": "sqsw.backoff_policies",
        "DeadLetterQueue": "sqsw.deadletter_queue",
        "Delays": "sqsw.backoff_policies",
        "ExponentialBackoff": "sqsw.backoff_policies",
        "FailedJobs": "sqsw.core.results",
        "GiveUp": "sqsw.core.results",
        "IMMEDIATE_RETURN": "sqsw.backoff_policies",
        "IdleShutdown": "sqsw.shutdown_policies",
        "JobQueue": "sqsw.queue.job_queue",
        "LocalSession": "sqsw.memory_sqs",
        "MaxTasksShutdown": "sqsw.shutdown_policies",
        "MemorySession": "sqsw.memory_sqs",
        "Message": "sqsw.core.message",
        "NeverShutdown": "sqsw.shutdown_policies",
        "NoBatching": "sqsw.batching",
        "OrShutdown": "sqsw.shutdown_policies",
        "ProcessingResult": "sqsw.core.results",
        "RawQueue": "sqsw.queue.raw_queue",
        "RetryJob": "sqsw.core.results",
        "SQSEnv": "sqsw.sqs_env",
        "SQSError": "sqsw.core.errors",
        "TaskRegistry": "sqsw.registry",
        "WorkerSettings": "sqsw.core.settings",
        "create_fifo_queue": "sqsw.sqs_manage.create",
        "create_parking_queue": "sqsw.sqs_manage.create",
        "create_standard_queue": "sqsw.sqs_manage.create",
        "current_job": "sqsw.context",
        "delete_queue": "sqsw.sqs_manage.remove",
        "describe_queue": "sqsw.sqs_manage.describe",
        "purge_queue": "sqsw.sqs_manage.remove",
        "redrive": "sqsw.sqs_manage.redrive",
    }
    __all__ = list(_HOMES)
    _load = lazy_face(__name__, _HOMES)

    def __getattr__(name):
        if name == "__version__":
            from sqsw.core.version import VERSION

            return VERSION
        value = globals()[name] = _load(name)
        return value

    def __dir__():
        return [*globals(), *_HOMES]
