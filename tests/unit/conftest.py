"""Fixtures for unit tests: an environment with queues in memory, and a mock of AWS."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.handlers import BUILTIN_HANDLERS

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


@pytest.fixture
def mocked_session() -> Iterator[Any]:
    """Return a boto3 session whose calls moto answers."""
    before = list(BUILTIN_HANDLERS)
    moto = pytest.importorskip("moto", reason="moto provides other services of AWS")
    from moto.core.models import botocore_stubber

    # moto adds its handler for all later clients of this process, but only when it is imported
    # first. Other tests must not have it: with it, boto3 makes every call.
    BUILTIN_HANDLERS[:] = [*before, ("before-send", botocore_stubber)]
    try:
        with moto.mock_aws():
            yield boto3.session.Session("key", "secret", region_name="eu-west-1")
    finally:
        BUILTIN_HANDLERS[:] = before
