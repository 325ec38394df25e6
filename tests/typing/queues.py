"""A queue has the class that was requested."""

from datetime import datetime, timedelta
from typing import assert_type

from sqsw import JobQueue, RawQueue, SQSEnv
from sqsw.batching import BatchMessages, NoBatching
from sqsw.core import BatchProcessingResult
from sqsw.core.message import Message
from sqsw.deadletter_queue import DeadLetterQueue
from sqsw.shutdown_policies import IdleShutdown, OrShutdown


class MyQueue(JobQueue):
    def mine(self) -> int:
        return 1


class Never:
    def update_state(self, batch_result: BatchProcessingResult) -> None: ...

    def need_shutdown(self) -> bool:
        return False


env = SQSEnv()

# Accepted.
assert_type(env.queue("x"), JobQueue)
assert_type(env.queue("x", RawQueue), RawQueue)
assert_type(env.queue("x", MyQueue), MyQueue)
assert_type(env.queue("x", queue_maker=JobQueue), JobQueue)
assert_type(env.queue("x", DeadLetterQueue.maker(env.queue("y"))), DeadLetterQueue)
assert_type(env.queue("x", batching_policy=BatchMessages(5)), JobQueue)
assert_type(env.queue("x", queue_url="https://sqs.eu-west-1.amazonaws.com/1/x"), JobQueue)
env.queue("x", batching_policy=NoBatching())
env.queue("x").process_queue(OrShutdown(IdleShutdown(1), Never()), wait_second=1)
assert_type(env.queue("x").process_batch(), BatchProcessingResult)
assert_type(env.queue("x").get_raw_messages(), list[Message])
assert_type(env.queue("x").add_job("send", to="ann"), str | None)
assert_type(env.queue("x", RawQueue).add_raw_job("text"), str)
assert_type(env.process_batch("x"), BatchProcessingResult)


@env.raw_processor("cron")
def cron(message: Message) -> None: ...


cron(Message("id", "handle", "body"))
env.queue("x").add_job("send", _delay_seconds=timedelta(days=3))
env.queue("x").add_job("send", _run_at=datetime.now())
env.queue("x", RawQueue).add_raw_job("text", timedelta(days=3))

# Refused.
env.queue("x").raw_processor()  # E: "JobQueue" has no attribute "raw_processor"
env.queue("x", RawQueue).add_job("send")  # E: "RawQueue" has no attribute "add_job"
env.queue("x", 5)  # E: No overload variant of "queue"
env.queue("x").process_queue(5)  # E: has incompatible type "int"; expected "ShutdownPolicy"
env.queue("x").add_job("send", _run_at="now")  # E: Argument "_run_at" to "add_job"
env.queue("x").add_job("send", _delay_seconds="5")  # E: Argument "_delay_seconds" to "add_job"
