"""The public modules export typed names, and no others."""

from typing import assert_type

import sqsw
import sqsw.codecs
import sqsw.core
import sqsw.queue
from sqsw import (
    DEFAULT_BACKOFF,
    IMMEDIATE_RETURN,
    AndShutdown,
    BatchMessages,
    ConstantBackoff,
    ExponentialBackoff,
    IdleShutdown,
    JobQueue,
    LocalSession,
    MaxTasksShutdown,
    MemorySession,
    Message,
    NeverShutdown,
    NoBatching,
    OrShutdown,
    ProcessingResult,
    RawQueue,
    RetryJob,
    SQSEnv,
    SQSError,
    TaskRegistry,
    WorkerSettings,
    create_fifo_queue,
    create_standard_queue,
    current_job,
    delete_queue,
    describe_queue,
    purge_queue,
    redrive,
)
from sqsw.codecs import Codec, get_codec
from sqsw.core import BatchProcessingResult, RedrivePolicy
from sqsw.exceptions import SQSBatchError
from sqsw.queue import GenericQueue

# Accepted.
env = SQSEnv(MemorySession(), backoff_policy=ExponentialBackoff(max_visbility_timeout=60))
assert_type(sqsw.__version__, str)
assert_type(sqsw.SQSEnv().queue("x"), JobQueue)
assert_type(create_standard_queue(env, "x"), str)
assert_type(create_fifo_queue(env, "x.fifo", content_based_deduplication=True), str)
assert_type(DEFAULT_BACKOFF, ExponentialBackoff)
assert_type(IMMEDIATE_RETURN, ConstantBackoff)
assert_type(env.redrive_policy("x", 3), RedrivePolicy)
assert_type(ProcessingResult(True).success, bool)
assert_type(WorkerSettings().concurrency, int)
assert_type(get_codec("json"), Codec)
assert_type(SQSBatchError("", []).code, str | None)
queues: list[GenericQueue] = [env.queue("x"), env.queue("y", RawQueue)]
errors: list[type[Exception]] = [RetryJob, SQSError, sqsw.queue.SQSBatchError]
results: list[BatchProcessingResult] = [queue.process_batch() for queue in queues]
SQSEnv(LocalSession("x.db"), queue_prefix="p_", codec="json", accept=["json", "pickle"])
TaskRegistry().bind(env)
env.queue("x", batching_policy=BatchMessages(5)).process_queue(
    OrShutdown(AndShutdown(IdleShutdown(1), MaxTasksShutdown(9)), NeverShutdown())
)
env.queue("x", batching_policy=NoBatching())
assert_type(env.connect("x"), None)
delete_queue(env, "x")
purge_queue(env, "x")
describe_queue(env, "x")
redrive(env, "x_dead")
print(current_job(), Message("id", "handle", "body"))

# Refused.
print(sqsw.no_such_name)  # E: Module has no attribute "no_such_name"
print(sqsw.codecs.NoSuchCodec)  # E: Module has no attribute "NoSuchCodec"
print(sqsw.core.NoSuchWord)  # E: Module has no attribute "NoSuchWord"
print(sqsw.queue.NoSuchQueue)  # E: Module has no attribute "NoSuchQueue"
SQSEnv(queue_prefix=5)  # E: Argument "queue_prefix" to "SQSEnv" has incompatible type "int"
SQSEnv(no_such_option=1)  # E: Unexpected keyword argument "no_such_option" for "SQSEnv"
RetryJob(backoff_policy=5)  # E: Argument "backoff_policy" to "RetryJob" has incompatible type
