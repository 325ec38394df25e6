"""Fixtures for unit tests: an environment with queues in memory."""

import pytest

from sqsw.backoff_policies import IMMEDIATE_RETURN
from sqsw.memory_sqs import MemorySession
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv


@pytest.fixture
def memory_env() -> SQSEnv:
    """Return an environment with queues in memory. Failed jobs can be received again at once."""
    return SQSEnv(MemorySession(), backoff_policy=IMMEDIATE_RETURN)


@pytest.fixture
def jobs(memory_env: SQSEnv) -> JobQueue:
    """Return a job queue that exists."""
    memory_env.sqs_client.create_queue(QueueName="jobs")
    return memory_env.queue("jobs")


@pytest.fixture
def fifo_jobs(memory_env: SQSEnv) -> JobQueue:
    """Return a FIFO job queue that exists and needs deduplication IDs."""
    memory_env.sqs_client.create_queue(QueueName="jobs.fifo", Attributes={"FifoQueue": "true"})
    return memory_env.queue("jobs.fifo")
